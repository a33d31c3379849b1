import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { type GatewayFaults, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled, openPanel } from "../support/space-browser.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";

const names = ["from_panel", "from_terminal"];
/** A slider, and a cell that shows with each move which of these packages its kernel can import. */
const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    import importlib.util

    import marimo as mo
    return importlib, mo


@app.cell
def _(mo):
    slider = mo.ui.slider(0, 1000)
    slider
    return (slider,)


@app.cell
def _(importlib, slider):
    importlib.invalidate_caches()
    found = [name for name in ${JSON.stringify(names)} if importlib.util.find_spec(name)]
    f"at {slider.value} of 1000: {' '.join(found) or 'none'}"
    return


if __name__ == "__main__":
    app.run()
`;

let python: string;
let space: Space;
let container: Container;
let gateway: Gateway;
let browser: Browser;
/** The context of all tests except those that change the pages' scripts. */
let shared: BrowserContext;
let context: BrowserContext;

async function contextWithClipboard(): Promise<BrowserContext> {
  const one = await newContext(browser);
  await one.grantPermissions(["clipboard-read", "clipboard-write"]);
  return one;
}

async function start(): Promise<void> {
  container = await space.start(python);
  expect(container.events.at(-1)?.event).toBe("ready");
  await marimoInstalled(container);
}

const gatewayWith = (faults: GatewayFaults, port?: number) =>
  startGateway({
    faults,
    upstreamPort: () => Number(new URL(container.url).port),
    port,
  });

beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  space.upload({ ...realPayload(), "settings.env": `${runOnOpen}MARIMO_APPS_FOLDER=apps\n` });
  for (const name of ["panels", "apps/one", "apps/two"])
    space.write(join(space.home, `marimo-notebooks/${name}.py`), notebook);
  await start();
  gateway = await gatewayWith(gatewayProfiles["reported-studio"].faults);
  space.write(join(space.aws, "space-url"), `${gateway.url}\n`);
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ AppType: "JupyterLab", DomainId: "d-abc", SpaceName: "mine" }),
  );
  browser = await launchBrowser();
  shared = await contextWithClipboard();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space.dispose();
});
const gateways: Gateway[] = [];
beforeEach(() => {
  context = shared;
});
afterEach(async () => {
  // marimo's page stores which panels are open. The browser's cache keeps its files.
  for (const page of context.pages()) {
    await page.evaluate("localStorage.clear()");
    await page.close();
  }
  if (context !== shared) await context.close();
  for (const one of gateways.splice(0)) await one.close();
});

const marimoAt = ({ url }: Gateway, query = "") => `${url}/jupyterlab/default/marimo/${query}`;

async function openNotebook(from = gateway, name = "panels.py"): Promise<{ page: Page; marimo: MarimoPage }> {
  const page = await context.newPage();
  const marimo = new MarimoPage(page);
  await marimo.open(marimoAt(from, `?file=${name}`), patience);
  await marimo.waitForKernel(patience);
  await marimo.waitForOutputs(patience);
  return { page, marimo };
}

/** Opens marimo's terminal; counts its connections and records the received text. */
async function openTerminal(page: Page) {
  const terminal = { connections: 0, received: "", sizesAfterOutput: 0 };
  page.on("websocket", (socket) => {
    if (!socket.url().includes("/terminal/ws")) return;
    terminal.connections++;
    socket.on("framereceived", ({ payload }) => {
      terminal.received += payload;
    });
    socket.on("framesent", ({ payload }) => {
      if (terminal.received && /"resize"/.test(String(payload))) terminal.sizesAfterOutput++;
    });
  });
  await new MarimoPage(page).openTerminal(patience);
  return terminal;
}

async function type(page: Page, terminal: { received: string }, command: string, answer: RegExp) {
  await until("the shell's prompt", () => /[#$] (\S*\[K)?$/.test(terminal.received) || undefined);
  terminal.received = "";
  await page.keyboard.type(`${command}\n`);
  const found = await until(
    `the answer of ${command}`,
    () => answer.exec(terminal.received) ?? undefined,
    60,
  );
  return found[1] ?? "";
}

/** The text in the terminal. It is drawn on a canvas, so it is selected and copied. */
async function shown(page: Page): Promise<string> {
  for (const choice of ["Select all", "Copy"]) {
    await page.locator(".xterm-screen").click({ button: "right", position: { x: 20, y: 10 } });
    await page.getByRole("button", { name: choice }).click();
  }
  await page.locator(".xterm-screen").click();
  return page.evaluate("navigator.clipboard.readText()");
}

/** Prevents page_sockets.js from replacing the browser's WebSocket. */
const marimosOwn = "Object.defineProperty(window, 'WebSocket', { writable: false })";

const home = (...path: string[]) => join(space.home, "marimo-notebooks", ...path);

describe("marimo's terminal", () => {
  it.each([
    ["reported-studio", gatewayProfiles["reported-studio"].faults],
    ["cookies-dropped", gatewayProfiles["cookies-dropped"].faults],
    ["none", {}],
    ["none, with the Host rewritten", { rewriteHost: true }],
  ] as const)("runs commands behind the gateway %s", async (_, faults) => {
    const behind = await gatewayWith(faults);
    gateways.push(behind);
    const { page } = await openNotebook(behind);
    const terminal = await openTerminal(page);
    await until("the size, after the shell has set its own", () => terminal.sizesAfterOutput > 0);
    await type(page, terminal, 'echo "$((6 * 7)) in $VIRTUAL_ENV"', /42 in \S+\/environments\/3/);
    expect(await shown(page)).toContain(`42 in ${join(space.state, "environments")}`);
    // The size is transmitted although the query string is removed. marimo starts with 80 columns, and the page sends
    // the size when it has drawn the terminal, which can be after the first prompt.
    const columns = async () => Number(await type(page, terminal, "stty size", /[\r\n]\d+ (\d+)\r/));
    await expect.poll(columns).toBeGreaterThan(100);
    expect(terminal.connections).toBe(1);
  });

  it("shows that no WebSocket can connect, and does not retry endlessly", async () => {
    const closed = await gatewayWith(gatewayProfiles["websocket-closed"].faults);
    gateways.push(closed);
    const { page, marimo } = await openNotebook(closed);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    const terminal = await openTerminal(page);
    await until("the terminal's end", () => terminal.connections === 1 || undefined);
    await page.waitForTimeout(2000);
    await page.keyboard.type("ls\n");
    expect(await page.locator(".xterm").isVisible()).toBe(true);
    expect(await shown(page)).toContain("File > New > Terminal");
    expect([terminal.connections, errors]).toEqual([1, []]);
    await page.keyboard.press("Control+Backquote");
    await marimo.moveSlider(patience);
  });

  it("closes without a message in unmodified marimo", async () => {
    const closed = await gatewayWith(gatewayProfiles["websocket-closed"].faults);
    gateways.push(closed);
    context = await contextWithClipboard();
    await context.addInitScript(marimosOwn);
    const { page } = await openNotebook(closed);
    await page.keyboard.press("Control+Backquote");
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    await until("a connection", () => sockets.length > 0 || undefined);
    await page.waitForTimeout(2000);
    expect(await page.locator(".xterm").isVisible()).toBe(false);
  });

  it("installs packages for marimo's kernels, and `marimo new` prints a URL that works", async () => {
    const { page, marimo } = await openNotebook();
    await page.getByText("of 1000: none").waitFor({ timeout: patience });
    const wheel = await space.wheel("from_terminal", python);
    const terminal = await openTerminal(page);
    await type(page, terminal, `NO_COLOR=1 uv pip install ${wheel}`, /(\+ from-terminal==1\.0)/);
    // The AWS CLI of the image would call AWS.
    const address = await type(
      page,
      terminal,
      `PATH="${space.bin}:$PATH" marimo new`,
      /marimo: (http\S+__new__\S+)/,
    );
    expect(address).toMatch(marimoAt(gateway));
    await page.keyboard.press("Control+Backquote");
    await marimo.moveSlider(patience);
    await page.getByText("of 1000: from_terminal").waitFor({ timeout: patience });
    await newNotebookRuns(await context.newPage(), address);
  });
});

/** Checks that a new notebook opens and that its first cell runs. */
async function newNotebookRuns(page: Page, address?: string): Promise<void> {
  if (address !== undefined) await page.goto(address);
  const marimo = new MarimoPage(page);
  await marimo.waitForKernel(patience);
  await page.locator(".cm-content").first().click();
  await page.keyboard.insertText("f'{6 * 7} it is'");
  await page.keyboard.press("Control+Enter");
  await page.getByText("42 it is").waitFor({ timeout: patience });
}

describe("marimo's home page", () => {
  it("opens a new notebook", async () => {
    const page = await context.newPage();
    await page.goto(marimoAt(gateway));
    const opened = page.waitForEvent("popup", { timeout: patience });
    await page.getByText("Create a new notebook").click();
    await newNotebookRuns(await opened);
  });
});

describe("marimo's file explorer", () => {
  it("lists, creates, renames, and opens files", async () => {
    const { page } = await openNotebook();
    await openPanel(page, "Files");
    const row = (name: string) => page.getByRole("treeitem").filter({ hasText: name });
    // With two roots, marimo shows both collapsed.
    await row("marimo-notebooks").click({ timeout: patience });
    await row("prices.csv").waitFor({ timeout: patience });
    await page.getByTestId("file-explorer-add-file-button").click();
    await page.keyboard.type("made.txt");
    await page.keyboard.press("Enter");
    await row("made.txt").waitFor({ timeout: patience });
    expect(existsSync(home("made.txt"))).toBe(true);

    const choose = async (name: string, choice: string) => {
      await row(name).hover();
      await row(name).getByTestId("file-explorer-more-button").click();
      await page.getByRole("menuitem", { name: choice, exact: true }).click();
    };
    await choose("made.txt", "Rename");
    await page.getByRole("treeitem").locator("input").fill("renamed.txt");
    await page.keyboard.press("Enter");
    await row("renamed.txt").waitFor({ timeout: patience });
    expect([existsSync(home("made.txt")), existsSync(home("renamed.txt"))]).toEqual([false, true]);

    space.write(home("renamed.txt"), "written by another program");
    await choose("renamed.txt", "Open file");
    await page.getByText("written by another program").waitFor({ timeout: patience });
  });
});

describe("marimo's package panel", () => {
  const install = async (page: Page, what: string) => {
    await openPanel(page, "Packages");
    const input = page.getByPlaceholder("Install packages with uv");
    await input.fill(what, { timeout: patience });
    await input.press("Enter");
    return input;
  };

  it("reports that a package cannot be installed", async () => {
    const { page } = await openNotebook();
    await install(page, join(space.folder, "wheels/nowhere-1.0-py3-none-any.whl"));
    await page.getByText("Failed to add").first().waitFor({ timeout: patience });
  });

  it("adds a package that kernels can import, and that is kept after a restart of the app", async () => {
    const wheel = await space.wheel("from_panel", python);
    const { page, marimo } = await openNotebook();
    await install(page, wheel);
    await page.getByText("from-panel", { exact: true }).first().waitFor({ timeout: patience });
    await marimo.moveSlider(patience);
    await page.getByText("of 1000: from_panel").waitFor({ timeout: patience });
    await page.close();

    // Studio keeps the home folder and resets the image's prefix.
    await container.stop();
    const reset = join(space.prefix, "left-behind");
    space.write(reset, "");
    rmSync(join(space.folder, "wheels"), { recursive: true });
    await start();
    expect(existsSync(reset)).toBe(false);
    const again = await openNotebook();
    await again.page.getByText(`of 1000: ${names.join(" ")}`).waitFor({ timeout: patience });
    await again.page.getByText("from-panel", { exact: true }).first().waitFor({ timeout: patience });
  });
});

describe("marimo run", () => {
  const addresses = async (what: string) => {
    const environment = { ...space.environment, PATH: `${space.bin}:${space.prefix}/bin:/usr/bin:/bin` };
    const { stdout, stderr } = await space.run("marimo", ["run", what], environment);
    const found = [...stdout.matchAll(/^marimo: (.*)$/gm)].map(([, address]) => address ?? "");
    expect(found, stdout + stderr).not.toEqual([]);
    return found;
  };

  const runs = async (address: string) => {
    const page = await context.newPage();
    const marimo = new MarimoPage(page);
    await marimo.open(address, patience);
    await marimo.waitForKernel(patience);
    await page.getByText(/at \d+ of 1000/).waitFor({ timeout: patience });
    const slider = page.locator("marimo-slider").getByRole("slider");
    const before = Number(await slider.getAttribute("aria-valuenow"));
    await slider.focus();
    await page.keyboard.press("ArrowRight");
    await page.getByText(`at ${before + 1} of 1000`).waitFor({ timeout: patience });
    // An app shows the outputs of cells without their code.
    expect(await page.locator(".cm-content:visible").count()).toBe(0);
    await page.close();
  };

  it("prints the URL of a notebook as an app, whose slider works", async () => {
    const [address = "", ...others] = await addresses(home("panels.py"));
    expect(others).toEqual([]);
    await runs(address);
    // Control: the editor shows the code.
    const { page } = await openNotebook();
    expect(await page.locator(".cm-content:visible").count()).toBeGreaterThan(0);
  });

  it("prints a URL for each app of a folder, and each URL works", async () => {
    const found = await addresses(home("apps"));
    expect(found).toHaveLength(2);
    for (const address of found) await runs(address);
  });
});

describe("the gallery of apps", () => {
  const gallery = "/jupyterlab/default/marimo-apps/";

  it("has a tile in the launcher next to marimo's", async () => {
    const servers = await (await fetch(`${container.url}/server-proxy/servers-info`)).json();
    expect(servers).toMatchObject({
      server_processes: [
        { name: "marimo" },
        { name: "marimo-jobs" },
        { name: "marimo-apps", launcher_entry: { title: "marimo apps", path_info: "marimo-apps/" } },
      ],
    });
  });

  it("opens the apps of its folder without code, and the slider works", async () => {
    const page = await context.newPage();
    await page.goto(`${gateway.url}${gallery}`);
    await page.getByText("Two", { exact: true }).first().waitFor({ timeout: patience });
    expect(await page.getByText("Panels", { exact: true }).count()).toBe(0);
    await page.goto(`${gateway.url}${gallery}?file=one.py`);
    await page.getByText(/at \d+ of 1000/).waitFor({ timeout: patience });
    const slider = page.locator("marimo-slider").getByRole("slider");
    await slider.focus();
    await page.keyboard.press("ArrowRight");
    await page.getByText("at 1 of 1000").waitFor({ timeout: patience });
    expect(await page.locator(".cm-content:visible").count()).toBe(0);
  });

  it("lists an app that was added later", async () => {
    space.write(home("apps/three.py"), notebook);
    const page = await context.newPage();
    await page.goto(`${gateway.url}${gallery}`);
    await page.getByText("Three", { exact: true }).first().waitFor({ timeout: patience });
  });

  it("rejects other origins, and accepts only JupyterLab on its own port", async () => {
    const ask = (headers: Record<string, string>) =>
      fetch(`${container.url}/marimo-apps/api/kernel/interrupt`, { method: "POST", headers });
    expect((await ask({ "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
    expect((await ask({})).status).not.toBe(403);
    const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
    const line = stdout.split("\n").find((one) => one.includes(`run ${home("apps")}`)) ?? "";
    const port = /--port (\d+)/.exec(line)?.[1];
    const own = await fetch(`http://127.0.0.1:${port}${gallery}api/status/connections`);
    expect(own.status).toBe(401);
  });
});

