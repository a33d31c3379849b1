import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { type GatewayFaults, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, realPayload, Space, until } from "./space-fixture.ts";

const patience = 60_000;
const names = ["from_panel", "from_terminal"];
/** A slider, and a cell that shows with each move which of those packages its kernel can import. */
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
let context: BrowserContext;

async function start(): Promise<void> {
  container = await space.start(python);
  expect(container.events.at(-1)?.event).toBe("ready");
  await until(
    "marimo's page",
    async () => {
      const page = await fetch(`${container.url}/marimo/`);
      return (page.ok && page.headers.get("X-Marimo-Installation") === null) || undefined;
    },
    180,
  );
}

const gatewayWith = (faults: GatewayFaults, port?: number) =>
  startGateway({
    faults,
    upstreamPort: () => Number(new URL(container.url).port),
    ...(port === undefined ? {} : { port }),
  });

beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  space.upload({ ...realPayload(), "settings.env": "MARIMO_TRANSPORT=auto\nMARIMO_APPS_FOLDER=apps\n" });
  for (const name of ["panels", "apps/one", "apps/two"])
    space.write(join(space.home, `marimo-notebooks/${name}.py`), notebook);
  await start();
  gateway = await gatewayWith(gatewayProfiles["reported-studio"].faults);
  space.write(join(space.aws, "space-url"), `${gateway.url}\n`);
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ AppType: "JupyterLab", DomainId: "d-abc", SpaceName: "mine" }),
  );
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space.dispose();
});
const gateways: Gateway[] = [];
// One for each test: marimo's page remembers which panels were open.
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
});
afterEach(async () => {
  await context.close();
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

/** Opens marimo's terminal; tells how often it connected, and what it was sent. */
async function openTerminal(page: Page) {
  const terminal = { connections: 0, received: "" };
  page.on("websocket", (socket) => {
    if (!socket.url().includes("/terminal/ws")) return;
    terminal.connections++;
    socket.on("framereceived", ({ payload }) => {
      terminal.received += payload;
    });
  });
  await new MarimoPage(page).openTerminal(patience);
  return terminal;
}

async function type(page: Page, terminal: { received: string }, command: string, answer: RegExp) {
  await until("the shell's prompt", () => /[#$] (\S*\[K)?$/.test(terminal.received) || undefined, 30);
  terminal.received = "";
  await page.keyboard.type(`${command}\n`);
  const found = await until(
    `the answer of ${command}`,
    () => answer.exec(terminal.received) ?? undefined,
    60,
  );
  return found[1] ?? "";
}

/** What the terminal shows: it is drawn, so it is selected and copied as a person would. */
async function shown(page: Page): Promise<string> {
  for (const choice of ["Select all", "Copy"]) {
    await page.locator(".xterm-screen").click({ button: "right", position: { x: 20, y: 10 } });
    await page.getByRole("button", { name: choice }).click();
  }
  await page.locator(".xterm-screen").click();
  return page.evaluate("navigator.clipboard.readText()");
}

/** Opens one of marimo's panels by the command palette. */
async function openPanel(page: Page, name: string): Promise<void> {
  await page.keyboard.press("Control+K");
  await page.getByPlaceholder("Type to search...").fill(`Helper panel > ${name}`, { timeout: patience });
  await page.getByRole("option", { name: `Helper panel > ${name}` }).click({ timeout: patience });
}

/** Keeps page_sockets.js from taking its place. */
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
    await type(page, terminal, 'echo "$((6 * 7)) in $VIRTUAL_ENV"', /42 in \S+\/environments\/3/);
    expect(await shown(page)).toContain(`42 in ${join(space.state, "environments")}`);
    // Its size came through though the query was dropped: marimo begins with 80 columns.
    expect(Number(await type(page, terminal, "stty size", /[\r\n]\d+ (\d+)\r/))).toBeGreaterThan(100);
    expect(terminal.connections).toBe(1);
  });

  it("says so where no WebSocket gets through, and does not try for ever", async () => {
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

  it("would fold itself away without a word there, if it were marimo's own", async () => {
    const closed = await gatewayWith(gatewayProfiles["websocket-closed"].faults);
    gateways.push(closed);
    await context.addInitScript(marimosOwn);
    const { page } = await openNotebook(closed);
    await page.keyboard.press("Control+Backquote");
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    await until("a connection", () => sockets.length > 0 || undefined);
    await page.waitForTimeout(2000);
    expect(await page.locator(".xterm").isVisible()).toBe(false);
  });

  it("installs for marimo's kernels, and `marimo new` prints an address that opens", async () => {
    const { page, marimo } = await openNotebook();
    await page.getByText("of 1000: none").waitFor({ timeout: patience });
    const wheel = await space.wheel("from_terminal", python);
    const terminal = await openTerminal(page);
    await type(page, terminal, `NO_COLOR=1 uv pip install ${wheel}`, /(\+ from-terminal==1\.0)/);
    // The image's own AWS CLI would ask AWS.
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

/** A new notebook opens, and its first cell runs. */
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

  it("says so when a package cannot be had", async () => {
    const { page } = await openNotebook();
    await install(page, join(space.folder, "wheels/nowhere-1.0-py3-none-any.whl"));
    await page.getByText("Failed to add").first().waitFor({ timeout: patience });
  });

  it("adds a package that kernels import, and that outlives the app", async () => {
    const wheel = await space.wheel("from_panel", python);
    const { page, marimo } = await openNotebook();
    await install(page, wheel);
    await page.getByText("from-panel", { exact: true }).first().waitFor({ timeout: patience });
    await marimo.moveSlider(patience);
    await page.getByText("of 1000: from_panel").waitFor({ timeout: patience });
    await page.close();

    // Studio keeps the home and resets the image's prefix.
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
    // An app shows what cells show, and no code.
    expect(await page.locator(".cm-content:visible").count()).toBe(0);
    await page.close();
  };

  it("prints the address of a notebook as an app, whose slider works", async () => {
    const [address = "", ...others] = await addresses(home("panels.py"));
    expect(others).toEqual([]);
    await runs(address);
    // The editor, for comparison, shows the code.
    const { page } = await openNotebook();
    expect(await page.locator(".cm-content:visible").count()).toBeGreaterThan(0);
  });

  it("prints an address for each app of a folder, and each opens", async () => {
    const found = await addresses(home("apps"));
    expect(found).toHaveLength(2);
    for (const address of found) await runs(address);
  });
});

describe("the gallery of apps", () => {
  const gallery = "/jupyterlab/default/marimo-apps/";

  it("is a tile in the launcher beside marimo's", async () => {
    const servers = await (await fetch(`${container.url}/server-proxy/servers-info`)).json();
    expect(servers).toMatchObject({
      server_processes: [
        { name: "marimo" },
        { name: "marimo-apps", launcher_entry: { title: "marimo apps", path_info: "marimo-apps/" } },
      ],
    });
  });

  it("opens each app of its folder, without code, and the slider works", async () => {
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

  it("lists an app that was put there since", async () => {
    space.write(home("apps/three.py"), notebook);
    const page = await context.newPage();
    await page.goto(`${gateway.url}${gallery}`);
    await page.getByText("Three", { exact: true }).first().waitFor({ timeout: patience });
  });

  it("is refused to other origins, and there for JupyterLab alone", async () => {
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

describe("Copilot and a language server, with what they need missing from the image", () => {
  /** How often a page connects to them in 20 s, and what that leaves in the app's log. */
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

  it("leave the page working, are tried less and less often, and fill no log", async () => {
    const { found, logged } = await attempts();
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(15);
    expect(logged).toBeLessThan(20_000);
  });

  it("would be tried for ever, if it were marimo's own", async () => {
    await context.addInitScript(marimosOwn);
    // Ten times a second where the machine keeps up: more in any case than the test above allows.
    expect((await attempts()).found).toBeGreaterThanOrEqual(15);
  });
});
