import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { type Container, realPayload, Space, until } from "../support/space-fixture.ts";

const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    return (mo,)


@app.cell
def _(mo):
    beside = (mo.notebook_dir() / "data.txt").read_text()
    mo.md(f"{beside} is beside the notebook")
    return


if __name__ == "__main__":
    app.run()
`;

let space: Space;
let container: Container;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  space = new Space();
  space.upload(realPayload());
  container = await space.start(python);
  space.write(join(space.aws, "space-url"), `${new URL(container.url).origin}\n`);
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ AppType: "JupyterLab", DomainId: "d-abc", SpaceName: "mine" }),
  );
  space.write(join(space.home, "project/analysis.py"), notebook);
  space.write(join(space.home, "project/data.txt"), "fortytwo");
  await until(
    "the installation",
    () => /is installed/.test(space.read("app_container.log")) || undefined,
    240,
  );
  browser = await launchBrowser();
  page = await browser.newPage();
});
afterAll(async () => {
  await browser?.close();
  await space.dispose();
});

const marimo = (...args: string[]) =>
  space.run("marimo", args, { ...space.environment, PATH: `${space.prefix}/bin:${space.environment.PATH}` });

/** Opens the URL that a command prints. */
async function follow(...args: string[]): Promise<void> {
  const { stdout, stderr } = await marimo(...args);
  const address = /^marimo: (\S+)$/m.exec(stdout)?.[1];
  expect(address, stdout + stderr).toBeDefined();
  await page.goto(address ?? "", { waitUntil: "commit" });
  await page.locator('#App[data-connection-state="OPEN"]').waitFor({ timeout: patience });
}

describe("the URL that a terminal command prints", () => {
  it("edit: opens a notebook of any folder, with the other files of the folder", async () => {
    await follow("edit", join(space.home, "project/analysis.py"));
    await page.getByText("fortytwo is beside the notebook").waitFor({ timeout: patience });
    expect(await page.locator(".cm-editor").count()).toBeGreaterThan(0);
  });

  it("run: shows the notebook as an app, without its code", async () => {
    await follow("run", "--port", "8888", join(space.home, "project/analysis.py"));
    await page.getByText("fortytwo is beside the notebook").waitFor({ timeout: patience });
    expect(await page.locator(".cm-editor:visible").count()).toBe(0);
    expect(await page.getByTestId("save-button").count()).toBe(0);
  });

  it("new: opens an empty notebook", async () => {
    await follow("new");
    await page.locator(".cm-editor").first().waitFor({ timeout: patience });
    expect(await page.getByText("fortytwo").count()).toBe(0);
  });
});

describe("marimo's own commands", () => {
  it("convert, check and export work as usual", async () => {
    const source = join(space.home, "marimo-notebooks/03_from_jupyter.ipynb");
    const converted = join(space.home, "converted.py");
    expect((await marimo("convert", source, "-o", converted)).status).toBe(0);
    expect(readFileSync(converted, "utf8")).toContain("app = marimo.App");
    const analysis = join(space.home, "project/analysis.py");
    expect((await marimo("check", analysis)).status).toBe(0);
    space.write(join(space.home, "twice.py"), notebook.replace("beside =", "mo = beside ="));
    expect((await marimo("check", join(space.home, "twice.py"))).status).toBe(1);
    const html = join(space.home, "analysis.html");
    expect((await marimo("export", "html", analysis, "-o", html)).status).toBe(0);
    expect(readFileSync(html, "utf8")).toContain("fortytwo is beside");
  });
});