describe("Copilot and a language server, whose dependencies are not in the image", () => {
  /** Counts the connections of a page to them in 20 s, and the characters in the app's log. */
  const attempts = async () => {
    const before = readFileSync(space.log, "utf8").length;
    const page = await context.newPage();
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(new URL(socket.url()).pathname));
    const marimo = new MarimoPage(page);
    await marimo.open(marimoAt(gateway, "?file=panels.py"), patience);
    await marimo.waitForKernel(patience);
    await marimo.waitForOutputs(patience);
    await until("an attempt", () => sockets.length > 0 || undefined);
    await page.waitForTimeout(20_000);
    await marimo.moveSlider(patience);
    const found = sockets.filter((path) => path.includes("/marimo/lsp/")).length;
    return { found, logged: readFileSync(space.log, "utf8").length - before };
  };

  beforeAll(async () => {
    await container.stop();
    space.write(
      join(space.home, ".config/marimo/marimo.toml"),
      '[completion]\ncopilot = "github"\n[language_servers.pylsp]\nenabled = true\n',
    );
    await start();
  });

  it("do not affect the page, are retried with increasing delays, and do not fill the log", async () => {
    const { found, logged } = await attempts();
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(15);
    expect(logged).toBeLessThan(20_000);
  });

  it("are retried endlessly in unmodified marimo", async () => {
    context = await contextWithClipboard();
    await context.addInitScript(marimosOwn);
    // Up to ten times per second, and in any case more often than the test above allows.
    expect((await attempts()).found).toBeGreaterThanOrEqual(15);
  });
});
