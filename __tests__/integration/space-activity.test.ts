import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, payloadFolder, realPayload, Space, until } from "./space-fixture.ts";

// Of the watch over marimo's kernels: short, so that the tests are.
const interval = 0.5;
const second = 1000;

let python: string;
let space: Space;
let container: Container;
let timestampFile: string;

beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  timestampFile = join(space.prefix, ".sagemaker-last-active-timestamp");
  space.upload(realPayload());
  const environment = { ...space.environment, MARIMO_ACTIVITY_INTERVAL: String(interval) };
  container = await space.start(python, { environment });
  await until("marimo's page", async () => ((await serverToken()) ? true : undefined), 240);
});
afterAll(() => space.dispose());

/** What marimo's page sends with each request against pages of an earlier server; none while it is installed. */
async function serverToken(): Promise<string | undefined> {
  const response = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
  return /<marimo-server-token data-token="([^"]+)"/.exec(await response.text())?.[1];
}

/** What Studio asks of the extension of its own, in milliseconds: when this space was last active. */
async function lastActive(): Promise<number> {
  const answer = await (await fetch(`${container.url}/api/idle`)).json();
  const { lastActiveTimestamp } = answer as { lastActiveTimestamp: string };
  // Microseconds, and a "z" that is no part of the format.
  const time = Date.parse(lastActiveTimestamp.replace(/\d{3}z$/, "Z"));
  expect(time).toBeLessThanOrEqual(Date.now());
  return time;
}

async function kernelStatus(session: string): Promise<string> {
  const headers = { "Marimo-Session-Id": session };
  const response = await fetch(`${container.url}/marimo/api/kernel/status`, { headers });
  return ((await response.json()) as { state: string }).state;
}

/** No notebook is running, and what the watch saw of them while they were has been recorded. */
async function kernelsIdle(): Promise<void> {
  await until(
    "idle kernels",
    async () => {
      const before = await lastActive();
      await sleep(3 * interval * second);
      const answer = await fetch(`${container.url}/marimo/api/sessions`);
      const statuses = Object.keys((await answer.json()) as object).map(kernelStatus);
      const running = (await Promise.all(statuses)).includes("running");
      return !running && (await lastActive()) === before ? true : undefined;
    },
    90,
  );
}

const activeAfter = (what: string, time: number) =>
  until(what, async () => ((await lastActive()) > time ? true : undefined), 90);

/** The space's last activity does not move for several turns of the watch, whatever `meanwhile` does. */
async function expectIdle(meanwhile: () => Promise<unknown> = () => sleep(4 * interval * second)) {
  const before = await lastActive();
  await meanwhile();
  await sleep(2 * interval * second);
  expect(await lastActive()).toBe(before);
}

/** One notebook's page without its browser: the stream of events, and what it sends. */
class Tab {
  private readonly browser = new AbortController();
  readonly session: string;
  private readonly token: string;

  private constructor(session: string, token: string) {
    this.session = session;
    this.token = token;
  }

  static async open(session: string): Promise<Tab> {
    const tab = new Tab(session, (await serverToken()) ?? "");
    const notebook = `${session}.py`;
    writeFileSync(
      join(space.home, "marimo-notebooks", notebook),
      "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    1 + 1\n    return\n",
    );
    const stream = await fetch(`${container.url}/marimo/sse?session_id=${session}&file=${notebook}`, {
      headers: { Accept: "text/event-stream" },
      signal: tab.browser.signal,
    });
    const events = stream.body?.getReader();
    await events?.read();
    const drain = async () => {
      while (!(await events?.read())?.done);
    };
    drain().catch(() => {}); // the tab was closed
    return tab;
  }

