import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { startGateway } from "../../src/local-studio/gateway.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, Space } from "../support/space-fixture.ts";

const labels = ["Open in marimo", "Open as app", "Run as a job…", "Convert to marimo"] as const;
type Label = (typeof labels)[number];
const notebook = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    20 + 22\n    return\n";
const script = "print('no notebook')\n";
const jupyterNotebook = JSON.stringify({
  cells: [{ cell_type: "code", source: ["20 + 22"], metadata: {}, outputs: [], execution_count: null }],
  metadata: {},
  nbformat: 4,
  nbformat_minor: 5,
});

let python: string;
let browser: Browser;
let context: BrowserContext;
let space: Space;
let container: Container;
/** The errors in the page's console. */
let errors: string[];
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await launchBrowser();
  context = await newContext(browser);
  space = new Space();
  space.upload(realPayload());
  for (const name of ["marimo-notebooks/inside.py", "project/it's 100%.py", "home.py"])
    space.write(join(space.home, name), notebook);
  space.write(join(space.home, "project/script.py"), script);
  space.write(join(space.home, "project/read.md"), "# Read me\n");
  space.write(join(space.home, "project/data.csv"), "a,b\n");
  space.write(join(space.home, "project/old.ipynb"), jupyterNotebook);
  space.write(join(space.home, "project/broken.ipynb"), "no JSON");
  space.write(join(space.home, "project/folder.py/x"), "");
  await start();
});
afterEach(async () => {
  for (const page of context.pages()) await page.close();
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
});

/** Restarts the app. The user's configuration precedes the prefix's, as in the image. */
async function start(): Promise<void> {
  await container?.stop();
  const environment = { ...space.environment, JUPYTER_PREFER_ENV_PATH: "0" };
  container = await space.start(python, { environment });
  expect(container.events.at(-1)?.event, JSON.stringify(container.events)).toBe("ready");
  await marimoInstalled(container);
}

async function fileBrowser(folder: string, base = container.url): Promise<Page> {
  const page = await context.newPage();
  errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  const place = folder === "" ? "lab" : `lab/tree/${folder}`;
  await page.goto(`${base}/${place}?reset`, { timeout: patience, waitUntil: "commit" });
  await page.locator(".jp-DirListing-item").first().waitFor({ timeout: patience });
  return page;
}

/** Opens the context menu of a file; returns its visible entries. */
async function rightClick(page: Page, name: string): Promise<string[]> {
  const item = page.locator(".jp-DirListing-item", {
    has: page.getByText(name, { exact: true }),
  });
  await item.click({ button: "right", timeout: patience });
  const menu = page.locator(".lm-Menu");
  await menu.getByText("Cut", { exact: true }).waitFor({ timeout: patience });
  return (await menu.locator(".lm-Menu-itemLabel:visible").allTextContents()).filter((text) => text !== "");
}

/** Clicks on an entry in the context menu of a file; returns the new tab. */
async function choose(page: Page, name: string, label: Label): Promise<Page> {
  expect(await rightClick(page, name)).toContain(label);
  const tab = context.waitForEvent("page");
  await page.locator(".lm-Menu").getByText(label, { exact: true }).click();
  return tab;
}

/** Returns the error message that JupyterLab shows instead of opening the file. */
async function refusal(page: Page, name: string, label: Label): Promise<string> {
  const tab = await choose(page, name, label);
  const dialog = page.locator(".jp-Dialog-content");
  await dialog.waitFor({ timeout: patience });
  if (!tab.isClosed()) await tab.waitForEvent("close");
  return dialog.innerText();
}

