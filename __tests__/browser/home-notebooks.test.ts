import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";

const notebook = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    20 + 22\n    return\n";

let browser: Browser;
let context: BrowserContext;
let space: Space;
let container: Container;
beforeAll(async () => {
  browser = await launchBrowser();
  context = await newContext(browser);
  // marimo's page does not save notebooks below /tmp, where its tutorials are, and its list of recent notebooks has
  // none from there or from /var. The project may be there, too.
  const isIgnored = /^\/(tmp|var)\//.test(`${realpathSync(workFolder)}/`);
  vi.stubEnv("TMPDIR", isIgnored ? homedir() : realpathSync(workFolder));
  space = new Space();
  vi.unstubAllEnvs();
  space.upload({ ...realPayload(), "settings.env": `${runOnOpen}MARIMO_APPS_FOLDER=apps\n` });
  for (const name of [
    "marimo-notebooks/mine.py",
    "marimo-notebooks/apps/app.py",
    "marimo-notebooks-old/old.py",
    "churn/notebooks/a/b/c/d/e/deep.py",
    "churn/notebooks/eda.py",
    "forecast/notebooks/eda.py",
    "shop/.venv/lib/python3.12/site-packages/package.py",
    "shop/node_modules/package.py",
    "shop/report.py",
    "loose.py",
  ])
    space.write(join(space.home, name), notebook);
  writeManyFiles();
  container = await space.start((await pythonEnvironment("image")).python);
  await marimoInstalled(container);
});
afterEach(async () => {
  for (const page of context.pages()) {
    await page.evaluate("localStorage.clear()");
    await page.close();
  }
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
});

/** 20,000 files of packages in one of the repositories. */
function writeManyFiles(): void {
  for (const [folder, ending] of [
    ["node_modules", "js"],
    [".venv/lib/python3.12/site-packages", "py"],
  ]) {
    for (let index = 0; index < 100; index++) {
      const inside = join(space.home, "shop", folder as string, `package${index}`);
      mkdirSync(inside, { recursive: true });
      for (let file = 0; file < 100; file++)
        writeFileSync(join(inside, `m${file}.${ending}`), "import marimo\n");
    }
  }
}

