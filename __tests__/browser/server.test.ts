import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { notebook } from "../../scripts/bench/slider-notebook.ts";
import type { Gateway } from "../../src/local-studio/gateway.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import {
  defaultGateway,
  marimoInstalled,
  marimoServer,
  signalMarimo,
  startSpaceWith,
} from "../support/space-browser.ts";
import { type Container, type Space, until } from "../support/space-fixture.ts";

describe("marimo's server", () => {
  let space: Space;
  let container: Container;
  let gateway: Gateway;
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    ({ space, container } = await startSpaceWith({ one: notebook, two: notebook }));
    gateway = await defaultGateway(container);
    browser = await launchBrowser();
  });
  beforeEach(async () => {
    await context?.close();
    context = await contextWithoutAnimations(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    await space?.dispose();
  });

  const home = () => `${gateway.url}/jupyterlab/default/marimo/`;
  const marimo = (path: string, init: RequestInit = {}) => fetch(`${container.url}/marimo/${path}`, init);

  const ended = () => until("the end of the server", async () => (await marimoServer(space)) === undefined);

  async function open(name: string, tab?: Page): Promise<MarimoPage> {
    const page = new MarimoPage(tab ?? (await context.newPage()));
    await page.open(`${home()}?file=${name}.py`, patience);
    await page.waitForKernel(patience);
    return page;
  }

  it("is started again by the next visit after a shutdown on the home page", async () => {
    const notebookTab = await context.newPage();
    await open("one", notebookTab);
    const tab = await context.newPage();
    await tab.goto(home());
    await tab.getByTestId("shutdown-button").first().click({ timeout: patience });
    await tab.getByRole("button", { name: "Confirm Shutdown" }).click({ timeout: patience });
    await ended();
    // An open page's automatic requests would start it again at once.
    await until("a refusal", async () => {
      const poll = await marimo("api/home/running_notebooks", { method: "POST" });
      return poll.status === 503;
    });
    expect(await marimoServer(space)).toBeUndefined();
    await tab.close();
    // An open notebook says so, and its link reloads it.
    await notebookTab.getByRole("link", { name: "Start it again" }).click({ timeout: patience });
    await until("a new server", async () => (await marimoServer(space)) !== undefined);
    await new MarimoPage(notebookTab).waitForKernel(patience);
  });

  it("is not ended by a second tab that only reads, or by any session that it does not know", async () => {
    await marimoInstalled(container);
    const before = await marimoServer(space);
    const unknown = { method: "POST", headers: { "Marimo-Session-Id": "s_nobody" } };
    expect(await (await marimo("api/kernel/shutdown", unknown)).json()).toEqual({ success: true });
    await open("one");
    const readerTab = await context.newPage();
    const reader = await open("one", readerTab);
    expect(await reader.isReader()).toBe(true);
    await readerTab.getByTestId("shutdown-button").first().click({ timeout: patience });
    await readerTab.getByRole("button", { name: "Confirm Shutdown" }).click({ timeout: patience });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await marimoServer(space)).toBe(before);
  });

  it("is started again after it was killed, by the open page itself", async () => {
    await open("two");
    const before = await signalMarimo(space, "SIGKILL");
    const after = await until("another server", async () => {
      const now = await marimoServer(space);
      return now === undefined || now === before ? undefined : now;
    });
    expect(after).not.toBe(before);
  });

  it("shows what another program changes in an open notebook, and loses neither that nor the page's edits", async () => {
    const tab = await context.newPage();
    await open("one", tab);
    const file = join(space.home, "marimo-notebooks/one.py");
    await tab.locator("[data-cell-id] .cm-content").nth(2).click({ timeout: patience });
    await tab.keyboard.press("Control+End");
    // marimo's server knows of the edit before it sees the other program's change, and the page does not know of that.
    const sent = tab.waitForResponse(/document\/transaction/);
    await tab.keyboard.type("  # by me");
    await sent;
    writeFileSync(
      file,
      readFileSync(file, "utf8").replace("import marimo as mo", "import marimo as mo  # by git"),
    );
    await tab.keyboard.press("Control+s");
    await tab.getByText("# by git").waitFor({ timeout: patience });
    expect(readFileSync(file, "utf8")).toContain("# by git");
    await until("both in the file", () => /# by git.*# by me/s.test(readFileSync(file, "utf8")));
  });

  it("shows why it does not start, and starts when that is mended", async () => {
    const module = join(space.state, "environments/current/lib");
    const file = (await space.run("find", [`${module}/`, "-path", "*/marimo/__init__.py"])).stdout.trim();
    const content = readFileSync(file, "utf8");
    renameSync(file, `${file}.kept`);
    writeFileSync(file, "raise ImportError('starlette is missing')\n");
    await signalMarimo(space, "SIGKILL");
    await ended();
    const tab = await context.newPage();
    await tab.goto(home());
    // The page starts it again, which fails at once.
    await tab.getByText("ImportError: starlette is missing").waitFor({ timeout: patience });
    const text = await tab.locator("body").innerText();
    expect(text).toContain("marimo does not start");
    expect(text).toContain("it ended with status 1");
    expect(text).toContain("marimo-doctor");
    writeFileSync(file, content);
    await tab.getByText("one.py").first().waitFor({ timeout: patience });
  });
});
