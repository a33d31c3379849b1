import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, startSpaceWith } from "../support/space-browser.ts";
import type { Space } from "../support/space-fixture.ts";

/** Prints marimo's own tutorials: their text by file name. */
const listTutorials = `
import json
from typing import get_args
from marimo._tutorials import MarkdownTutorial, get_tutorial_source, tutorial_order
suffix = {name: ".md" for name in get_args(MarkdownTutorial)}
print(json.dumps({name + suffix.get(name, ".py"): get_tutorial_source(name) for name in tutorial_order}))`;

/** The tutorial about SQL downloads this file. A copy in the notebook's folder makes the test independent of it. */
const downloaded = "https://datasets.marimo.app/cars.csv";
const folder = "marimo-notebooks/tutorials";
const cars = "Origin,Cylinders,MPG_City,MPG_Highway\nAsia,4,26,32\nUSA,6,18,25\nEurope,4,24,31\n";

const containing = (...texts: string[]) => texts.map((text) => expect.stringContaining(text));
/** Cells with errors, in their order: those that the tutorials show on purpose, and packages that the image lacks. */
const expected: Readonly<Record<string, readonly unknown[]>> = {
  "dataflow.py": containing(
    ...Array<string>(2).fill("'planet' was also defined by"),
    ...Array<string>(2).fill("'count' was also defined by"),
    "_private_variable",
    ...Array<string>(2).fill("This cell is in a cycle"),
  ),
  "for-jupyter-users.py": containing(
    ...Array<string>(2).fill("'df' was also defined by"),
    "name 'df' is not defined",
  ),
  // SageMaker Distribution 4.5.2 has no polars (build_artifacts/v4/v4.5/v4.5.2/cpu.env.out).
  "markdown.py": containing("No module named 'polars'"),
};

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** Writes the tutorials into a folder of the home, and returns their file names. */
async function writeTutorials(space: Space): Promise<string[]> {
  const python = join(space.state, "environments/current/bin/python");
  const { status, stdout, stderr } = await space.run(python, ["-c", listTutorials]);
  expect(status, stderr).toBe(0);
  const tutorials: Record<string, string> = JSON.parse(stdout);
  expect(tutorials["sql.py"]).toContain(downloaded);
  for (const [name, text] of Object.entries(tutorials)) {
    space.write(join(space.home, folder, name), text.replace(downloaded, "cars.csv"));
  }
  space.write(join(space.home, folder, "cars.csv"), cars);
  return Object.keys(tutorials);
}

/** Opens a notebook, waits until all its cells have run, and returns the errors on the page. */
async function errorsOf(page: Page, url: string): Promise<string[]> {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(`page: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
  });
  const marimo = new MarimoPage(page);
  await marimo.open(url, patience);
  await marimo.waitForKernel(patience);
  const cells = (status: string) => page.locator(`.marimo-cell [data-status="${status}"]`).first();
  // Before a cell has run, marimo ignores the shortcut.
  await cells("idle").waitFor({ state: "attached", timeout: patience });
  await marimo.waitForIdle(patience);
  // marimo draws the Markdown cells without the kernel, and runs them only when asked to.
  await page.keyboard.press("ControlOrMeta+Shift+R");
  await cells("outdated").waitFor({ state: "detached", timeout: patience });
  await marimo.waitForIdle(patience);
  return [...errors, ...(await page.locator(".marimo-cell.has-error").allInnerTexts())];
}

it("shows only meant errors in marimo's tutorials with the image's most used packages", async () => {
  const { space, container } = await startSpaceWith({}, "image-full");
  const gateway = await defaultGateway(container);
  try {
    const names = await writeTutorials(space);
    const context = await contextWithoutAnimations(browser);
    const found: Record<string, string[]> = {};
    for (const name of names) {
      const page = await context.newPage();
      found[name] = await errorsOf(page, `${gateway.url}/jupyterlab/default/marimo/?file=tutorials/${name}`);
      await page.close();
    }
    expect(found).toEqual({ ...Object.fromEntries(names.map((name) => [name, []])), ...expected });
  } finally {
    await gateway.close();
    await space.dispose();
  }
  // A dozen notebooks, each of which may take a minute where other tests keep the cores busy.
}, 1_200_000);

it("finds errors in the tutorial about plots without these packages", async () => {
  const { space, container } = await startSpaceWith({});
  const gateway = await defaultGateway(container);
  try {
    await writeTutorials(space);
    const context = await contextWithoutAnimations(browser);
    const url = `${gateway.url}/jupyterlab/default/marimo/?file=tutorials/plots.py`;
    expect((await errorsOf(await context.newPage(), url)).length).toBeGreaterThan(5);
  } finally {
    await gateway.close();
    await space.dispose();
  }
});
