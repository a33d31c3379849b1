import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type Container, realPayload, Space, until } from "../support/space-fixture.ts";

let python: string;
let space: Space;
let container: Container | undefined;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  space.upload(realPayload());
  await start();
  await until("the installation", () => /is installed/.test(appLog()) || undefined);
});
afterEach(() => rmSync(join(space.home, ".jupyter"), { recursive: true, force: true }));
afterAll(() => space.dispose());

const appLog = () => space.read("app_container.log");
const inState = (...path: string[]) => join(space.state, ...path);
const configure = (text: string) => space.write(join(space.home, ".jupyter/jupyter_server_config.py"), text);

/** Starts the app again. The prefix is a virtual environment here, whose configuration Jupyter would prefer to the
 * user's. In the image the user's configuration takes precedence. */
async function start(): Promise<void> {
  await container?.stop();
  rmSync(space.log, { force: true });
  const environment = { ...space.environment, JUPYTER_PREFER_ENV_PATH: "0" };
  container = await space.start(python, { environment });
  expect(container.events.at(-1)?.event, JSON.stringify(container.events)).toBe("ready");
}

async function servers(): Promise<string[]> {
  const answer = await fetch(`${container?.url}/server-proxy/servers-info`);
  const { server_processes } = (await answer.json()) as { server_processes: { name: string }[] };
  return server_processes.map(({ name }) => name).sort();
}

const marimoAnswers = () =>
  until("marimo", async () => {
    const response = await fetch(`${container?.url}/marimo/`);
    return response.ok && (await response.text()).includes("serverToken") ? true : undefined;
  });

describe("JupyterLab starts, and marimo with it", () => {
  it("if the user's own jupyter_server_config.py is broken", async () => {
    configure("c.ServerApp.broken = (\n");
    await start();
    expect(await servers()).toEqual(["marimo"]);
    await marimoAnswers();
    expect(appLog()).toMatch(/SyntaxError.*never closed/);
  });

  it("if the user's own configuration replaces all servers, and the log says how to avoid that", async () => {
    expect(appLog()).not.toContain("keeps it");
    configure('c.ServerProxy.servers = {"mine": {"command": ["sleep", "1"]}}\n');
    await start();
    expect(await servers()).toEqual(["marimo", "mine"]);
    await marimoAnswers();
    expect(appLog()).toContain("`c.ServerProxy.servers.update(…)` keeps it");
  });
});

describe("JupyterLab starts without marimo", () => {
  it("if its folder cannot be created, as the log says", async () => {
    const other = new Space();
    try {
      other.upload(realPayload());
      // A file in place of the folder prevents this even for root.
      other.write(join(other.home, ".local/share/sagemaker-marimo"), "");
      const started = await other.start(python);
      expect(started.events.at(-1)?.event).toBe("ready");
      expect(started.events[0]).toMatchObject({ exitCode: 0 });
      expect(started.events[0]?.outputTail).toMatch(/cannot write to .*: marimo is not set up/);
      expect((await fetch(`${started.url}/api/status`)).status).toBe(200);
    } finally {
      await other.dispose();
    }
  });

  it("if the user's own configuration replaces all servers and nothing restores marimo's", async () => {
    // The negative control for the test above: without extension.py, marimo is missing.
    const stub = "entries = {}\ndef _jupyter_server_extension_points():\n    return [{'module': __name__}]\n";
    const loads = "def _load_jupyter_server_extension(_):\n    pass\n";
    configure('c.ServerProxy.servers = {"mine": {"command": ["sleep", "1"]}}\n');
    space.upload({ ...realPayload(), "python/sagemaker_marimo/extension.py": stub + loads });
    await start();
    expect(await servers()).toEqual(["mine"]);
    space.upload(realPayload());
  });
});

describe("the logs", () => {
  it("are limited in size, and do not contain the token", async () => {
    space.write(inState("log/space.log"), "2026-01-01T00:00:00Z sagemaker-marimo: a start\n".repeat(25_000));
    await start();
    await until("the rotation", () => existsSync(inState("log/space.log.1")) || undefined);
    await until("the installation", () => /is installed/.test(appLog()) || undefined);
    await marimoAnswers();
    const token = readFileSync(inState("token"), "utf8").trim();
    const logs = readdirSync(inState("log")).map((name) => inState("log", name));
    expect(logs).toContain(inState("log/install.log.1"));
    for (const log of [...logs, space.log]) {
      expect(readFileSync(log, "utf8"), log).not.toContain(token);
      if (!log.endsWith(".1")) expect(statSync(log).size, log).toBeLessThan(1_000_000);
    }
  });
});