describe("JupyterLab's file browser", () => {
  it.each([
    { folder: "marimo-notebooks", name: "inside.py" },
    { folder: "project", name: "it's 100%.py" },
    { folder: "", name: "home.py" },
  ])("opens $folder/$name in marimo, in a new tab", async ({ folder, name }) => {
    const page = await fileBrowser(folder);
    const tab = await choose(page, name, "Open in marimo");
    await tab.waitForURL(/\/marimo\//, { timeout: patience, waitUntil: "commit" });
    const file = folder === "marimo-notebooks" ? name : join(space.home, folder, name);
    expect(new URL(tab.url()).searchParams.get("file")).toBe(file);
    const marimo = new MarimoPage(tab);
    await marimo.waitForKernel(patience);
    await tab.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
    expect(errors).toEqual([]);
  });

  it("opens a notebook in marimo behind the gateway reported-studio", async () => {
    const { port } = new URL(container.url);
    const { faults } = gatewayProfiles["reported-studio"];
    const gateway = await startGateway({ faults, upstreamPort: () => Number(port) });
    try {
      const page = await fileBrowser("project", `${gateway.url}/jupyterlab/default`);
      const tab = await choose(page, "it's 100%.py", "Open in marimo");
      await tab.waitForURL(/\/marimo\//, { timeout: patience, waitUntil: "commit" });
      await new MarimoPage(tab).waitForKernel(patience);
    } finally {
      for (const page of context.pages()) await page.close();
      await gateway.close();
    }
  });

  it("opens a notebook as an app, without its code", async () => {
    const tab = await choose(await fileBrowser("project"), "it's 100%.py", "Open as app");
    await tab.waitForURL(/\/marimo\/.*view-as=present/, { timeout: patience, waitUntil: "commit" });
    await tab.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
    expect(await tab.locator(".cm-content:visible").count()).toBe(0);
  });

  it("opens the page of jobs with the notebook", async () => {
    const tab = await choose(await fileBrowser("project"), "it's 100%.py", "Run as a job…");
    await tab.waitForURL(/\/marimo-jobs\//, { timeout: patience, waitUntil: "commit" });
    expect(new URL(tab.url()).searchParams.get("notebook")).toBe("project/it's 100%.py");
  });

  it("refuses to run a file as a job that is not a notebook", async () => {
    const text = await refusal(await fileBrowser("project"), "script.py", "Run as a job…");
    expect(text).toContain("script.py is not a marimo notebook, so it cannot run as a job");
  });

  it("converts a Jupyter notebook, beside it and never over an existing file", async () => {
    const path = (name: string) => join(space.home, "project", name);
    for (const name of ["old.py", "old-1.py"]) {
      const tab = await choose(await fileBrowser("project"), "old.ipynb", "Convert to marimo");
      await tab.waitForURL(/\/marimo\//, { timeout: patience, waitUntil: "commit" });
      expect(new URL(tab.url()).searchParams.get("file")).toBe(path(name));
      await tab.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
      expect(readFileSync(path(name), "utf8")).toContain("marimo.App(");
      writeFileSync(path(name), "# mine\n");
    }
    expect(readFileSync(path("old.py"), "utf8")).toBe("# mine\n");
    expect(readFileSync(path("old.ipynb"), "utf8")).toBe(jupyterNotebook);
  });

  it("reports why a Jupyter notebook cannot be converted", async () => {
    const text = await refusal(await fileBrowser("project"), "broken.ipynb", "Convert to marimo");
    expect(text).toMatch(/marimo cannot convert \S+\/broken.ipynb: .*JSON/);
    expect(existsSync(join(space.home, "project/broken.py"))).toBe(false);
  });

  it.each([
    { name: "it's 100%.py", has: ["Open in marimo", "Open as app", "Run as a job…"] },
    { name: "read.md", has: ["Open in marimo", "Open as app"] },
    { name: "old.ipynb", has: ["Convert to marimo"] },
    { name: "data.csv", has: [] },
    { name: "folder.py", has: [] },
  ])("has the entries $has for $name", async ({ name, has }) => {
    const entries = await rightClick(await fileBrowser("project"), name);
    expect(entries.filter((entry) => labels.some((label) => label === entry))).toEqual(has);
  });

  it("has no entry for two files", async () => {
    const page = await fileBrowser("project");
    await page.getByText("script.py", { exact: true }).click();
    await page.getByText("read.md", { exact: true }).click({ modifiers: ["Control"] });
    expect(await rightClick(page, "script.py")).not.toContain("Open in marimo");
  });

  it.each([
    ["script.py", "Open in marimo"],
    ["script.py", "Open as app"],
    ["read.md", "Open in marimo"],
  ] as const)("rejects %s, which is not a notebook, unchanged: %s", async (name, label) => {
    const file = join(space.home, "project", name);
    const before = readFileSync(file, "utf8");
    const page = await fileBrowser("project");
    const text = await refusal(page, name, label);
    expect(text).toContain(`${file} is not a marimo notebook`);
    expect(text).toContain(`marimo convert ${file} -o NAME.py`);
    expect(readFileSync(file, "utf8")).toBe(before);
  });
});

describe("the endpoint of the file browser", () => {
  const ask = (
    headers: Record<string, string>,
    body = JSON.stringify({ path: "other/secret.py" }),
    action = "open",
  ) => fetch(`${container.url}/sagemaker-marimo/${action}`, { method: "POST", headers, body });
  /** The headers of JupyterLab's own page: the XSRF token in a cookie and in a header. */
  async function own(): Promise<Record<string, string>> {
    const page = await fetch(`${container.url}/lab`);
    const cookie = page.headers.getSetCookie().find((one) => one.startsWith("_xsrf="));
    const token = cookie?.split(";")[0] ?? "";
    return { Cookie: token, "X-XSRFToken": token.slice("_xsrf=".length), "Sec-Fetch-Site": "same-origin" };
  }
  beforeAll(() => {
    space.write(join(space.home, "other/secret.py"), notebook);
    space.write(join(space.home, "other/secret.ipynb"), jupyterNotebook);
  });

  it("accepts JupyterLab's own page", async () => {
    const answer = await ask(await own());
    const file = encodeURIComponent(join(space.home, "other/secret.py"));
    expect([answer.status, await answer.json()]).toEqual([200, { path: `marimo/?file=${file}` }]);
  });

  it.each([
    ["of another site", { "Sec-Fetch-Site": "cross-site" }],
    ["of a sibling space", { "Sec-Fetch-Site": "same-site" }],
    ["of another site in an older browser", { "Sec-Fetch-Site": "", Origin: "https://evil.example" }],
    ["without JupyterLab's token", { "X-XSRFToken": "", Cookie: "" }],
  ])("rejects a page %s", async (_, headers) => {
    const sent = Object.entries({ ...(await own()), ...headers }).filter(([, value]) => value !== "");
    expect((await ask(Object.fromEntries(sent))).status).toBe(403);
    const body = JSON.stringify({ path: "other/secret.ipynb" });
    expect((await ask(Object.fromEntries(sent), body, "convert")).status).toBe(403);
    expect(readdirSync(join(space.home, "other")).sort()).toEqual(["secret.ipynb", "secret.py"]);
  });

  it("rejects a page of another origin in a real browser", async () => {
    const other: Server = createServer((_, response) =>
      response.setHeader("Content-Type", "text/html").end("<title>evil</title>"),
    ).listen(0, "127.0.0.1");
    try {
      await new Promise((resolve) => other.once("listening", resolve));
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
      const refused = page.waitForResponse(/sagemaker-marimo\/open/);
      await page.evaluate(
        ([url, body]) =>
          fetch(url as string, {
            method: "POST",
            mode: "no-cors",
            credentials: "include",
            body: body as string,
          }),
        [`${container.url}/sagemaker-marimo/open`, JSON.stringify({ path: "other/secret.py" })],
      );
      expect((await refused).status()).toBe(403);
    } finally {
      other.close();
    }
  });

  it.each([
    ["{}", 400],
    ["[]", 400],
    ["", 400],
    [JSON.stringify({ path: "nothing.py" }), 404],
    [JSON.stringify({ path: "../outside.py" }), 404],
    [JSON.stringify({ path: "project" }), 409],
  ])("rejects %j", async (body, status) => {
    space.write(join(space.folder, "outside.py"), notebook);
    expect((await ask(await own(), body)).status).toBe(status);
  });
});

describe("private interfaces of JupyterLab", () => {
  it("exist: the registry of containers, and the shared packages that this extension requires", async () => {
    const page = await fileBrowser("project");
    const found = await page.evaluate(`(async () => {
      const built = window._JUPYTERLAB["@jupyterhub/jupyter-server-proxy"];
      const { default: plugin } = (await window._JUPYTERLAB["sagemaker-marimo"].get("./extension"))();
      return [typeof built.init, typeof built.get, plugin.id, plugin.requires[0].name];
    })()`);
    expect(found).toEqual([
      "function",
      "function",
      "sagemaker-marimo:file-browser",
      "@jupyterlab/filebrowser:IFileBrowserFactory",
    ]);
  });
});

describe("a user configuration that removes the extension's folder", () => {
  it("has JupyterLab and marimo without the menu entry", async () => {
    space.write(
      join(space.home, ".jupyter/jupyter_server_config.py"),
      "c.LabServerApp.extra_labextensions_path = []\n",
    );
    await start();
    const page = await fileBrowser("project");
    expect(await rightClick(page, "it's 100%.py")).not.toContain("Open in marimo");
  });
});
