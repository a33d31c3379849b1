import { existsSync, lstatSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { startGateway } from "../../src/local-studio/gateway.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, realPayload, Space, until } from "./space-fixture.ts";

const patience = 90_000;
const label = "Open in marimo";
const notebook = "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    20 + 22\n    return\n";
const script = "print('no notebook')\n";

let python: string;
let browser: Browser;
let context: BrowserContext;
let space: Space;
let container: Container;
/** What the page's console said of errors. */
let errors: string[];
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  space = new Space();
  space.upload(realPayload());
  for (const name of ["marimo-notebooks/inside.py", "project/it's 100%.py", "home.py"])
    space.write(join(space.home, name), notebook);
  space.write(join(space.home, "project/script.py"), script);
  space.write(join(space.home, "project/read.md"), "# Read me\n");
  space.write(join(space.home, "project/data.csv"), "a,b\n");
  space.write(join(space.home, "project/folder.py/x"), "");
  await start();
}, 300_000);
afterEach(async () => {
  for (const page of context.pages()) await page.close();
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
});

/** The app, anew; the person's configuration goes before the prefix's, as in the image. */
async function start(): Promise<void> {
  await container?.stop();
  const environment = { ...space.environment, JUPYTER_PREFER_ENV_PATH: "0" };
  container = await space.start(python, { environment });
  expect(container.events.at(-1)?.event, JSON.stringify(container.events)).toBe("ready");
  await until(
    "marimo's page",
    async () => {
      const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
      return (page.ok && page.headers.get("X-Marimo-Installation") === null) || undefined;
    },
    240,
  );
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

/** The context menu's entries that show. */
async function rightClick(page: Page, name: string): Promise<string[]> {
  const item = page.locator(".jp-DirListing-item", {
    has: page.getByText(name, { exact: true }),
  });
  await item.click({ button: "right", timeout: patience });
  const menu = page.locator(".lm-Menu");
  await menu.getByText("Cut", { exact: true }).waitFor({ timeout: patience });
  return (await menu.locator(".lm-Menu-itemLabel:visible").allTextContents()).filter((text) => text !== "");
}

async function openInMarimo(page: Page, name: string): Promise<Page> {
  expect(await rightClick(page, name)).toContain(label);
  const tab = context.waitForEvent("page");
  await page.locator(".lm-Menu").getByText(label, { exact: true }).click();
  return tab;
}

/** What JupyterLab answers instead of opening. */
async function refusal(page: Page, name: string): Promise<string> {
  const tab = await openInMarimo(page, name);
  const dialog = page.locator(".jp-Dialog-content");
  await dialog.waitFor({ timeout: patience });
  if (!tab.isClosed()) await tab.waitForEvent("close");
  return dialog.innerText();
}

const linkOf = (name: string) => join(space.home, "marimo-notebooks", name);

describe("JupyterLab's file browser", () => {
  it.each([
    { folder: "marimo-notebooks", name: "inside.py", file: "inside.py", link: undefined },
    { folder: "project", name: "it's 100%.py", file: "project/it's 100%.py", link: "project" },
    { folder: "", name: "home.py", file: "home.py", link: "home.py" },
  ])("opens $folder/$name in marimo, in a new tab", async ({ folder, name, file, link }) => {
    const page = await fileBrowser(folder);
    const tab = await openInMarimo(page, name);
    await tab.waitForURL(/\/marimo\//, { timeout: patience, waitUntil: "commit" });
    expect(new URL(tab.url()).searchParams.get("file")).toBe(file);
    const marimo = new MarimoPage(tab);
    await marimo.waitForKernel(patience);
    await tab.locator(".output", { hasText: "42" }).first().waitFor({ timeout: patience });
    if (link !== undefined) expect(lstatSync(linkOf(link)).isSymbolicLink()).toBe(true);
    expect(errors).toEqual([]);
  });

  it("does so behind the gateway as it was reported", async () => {
    const { port } = new URL(container.url);
    const { faults } = gatewayProfiles["reported-studio"];
    const gateway = await startGateway({ faults, upstreamPort: () => Number(port) });
    try {
      const page = await fileBrowser("project", `${gateway.url}/jupyterlab/default`);
      const tab = await openInMarimo(page, "it's 100%.py");
      await tab.waitForURL(/\/marimo\//, { timeout: patience, waitUntil: "commit" });
      await new MarimoPage(tab).waitForKernel(patience);
    } finally {
      for (const page of context.pages()) await page.close();
      await gateway.close();
    }
  });

  it("offers it for a single Python or Markdown file, and nothing else", async () => {
    const page = await fileBrowser("project");
    for (const name of ["data.csv", "folder.py"]) {
      expect(await rightClick(page, name)).not.toContain(label);
      await page.keyboard.press("Escape");
    }
    await page.getByText("script.py", { exact: true }).click();
    await page.getByText("read.md", { exact: true }).click({ modifiers: ["Control"] });
    expect(await rightClick(page, "script.py")).not.toContain(label);
  });

  it.each(["script.py", "read.md"])("says that %s is no notebook, and leaves it as it is", async (name) => {
    const file = join(space.home, "project", name);
    const before = readFileSync(file, "utf8");
    const page = await fileBrowser("project");
    const text = await refusal(page, name);
    expect(text).toContain(`${file} is no marimo notebook`);
    expect(text).toContain(`marimo convert ${file} -o NAME.py`);
    expect(readFileSync(file, "utf8")).toBe(before);
  });

  it("says what to do where another file has the link's name", async () => {
    space.write(join(space.home, "deeper/project/mine.py"), notebook);
    const page = await fileBrowser("deeper/project");
    expect(await refusal(page, "mine.py")).toContain("there is another project. Link it there");
    expect(existsSync(linkOf("project/mine.py"))).toBe(false);
  });
});

describe("the address that the file browser asks", () => {
  const ask = (headers: Record<string, string>, body = JSON.stringify({ path: "other/secret.py" })) =>
    fetch(`${container.url}/sagemaker-marimo/open`, { method: "POST", headers, body });
  /** What JupyterLab's own page sends: Jupyter's XSRF token, in a cookie and in a header. */
  async function own(): Promise<Record<string, string>> {
    const page = await fetch(`${container.url}/lab`);
    const cookie = page.headers.getSetCookie().find((one) => one.startsWith("_xsrf="));
    const token = cookie?.split(";")[0] ?? "";
    return { Cookie: token, "X-XSRFToken": token.slice("_xsrf=".length), "Sec-Fetch-Site": "same-origin" };
  }
  beforeAll(() => space.write(join(space.home, "other/secret.py"), notebook));
  afterEach(() => rmSync(linkOf("other"), { force: true }));

  it("answers JupyterLab's own page", async () => {
    const answer = await ask(await own());
    expect([answer.status, await answer.json()]).toEqual([200, { path: "marimo/?file=other%2Fsecret.py" }]);
    expect(existsSync(linkOf("other"))).toBe(true);
  });

  it.each([
    ["of another site", { "Sec-Fetch-Site": "cross-site" }],
    ["of a sibling space", { "Sec-Fetch-Site": "same-site" }],
    ["of another site in an older browser", { "Sec-Fetch-Site": "", Origin: "https://evil.example" }],
    ["without JupyterLab's token", { "X-XSRFToken": "", Cookie: "" }],
  ])("refuses a page %s, and makes no link", async (_, headers) => {
    const sent = Object.entries({ ...(await own()), ...headers }).filter(([, value]) => value !== "");
    expect((await ask(Object.fromEntries(sent))).status).toBe(403);
    expect(existsSync(linkOf("other"))).toBe(false);
  });

  it("refuses another origin's page in a real browser, which makes no link either", async () => {
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
      expect(existsSync(linkOf("other"))).toBe(false);
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
  ])("refuses %j", async (body, status) => {
    space.write(join(space.folder, "outside.py"), notebook);
    expect((await ask(await own(), body)).status).toBe(status);
  });
});

describe("private interfaces of JupyterLab", () => {
  it("are there: the registry of containers, and the shared packages that ours asks for", async () => {
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

describe("a person's own configuration that takes the extension's folder away", () => {
  it("has JupyterLab and marimo, without the item", async () => {
    space.write(
      join(space.home, ".jupyter/jupyter_server_config.py"),
      "c.LabServerApp.extra_labextensions_path = []\n",
    );
    await start();
    const page = await fileBrowser("project");
    expect(await rightClick(page, "it's 100%.py")).not.toContain(label);
  });
});
