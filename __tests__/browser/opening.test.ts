import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled, signalMarimo } from "../support/space-browser.ts";
import { type Container, realPayload, Space, until } from "../support/space-fixture.ts";

/** Shows how often it has run, and the time of its last run. */
const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    import time
    from pathlib import Path

    import marimo as mo

    runs = Path(__file__).with_suffix(".runs")
    with runs.open("a") as file:
        file.write(".")
    mo.md(f"run number {len(runs.read_text())} of {time.time_ns()}")
    return


if __name__ == "__main__":
    app.run()
`;

let browser: Browser;
let python: string;
beforeAll(async () => {
  browser = await launchBrowser();
  python = (await pythonEnvironment("image")).python;
});
afterAll(() => browser?.close());

describe.each([
  { setting: "by default", settings: "", runs: false },
  { setting: "with runOnOpen", settings: "MARIMO_RUN_ON_OPEN=true\n", runs: true },
])("opening a notebook, $setting", ({ settings, runs }) => {
  let space: Space;
  let container: Container;
  let context: BrowserContext;
  const hasRun = () => existsSync(join(space.home, "marimo-notebooks/mine.runs"));
  const url = (name: string) => `${container.url}/marimo/?file=${name}`;

  beforeAll(async () => {
    space = new Space();
    space.write(join(space.home, "marimo-notebooks/mine.py"), notebook);
    space.upload({ ...realPayload(), "settings.env": settings });
    container = await space.start(python);
    await marimoInstalled(container);
  });
  beforeEach(async () => {
    await context?.close();
    context = await contextWithoutAnimations(browser);
    for (const file of ["mine.runs", "__marimo__/session/mine.py.json"])
      rmSync(join(space.home, "marimo-notebooks", file), { force: true });
  });
  afterAll(() => space?.dispose());

  /** Ends marimo and the space, and starts the space again, as on the next day. */
  async function night(): Promise<void> {
    await context.close();
    await signalMarimo(space, "SIGKILL");
    await container.stop();
    container = await space.start(python);
    context = await contextWithoutAnimations(browser);
  }

  async function open(name: string, tab?: Page): Promise<{ tab: Page; marimo: MarimoPage }> {
    const page = tab ?? (await context.newPage());
    const marimo = new MarimoPage(page);
    await marimo.open(url(name), patience);
    await marimo.waitForKernel(patience);
    return { tab: page, marimo };
  }

  /** Follows a link on another website. */
  async function follow(name: string): Promise<Page> {
    const tab = await context.newPage();
    await tab.goto(`data:text/html,<a href="${url(name)}">a link</a>`);
    await tab.getByText("a link").click();
    await tab.locator('#App[data-connection-state="OPEN"]').waitFor({ timeout: patience });
    return tab;
  }

  it(`${runs ? "runs" : "does not run"} its cells`, async () => {
    const { tab } = await open("mine.py");
    if (runs) await tab.getByText("run number 1 of").waitFor({ timeout: patience });
    else await sleep(5000);
    expect(hasRun()).toBe(runs);
    await night();
  });

  it("never runs its cells after a link on another website, also if the server has to start first", async () => {
    const tab = await follow("mine.py");
    await sleep(5000);
    expect(hasRun()).toBe(false);
    // Control: the person can run them.
    await tab.keyboard.press("ControlOrMeta+Shift+R");
    await tab.getByText("run number 1 of").waitFor({ timeout: patience });
    await night();
  });

  if (!runs) {
    it("shows the sample's results at once, and runs it on request", async () => {
      // On a busy machine, the results are on the page before the kernel knows the notebook.
      await context.route(/kernel.instantiate/, (route) => sleep(2000).then(() => route.continue()));
      const { tab, marimo } = await open("01_explore_data.py");
      await tab.getByText("Showing 120 of 240 items").waitFor({ timeout: patience });
      await marimo.runCells(patience);
      await marimo.moveSlider(patience);
      await night();
    });

    it("shows yesterday's results at once, also those of another marimo version", async () => {
      const today = await open("mine.py");
      await today.tab.keyboard.press("ControlOrMeta+Shift+R");
      const shown = today.tab.getByText("run number 1 of");
      await shown.waitFor({ timeout: patience });
      const text = (await shown.textContent()) ?? "";
      const cache = "home/marimo-notebooks/__marimo__/session/mine.py.json";
      await until("the session cache", () => space.read(cache).includes("run number 1"));
      await night();

      const version = /"marimo_version": "[^"]+"/;
      expect(space.read(cache)).toMatch(version);
      space.write(
        join(space.folder, cache),
        space.read(cache).replace(version, '"marimo_version": "0.25.1"'),
      );
      // The page is closed before its kernel is ready. marimo has written the cache by then.
      await context.route(/kernel.instantiate/, () => {});
      const morning = await open("mine.py");
      await morning.tab.getByText(text).waitFor({ timeout: patience });
      await until("the session cache", () => !space.read(cache).includes("0.25.1"));
      await night();

      const tomorrow = await open("mine.py");
      await tomorrow.tab.getByText(text).waitFor({ timeout: patience });
      expect(space.read("home/marimo-notebooks/mine.runs")).toBe(".");
      await night();
    });
  }
});
