import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { realPayload, Space, smallPayload, until } from "./space-fixture.ts";

const patience = 90_000;

let space: Space;
beforeEach(() => {
  space = new Space();
});
afterEach(() => space.dispose());

const config = () => space.read("prefix/etc/jupyter/jupyter_server_config.py");
const spaceLog = () => space.read("home/.local/share/sagemaker-marimo/log/space.log");

describe("the lifecycle script, where there is no payload", () => {
  it("puts one entry into Jupyter's configuration, however often it runs, and leaves what is there", async () => {
    space.write(join(space.prefix, "etc/jupyter/jupyter_server_config.py"), "c.ServerApp.answer = 42\n");
    for (let times = 0; times < 2; times++) expect((await space.runLifecycleScript()).status).toBe(0);
    expect(config()).toMatch(/^c\.ServerApp\.answer = 42\n/);
    expect(config().split("c.ServerProxy.servers.update")).toHaveLength(2);
    expect(readdirSync(join(space.prefix, "etc/jupyter"))).toEqual(["jupyter_server_config.py"]);
  });

  it("has start.sh put marimo's own entry in its place once there is one", async () => {
    await space.runLifecycleScript();
    expect(config()).toContain("marimo is not here yet");
    space.upload({ ...realPayload(), "install.sh": "" });
    const { stdout } = await space.runLifecycleScript();
    expect(config(), stdout).toContain("_configure(get_config())");
    expect(config()).not.toContain("marimo is not here yet");
  });

  it("ends with 0 where the prefix cannot be written to, and says what is missing", async () => {
    rmSync(space.prefix, { recursive: true });
    writeFileSync(space.prefix, "");
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain(`${space.prefix} cannot be written to: marimo has no tile in the launcher`);
  });

  it("goes on trying in the background, and sets up what comes", async () => {
    space.refuseAws("Could not connect to the endpoint URL");
    const { status } = await space.runLifecycleScript({
      ...space.environment,
      MARIMO_RETRY_SECONDS: "1 ".repeat(30),
    });
    expect(status).toBe(0);
    await expect.poll(() => spaceLog().split("Could not connect").length, { timeout: 20_000 }).toBe(4);
    space.upload(smallPayload());
    space.refuseAws(undefined);
    await expect.poll(spaceLog, { timeout: 20_000 }).toContain("marimo is here");
    expect(space.read("home/started")).toContain("started ");
  });

  it("gives up in the end", async () => {
    space.refuseAws("Could not connect to the endpoint URL");
    await space.runLifecycleScript({ ...space.environment, MARIMO_RETRY_SECONDS: "0 0" });
    await expect.poll(() => spaceLog().split("Could not connect").length, { timeout: 20_000 }).toBe(4);
    const calls = space.awsCalls().length;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(space.awsCalls()).toHaveLength(calls);
  });
});

describe("a space's first app without a payload", () => {
  let python: string;
  let browser: Browser;
  beforeAll(async () => {
    python = (await pythonEnvironment("image")).python;
    browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  });
  afterAll(() => browser.close());

  async function clickTile(url: string): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${url}/lab?reset`, { timeout: patience, waitUntil: "commit" });
    const tile = page.locator(".jp-LauncherCard-label", { hasText: "marimo" }).first();
    await tile.waitFor({ timeout: patience });
    const tab = context.waitForEvent("page");
    await tile.click();
    return tab;
  }

  it("has marimo's tile, which says why it is not there, then that it has come, and is marimo in the next app", async () => {
    space.refuseAws("Could not connect to <b>the endpoint</b>");
    const environment = { ...space.environment, MARIMO_RETRY_SECONDS: "2 ".repeat(100) };
    const container = await space.start(python, { environment });
    expect(container.events.at(-1)?.event).toBe("ready");
    const page = await clickTile(container.url);
    await page.getByRole("heading", { name: "marimo is not here yet" }).waitFor({ timeout: patience });
    const text = await page.locator("body").innerText();
    expect(text).toContain("Could not connect to <b>the endpoint</b>");
    expect(text).toContain("s3:GetObject");
    expect(text).toContain("JupyterLab is not affected");
    const answer = await fetch(`${container.url}/marimo/`);
    expect([answer.status, answer.headers.get("X-Marimo-Installation")]).toEqual([
      503,
      "marimo is not here yet",
    ]);
    // A socket in a folder of JupyterLab's own, and no port that another program or user could ask.
    const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
    const socket = "jupyter-server-proxy-\\S+/socket";
    expect(stdout).toMatch(new RegExp(`${socket} ${space.prefix}/etc/jupyter/jupyter_server_config\\.py`));

    space.upload(realPayload());
    space.refuseAws(undefined);
    // The page finds out by itself.
    await page.getByRole("heading", { name: "marimo has arrived" }).waitFor({ timeout: patience });
    expect(await page.locator("body").innerText()).toContain("stop this space, and run it again");
    await container.stop();

    const next = await space.start(python);
    expect(config()).not.toContain("marimo is not here yet");
    await until(
      "marimo's page",
      async () => (await (await fetch(`${next.url}/marimo/`)).text()).includes("<marimo-") || undefined,
      240,
    );
  });

  it("has it also where the home folder has no place for marimo", async () => {
    space.upload(realPayload());
    space.write(space.state, "a file where marimo's folder would be");
    const container = await space.start(python);
    expect(container.events.at(-1)?.event).toBe("ready");
    const text = await (await fetch(`${container.url}/marimo/`)).text();
    expect(text).toContain("marimo is not here yet");
    expect(text).toContain("Not a directory");
    expect(text).toContain("The home folder is full or cannot be written to");
  });

  it("starts beside a person's own servers", async () => {
    space.write(
      join(space.home, ".jupyter/jupyter_server_config.py"),
      'c.ServerProxy.servers = {"other": {"command": ["true"]}}\n',
    );
    const environment = { ...space.environment, JUPYTER_PREFER_ENV_PATH: "0" };
    const container = await space.start(python, { environment });
    expect(container.events.at(-1)?.event).toBe("ready");
    const servers = await (await fetch(`${container.url}/server-proxy/servers-info`)).json();
    expect(servers).toMatchObject({ server_processes: [{ name: "other" }] });
  });
});
