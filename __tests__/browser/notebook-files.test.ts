import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import type { Gateway } from "../../src/local-studio/gateway.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";

/** Reads the file beside it, and writes another. */
const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    with open("data.txt") as data, open("written.txt", "w") as written:
        written.write("by a cell")
        found = f"found: {data.read()}"
    found
    return


if __name__ == "__main__":
    app.run()
`;

let space: Space;
let container: Container;
let gateway: Gateway;
let browser: Browser;
let page: Page;

const notebooks = (...path: string[]) => join(space.home, "marimo-notebooks", ...path);

beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  space = new Space();
  for (const folder of ["repository", "apps"]) {
    space.write(notebooks(folder, "reads.py"), notebook);
    space.write(notebooks(folder, "data.txt"), `beside it in ${folder}`);
  }
  space.write(notebooks("open.py"), notebook);
  space.upload({ ...realPayload(), "settings.env": `${runOnOpen}MARIMO_APPS_FOLDER=apps\n` });
  container = await space.start(python);
  await marimoInstalled(container);
  gateway = await defaultGateway(container);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space.dispose();
});
afterEach(() => page.close());

/** Opens a page of the server `marimo` or `marimo-apps`. */
async function open(address: string): Promise<void> {
  page = await browser.newPage();
  const marimo = new MarimoPage(page);
  await marimo.open(`${gateway.url}/jupyterlab/default/${address}`, patience);
  await marimo.waitForKernel(patience);
}

async function runFirstCell(code: string): Promise<void> {
  const cell = page.locator(".cm-content").first();
  await cell.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(code);
  await page.keyboard.press("Control+Enter");
}

const shows = (text: string) => page.getByText(text).first().waitFor({ timeout: patience });

describe("a cell's working folder", () => {
  it.each([
    ["the notebook's in the editor", "marimo/?file=repository/reads.py", "repository"],
    ["the gallery's in an app", "marimo-apps/?file=reads.py", "apps"],
  ])("is %s", async (_, address, folder) => {
    await open(address);
    await shows(`found: beside it in ${folder}`);
    expect(readFileSync(notebooks(folder, "written.txt"), "utf8")).toBe("by a cell");
    expect(existsSync(join(space.home, "written.txt"))).toBe(false);
  });

  it("is the served folder in a new notebook", async () => {
    await open("marimo/?file=__new__s_files1");
    await runFirstCell("import os; 'in ' + os.getcwd()");
    await shows(`in ${notebooks()}`);
  });
});

describe("an open notebook whose file was deleted", () => {
  const file = () => notebooks("open.py");
  const content = () => (existsSync(file()) ? readFileSync(file(), "utf8") : "");
  const line = () => page.locator("#marimo-outage", { hasText: "open.py was deleted or moved" });

  async function type(text: string): Promise<void> {
    await page.locator(".cm-content").first().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(text);
  }

  it("is not saved until the file is back or the user wants it", async () => {
    await open("marimo/?file=open.py");
    rmSync(file());
    await type("  # typed after git checkout");
    // marimo saves after a second, and stops to look for the file after five.
    await page.waitForTimeout(8000);
    expect(content()).toBe("");
    await line().waitFor({ timeout: patience });

    space.write(file(), notebook.replace("by a cell", "by git"));
    await shows("by git");
    await line().waitFor({ state: "detached", timeout: patience });
    expect(content()).toContain("by git");

    await page.waitForTimeout(2000);
    rmSync(file());
    await type("  # typed after rm");
    await line().waitFor({ timeout: patience });
    await page.getByRole("link", { name: "Save this page as that file again" }).click();
    await line().waitFor({ state: "detached", timeout: patience });
    await until("the file", () => content().includes("# typed after rm"));

    // Later edits are saved without a question.
    await type(", and more");
    await until("the edit", () => content().includes("# typed after rm, and more"));
    expect(await line().count()).toBe(0);
  });
});