async function homePage(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${container.url}/marimo/`, { timeout: patience, waitUntil: "commit" });
  await page.getByText("~/shop", { exact: true }).waitFor({ timeout: patience });
  return page;
}

/** Opens a notebook with a click, and waits for its output. */
async function opened(page: Page, name: string): Promise<Page> {
  const tab = context.waitForEvent("page");
  await page.getByText(name, { exact: true }).last().click();
  const notebookPage = await tab;
  await new MarimoPage(notebookPage).waitForKernel(patience);
  await notebookPage.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
  return notebookPage;
}

const fileOf = (page: Page) => new URL(page.url()).searchParams.get("file");
const inHome = (name: string) => join(space.home, name);
const names = (page: Page) => page.locator('[role="treeitem"]').allInnerTexts();

describe("marimo's home page", () => {
  it("lists the notebooks of ~/marimo-notebooks first, and then those of all repositories in the home", async () => {
    const page = await homePage();
    const listed = (await names(page)).map((name) => name.trim());
    expect(listed.filter((name) => !name.startsWith("~"))).toEqual(
      listed.slice(0, listed.indexOf("~/churn")),
    );
    expect(listed).toContain("mine.py");
    expect(listed.slice(listed.indexOf("~/churn"))).toEqual([
      "~/churn",
      "~/forecast",
      "~/marimo-notebooks-old",
      "~/shop",
      "~/loose.py",
    ]);
    await page.getByText("~/shop", { exact: true }).click();
    await page.getByText("report.py", { exact: true }).waitFor({ timeout: patience });
    expect((await names(page)).length, "packages are not listed").toBe(listed.length + 1);
    expect(await page.getByText("were skipped").count()).toBe(0);
  });

  it("opens notebooks of the same name in two repositories, and saves each where it is", async () => {
    for (const repository of ["churn", "forecast"]) {
      const page = await homePage();
      await page.getByText(`~/${repository}`, { exact: true }).click();
      await page.getByText("notebooks", { exact: true }).click();
      const tab = await opened(page, "eda.py");
      const file = inHome(`${repository}/notebooks/eda.py`);
      expect(fileOf(tab)).toBe(file);
      await tab.locator(".cm-content").first().click();
      await tab.keyboard.press("Control+End");
      await tab.keyboard.type(` + len("${repository}")`);
      await tab.keyboard.press("Control+S");
      await until(
        "the edit in the file",
        () => readFileSync(file, "utf8").includes(repository) || undefined,
        90,
      );
      await page.reload();
      for (const list of ["Running notebooks", "Recent notebooks"]) {
        const link = page
          .locator("div", { has: page.getByText(list, { exact: true }) })
          .locator("a", { hasText: file });
        await link.first().waitFor({ timeout: patience });
        expect(new URL((await link.first().getAttribute("href")) ?? "").searchParams.get("file")).toBe(file);
      }
      await page.evaluate("localStorage.clear()");
    }
  });

  it("opens a deeply nested notebook, and one in a folder whose name begins like marimo's", async () => {
    const page = await homePage();
    for (const folder of ["~/churn", "notebooks", "a", "b", "c", "d", "e"])
      await page.getByText(folder, { exact: true }).click();
    expect(fileOf(await opened(page, "deep.py"))).toBe(inHome("churn/notebooks/a/b/c/d/e/deep.py"));
    await page.getByText("~/marimo-notebooks-old", { exact: true }).click();
    await opened(page, "old.py");
  });

  it("stores a new notebook in ~/marimo-notebooks", async () => {
    const page = await context.newPage();
    await page.goto(`${container.url}/marimo/?file=__new__s_abc123`, { waitUntil: "commit" });
    await new MarimoPage(page).waitForKernel(patience);
    await page.locator(".cm-content").first().click();
    await page.keyboard.type("6 * 7");
    await page.keyboard.press("Control+S");
    await page.getByRole("dialog").getByPlaceholder("filename").fill("brand_new");
    await page.keyboard.press("Enter");
    const file = inHome("marimo-notebooks/brand_new.py");
    await until(
      "the new file",
      () => (existsSync(file) && readFileSync(file, "utf8").includes("6 * 7")) || undefined,
    );
  });
});

describe("marimo's file panel", () => {
  it("shows the files of the home folder, and opens its notebooks", async () => {
    const page = await context.newPage();
    await page.goto(`${container.url}/marimo/?file=mine.py`, { waitUntil: "commit" });
    await new MarimoPage(page).waitForKernel(patience);
    await page.keyboard.press("Control+K");
    await page.getByPlaceholder("Type to search...").fill("Helper panel > files", { timeout: patience });
    await page.keyboard.press("Enter");
    for (const name of ["Home", "shop"])
      await page.getByText(name, { exact: true }).click({ timeout: patience });
    const file = page.locator('[role="treeitem"]', { hasText: "report.py" });
    await file.hover({ timeout: patience });
    const tab = context.waitForEvent("page");
    await file.getByTestId("file-explorer-open-marimo-button").click({ timeout: patience });
    const notebookPage = await tab;
    await new MarimoPage(notebookPage).waitForKernel(patience);
    await notebookPage.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
    expect(fileOf(notebookPage)).toBe("../shop/report.py");
    const sessions = (await (await fetch(`${container.url}/marimo/api/sessions`)).json()) as object;
    expect(Object.values(sessions)).toContainEqual(
      expect.objectContaining({ path: realpathSync(inHome("shop/report.py")) }),
    );
  });
});

describe("the address of a notebook", () => {
  const status = async (tile: string, file: string) => {
    const address = `${container.url}/${tile}/?file=${encodeURIComponent(file)}`;
    // While a server starts, the waiting page answers.
    return await until("the server", async () => {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      return answer.headers.has("X-Marimo-Waiting") ? undefined : answer.status;
    });
  };

  it("opens what is in the home, and nothing outside", async () => {
    space.write(join(space.folder, "outside.py"), notebook);
    for (const file of ["mine.py", inHome("shop/report.py"), "../shop/report.py"])
      expect(await status("marimo", file), file).toBe(200);
    for (const file of [join(space.folder, "outside.py"), "../../outside.py", inHome("../outside.py")])
      expect(await status("marimo", file), file).toBe(403);
  });

  it("of an app opens only what is in the folder of the gallery", async () => {
    expect(await status("marimo-apps", "app.py")).toBe(200);
    for (const file of [inHome("shop/report.py"), "../mine.py"])
      expect(await status("marimo-apps", file), file).toBe(403);
  });
});