  async request(method: string, path: string, body?: object, token = this.token): Promise<number> {
    const response = await fetch(`${container.url}/marimo/api/${path}`, {
      method,
      headers: {
        "Content-Type": "application/json",
        "Marimo-Session-Id": this.session,
        "Marimo-Server-Token": token,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    await response.arrayBuffer();
    return response.status;
  }

  async run(code: string): Promise<void> {
    expect(await this.request("POST", "kernel/run", { cellIds: ["Hbol"], codes: [code] })).toBe(200);
  }

  /** Has a cell compute until `ended` is called, and closes the tab. Nothing of the person's is left then. */
  async compute(code: string): Promise<{ readonly end: () => Promise<void> }> {
    const began = join(space.folder, `${this.session}.began`);
    const flag = join(space.folder, `${this.session}.end`);
    rmSync(flag, { force: true });
    await this.run(
      `import os, time\nopen(${JSON.stringify(began)}, "w").close()\n` +
        `while not os.path.exists(${JSON.stringify(flag)}):\n    ${code}`,
    );
    await until("the cell", () => existsSync(began), 90);
    this.close();
    const end = async () => {
      writeFileSync(flag, "");
      await kernelsIdle();
    };
    return { end };
  }

  close(): void {
    this.browser.abort();
  }
}

/** The process that serves marimo, to be disturbed. */
async function marimoServer(): Promise<number> {
  const { stdout } = await space.run("ps", ["-eo", "pid,args", "-ww"]);
  const server = stdout.split("\n").find((line) => line.includes(`edit ${space.home}/marimo-notebooks`));
  return Number.parseInt(server ?? "", 10);
}

describe("Studio's idle shutdown is told", () => {
  it.each([
    { what: "computes", code: "pass", session: "s_cpu001" },
    { what: "sleeps", code: "time.sleep(0.5)", session: "s_sleep1" },
  ])("of a cell that $what after its tab was closed, until it ends", async ({ code, session }) => {
    const computation = await (await Tab.open(session)).compute(code);
    // Later than what the person's own request, which began it, can have counted for.
    await activeAfter("activity while the cell runs", Date.now() + 2 * second);
    await computation.end();
    await expectIdle();
  });

  it("of what a person does, and of nothing that a page sends by itself or that marimo refuses", async () => {
    const tab = await Tab.open("s_moves1");
    await kernelsIdle();
    await expectIdle(async () => {
      expect(await tab.request("GET", "usage")).toBe(200);
      expect(await tab.request("POST", "home/running_notebooks", {})).toBe(200);
      const nothing = { objectIds: [], values: [] };
      expect(await tab.request("POST", "kernel/set_ui_element_value", nothing, "another page's")).toBe(401);
    });
    const before = Date.now();
    const move = { objectIds: [], values: [] };
    expect(await tab.request("POST", "kernel/set_ui_element_value", move)).toBe(200);
    await activeAfter("the person's move", before - 1);
    tab.close();
    await expectIdle();
  });

  it("of a person's move in a page, and not that the page stands open or is loaded again", async () => {
    const browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
    try {
      const page = await browser.newPage();
      const marimo = new MarimoPage(page);
      await marimo.open(`${container.url}/marimo/?file=01_explore_data.py`, 90 * second);
      await marimo.waitForKernel(90 * second);
      await marimo.waitForOutputs(90 * second);
      await kernelsIdle();

      const asksForUsage = () =>
        page.waitForRequest((request) => request.url().endsWith("/api/usage"), { timeout: 60 * second });
      await expectIdle(async () => {
        await asksForUsage();
        const loaded = asksForUsage();
        await marimo.reload(90 * second);
        await marimo.waitForKernel(90 * second);
        await marimo.waitForOutputs(90 * second);
        await loaded;
      });

      const before = Date.now();
      await marimo.moveSlider(90 * second);
      await activeAfter("the person's move", before - 1);
    } finally {
      await browser.close();
    }
  });

  it("of a cell that runs in a marimo that had crashed or did not answer", async () => {
    const crashed = await marimoServer();
    process.kill(crashed, "SIGKILL");
    await until(
      "another marimo",
      async () => {
        const other = await marimoServer();
        return other > 0 && other !== crashed && (await serverToken().catch(() => undefined)) !== undefined;
      },
      90,
    );
    const computation = await (await Tab.open("s_again1")).compute("time.sleep(0.5)");
    await activeAfter("activity while the cell runs", Date.now() + 2 * second);

    const server = await marimoServer();
    process.kill(server, "SIGSTOP");
    try {
      await sleep(2 * interval * second);
      await expectIdle();
    } finally {
      process.kill(server, "SIGCONT");
    }
    await activeAfter("activity while the cell runs", Date.now());
    await computation.end();
  });

  it("by a time in the extension's own format that never goes back, in its own place", async () => {
    const tab = await Tab.open("s_files1");
    const move = () => tab.request("POST", "kernel/set_ui_element_value", { objectIds: [], values: [] });
    const written = () => readFileSync(timestampFile, "utf8");
    const inFormat = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
    expect(written()).toMatch(inFormat);

    writeFileSync(timestampFile, "of no known format");
    await move();
    await until("the file", () => inFormat.test(written()));

    const later = new Date(Date.now() + 3600 * second).toISOString().replace(/Z$/, "000Z");
    writeFileSync(timestampFile, later);
    await move();
    await sleep(4 * interval * second);
    expect(written()).toBe(later);
    tab.close();

    const places = await space.run(python, [
      "-c",
      "from inspect import signature; import sys; sys.path.append(sys.argv[1]);" +
        "from jupyter_activity_monitor_extension.idle_status_detector import LocalFileActiveTimestampChecker as C;" +
        "from sagemaker_marimo import activity;" +
        "print(activity.file(), signature(C.read_last_active_timestamp).parameters['path'].default)",
      join(payloadFolder, "python"),
    ]);
    expect(places.stdout, places.stderr).toMatch(/^(\/tmp\/\S+) \1\n$/);
  });

  it("no more once the app has stopped", async () => {
    rmSync(timestampFile);
    await (await Tab.open("s_stop01")).compute("time.sleep(0.5)");
    await until("activity while the cell runs", () => existsSync(timestampFile));
    await container.stop();
    rmSync(timestampFile);
    await sleep(4 * interval * second);
    expect(existsSync(timestampFile)).toBe(false);
    expect((await space.run("ps", ["-eo", "args", "-ww"])).stdout).not.toContain(space.home);
    expect(space.read("app_container.log")).not.toMatch(/Task was destroyed|Unclosed client session/);
  });
});
