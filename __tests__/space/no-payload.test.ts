import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { realPayload, Space, smallPayload, until } from "../support/space-fixture.ts";

let space: Space;
beforeEach(() => {
  space = new Space();
});
afterEach(() => space.dispose());

const config = () => space.read("prefix/etc/jupyter/jupyter_server_config.py");
const spaceLog = () => space.read("home/.local/share/sagemaker-marimo/log/space.log");

describe("the lifecycle script without a payload", () => {
  it("adds one entry to Jupyter's configuration, even if it runs twice, and keeps the rest", async () => {
    space.write(join(space.prefix, "etc/jupyter/jupyter_server_config.py"), "c.ServerApp.answer = 42\n");
    for (let times = 0; times < 2; times++) expect((await space.runLifecycleScript()).status).toBe(0);
    expect(config()).toMatch(/^c\.ServerApp\.answer = 42\n/);
    expect(config().split("c.ServerProxy.servers.update")).toHaveLength(2);
    expect(readdirSync(join(space.prefix, "etc/jupyter"))).toEqual(["jupyter_server_config.py"]);
  });

  it("adds no entry in Code Editor, which has no launcher", async () => {
    const { status, stdout } = await space.runLifecycleScript(space.environment, "CodeEditor");
    expect(status).toBe(0);
    expect(stdout).toContain("no good payload in this space");
    expect(readdirSync(space.prefix)).toEqual([]);
  });

  it("lets start.sh replace the entry once there is a payload", async () => {
    await space.runLifecycleScript();
    expect(config()).toContain("marimo is not here yet");
    const { python } = await pythonEnvironment("image");
    mkdirSync(join(space.prefix, "bin"));
    symlinkSync(python, join(space.prefix, "bin/python"));
    space.upload({ ...realPayload(), "install.sh": "" });
    const { stdout } = await space.runLifecycleScript();
    expect(config(), stdout).toContain("_configure(get_config())");
    expect(config()).not.toContain("marimo is not here yet");
  });

  it("exits with 0 if the prefix cannot be written to, and says what is missing", async () => {
    rmSync(space.prefix, { recursive: true });
    writeFileSync(space.prefix, "");
    const { status, stdout } = await space.runLifecycleScript();
    expect(status).toBe(0);
    expect(stdout).toContain(`${space.prefix} cannot be written to: marimo has no tile in the launcher`);
  });

  it("retries in the background, and sets up a payload that arrives", async () => {
    space.refuseAws("Could not connect to the endpoint URL");
    const { status } = await space.runLifecycleScript({
      ...space.environment,
      MARIMO_RETRY_SECONDS: "1 ".repeat(30),
    });
    expect(status).toBe(0);
    await expect.poll(() => spaceLog().split("Could not connect").length).toBeGreaterThan(3);
    space.upload(smallPayload());
    space.refuseAws(undefined);
    await expect.poll(spaceLog).toContain("marimo is now available");
    expect(space.read("home/started")).toContain("started ");
  });

  it("stops retrying in the end", async () => {
    space.refuseAws("Could not connect to the endpoint URL");
    await space.runLifecycleScript({ ...space.environment, MARIMO_RETRY_SECONDS: "0 0" });
    await expect.poll(() => spaceLog().split("Could not connect").length).toBe(4);
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
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  async function clickTile(url: string): Promise<Page> {
    const context = await newContext(browser);
    const page = await context.newPage();
    await page.goto(`${url}/lab?reset`, { timeout: patience, waitUntil: "commit" });
    const tile = page.locator(".jp-LauncherCard-label", { hasText: "marimo" }).first();
    await tile.waitFor({ timeout: patience });
    const tab = context.waitForEvent("page");
    await tile.click();
    return tab;
  }

  it("has a marimo tile that explains why marimo is missing, and later that it is available", async () => {
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
    expect([answer.status, answer.headers.get("X-Marimo-Waiting")]).toEqual([503, "marimo is not here yet"]);
    // The page listens on a socket in JupyterLab's private folder, not on a port that other users can reach.
    const { stdout } = await space.run("ps", ["-eo", "args", "-ww"]);
    const socket = "jupyter-server-proxy-\\S+/socket";
    expect(stdout).toMatch(new RegExp(`${socket} ${space.prefix}/etc/jupyter/jupyter_server_config\\.py`));

    space.upload(realPayload());
    space.refuseAws(undefined);
    // The page reloads itself.
    await page.getByRole("heading", { name: "marimo has arrived" }).waitFor({ timeout: patience });
    expect(await page.locator("body").innerText()).toContain("stop this space and run it again");
    await container.stop();

    const next = await space.start(python);
    expect(config()).not.toContain("marimo is not here yet");
    await until(
      "marimo's page",
      async () => (await (await fetch(`${next.url}/marimo/`)).text()).includes("<marimo-") || undefined,
      240,
    );
  });

  it("has the tile even if the home folder cannot store marimo", async () => {
    space.upload(realPayload());
    space.write(space.state, "a file where marimo's folder would be");
    const container = await space.start(python);
    expect(container.events.at(-1)?.event).toBe("ready");
    const text = await (await fetch(`${container.url}/marimo/`)).text();
    expect(text).toContain("marimo is not here yet");
    expect(text).toContain("Not a directory");
    expect(text).toContain("The home folder is full or cannot be written to");
  });

  it("starts if the user has configured other servers", async () => {
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
