import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoServer, signalMarimo } from "../support/space-browser.ts";
import { type Container, payloadFolder, realPayload, Space, until } from "../support/space-fixture.ts";

// The interval, in seconds, at which marimo's kernels are checked. It is short to keep the tests short.
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
  await until("marimo's page", async () => ((await serverToken()) ? true : undefined));
});
afterAll(() => space.dispose());

/** Opens the first sample, and waits until its cells have run. */
async function openSample(browser: Browser): Promise<{ page: Page; marimo: MarimoPage }> {
  const page = await (await newContext(browser)).newPage();
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=01_explore_data.py`, patience);
  await marimo.waitForKernel(patience);
  await marimo.waitForOutputs(patience);
  await kernelsIdle();
  return { page, marimo };
}

/** The token that marimo's page sends with each request, or undefined while marimo is being installed. */
async function serverToken(): Promise<string | undefined> {
  const response = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
  return /<marimo-server-token data-token="([^"]+)"/.exec(await response.text())?.[1];
}

/** The time of this space's last activity in milliseconds, from the endpoint that Studio requests. */
async function lastActive(): Promise<number> {
  const answer = await (await fetch(`${container.url}/api/idle`)).json();
  const { lastActiveTimestamp } = answer as { lastActiveTimestamp: string };
  // The time has microseconds and a lowercase "z".
  const time = Date.parse(lastActiveTimestamp.replace(/\d{3}z$/, "Z"));
  expect(time).toBeLessThanOrEqual(Date.now());
  return time;
}

async function kernelStatus(session: string): Promise<string> {
  const headers = { "Marimo-Session-Id": session };
  const response = await fetch(`${container.url}/marimo/api/kernel/status`, { headers });
  return ((await response.json()) as { state: string }).state;
}

/** Waits until no notebook is running and the last activity has been recorded. */
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
  until(what, async () => ((await lastActive()) > time ? true : undefined));

/** Expects that the space's last activity does not change for several intervals while `meanwhile` runs. */
async function expectIdle(meanwhile: () => Promise<unknown> = () => sleep(4 * interval * second)) {
  const before = await lastActive();
  await meanwhile();
  await sleep(2 * interval * second);
  expect(await lastActive()).toBe(before);
}

/** A notebook's page without a browser: receives the event stream and sends requests. */
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

  /** Runs a cell until `end` is called, and closes the tab, so that no user action follows. */
  async compute(code: string): Promise<{ readonly end: () => Promise<void> }> {
    const began = join(space.folder, `${this.session}.began`);
    const flag = join(space.folder, `${this.session}.end`);
    rmSync(flag, { force: true });
    await this.run(
      `import os, time\nopen(${JSON.stringify(began)}, "w").close()\n` +
        `while not os.path.exists(${JSON.stringify(flag)}):\n    ${code}`,
    );
    await until("the cell", () => existsSync(began));
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

/** The process ID of marimo's server. */
describe("activity recorded for Studio's idle shutdown", () => {
  it.each([
    { what: "computes", code: "pass", session: "s_cpu001" },
    { what: "sleeps", code: "time.sleep(0.5)", session: "s_sleep1" },
  ])("includes a cell that $what after its tab was closed, until it ends", async ({ code, session }) => {
    const computation = await (await Tab.open(session)).compute(code);
    // Later than the user's request that started the cell.
    await activeAfter("activity while the cell runs", Date.now() + 2 * second);
    await computation.end();
    await expectIdle();
  });

  it("includes user actions, but no automatic or rejected requests", async () => {
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
    await activeAfter("the user action", before - 1);
    tab.close();
    await expectIdle();
  });

  it("includes a user action in a page, but not that the page is open or reloaded", async () => {
    const browser = await launchBrowser();
    try {
      const { page, marimo } = await openSample(browser);

      const asksForUsage = () => page.waitForRequest((request) => request.url().endsWith("/api/usage"));
      await expectIdle(async () => {
        await asksForUsage();
        const loaded = asksForUsage();
        await marimo.reload(patience);
        await marimo.waitForKernel(patience);
        await marimo.waitForOutputs(patience);
        await loaded;
      });

      const before = Date.now();
      await marimo.moveSlider(patience);
      await activeAfter("the user action", before - 1);
    } finally {
      await browser.close();
    }
  });

  it("includes commands in marimo's terminal, also silent ones, but not a terminal that only waits", async () => {
    const browser = await launchBrowser();
    try {
      const { page, marimo } = await openSample(browser);
      let received = "";
      page.on("websocket", (socket) =>
        socket.on("framereceived", ({ payload }) => {
          received += payload;
        }),
      );
      await expectIdle(async () => {
        await marimo.openTerminal(patience);
        await until("the prompt", () => /[#$] /.test(received));
        await sleep(2 * interval * second);
      });
      const end = join(space.folder, "command.end");
      await page.keyboard.type(`until [ -e ${end} ]; do echo works; sleep 0.5; done\n`);
      // Later than the last key.
      await activeAfter("activity while the command prints", Date.now() + 3 * second);
      writeFileSync(end, "");
      await kernelsIdle();
      await expectIdle();
      await page.keyboard.type("sleep 600\n");
      await activeAfter("activity while the silent command runs", Date.now() + 3 * second);
      await page.keyboard.press("Control+C");
      await kernelsIdle();
      await expectIdle();
    } finally {
      await browser.close();
    }
  });

  it("includes what a command prints in JupyterLab's terminal, also after its page was closed", async () => {
    const browser = await launchBrowser();
    try {
      const page = await (await newContext(browser)).newPage();
      // This page may call Jupyter's API. Pages of the API itself may not.
      await page.goto(`${container.url}/lab`, { waitUntil: "commit" });
      const cookies = await page.context().cookies();
      const token = cookies.find(({ name }) => name === "_xsrf")?.value ?? "";
      const end = join(space.folder, "job.end");
      const command = `until [ -e ${end} ]; do echo "Running, running for 1 s"; sleep 0.5; done\n`;
      await page.evaluate(
        async ([base, line, xsrf]) => {
          const headers = { "X-XSRFToken": xsrf ?? "" };
          const created = await fetch(`${base}/api/terminals`, { method: "POST", headers });
          const { name } = (await created.json()) as { name: string };
          const socket = new WebSocket(`${base?.replace("http", "ws")}/terminals/websocket/${name}`);
          await new Promise((resolve) => socket.addEventListener("open", resolve));
          socket.send(JSON.stringify(["stdin", line]));
          await new Promise((resolve) => setTimeout(resolve, 1000));
        },
        [container.url, command, token],
      );
      await page.close();
      await activeAfter("activity while the command prints", Date.now() + 3 * second);
      writeFileSync(end, "");
      await kernelsIdle();
      await expectIdle();
    } finally {
      await browser.close();
    }
  });

  it("includes a running cell after marimo crashed or did not answer", async () => {
    const crashed = await signalMarimo(space, "SIGKILL");
    await until(
      "another marimo",
      async () => {
        // The request for its page starts it.
        const token = await serverToken().catch(() => undefined);
        const other = await marimoServer(space);
        return token !== undefined && other !== undefined && other !== crashed;
      },
      90,
    );
    const computation = await (await Tab.open("s_again1")).compute("time.sleep(0.5)");
    await activeAfter("activity while the cell runs", Date.now() + 2 * second);

    const server = await signalMarimo(space, "SIGSTOP");
    try {
      await sleep(2 * interval * second);
      await expectIdle();
    } finally {
      process.kill(server, "SIGCONT");
    }
    await activeAfter("activity while the cell runs", Date.now());
    await computation.end();
  });

  it("is a time in the extension's format and file, and never goes back", async () => {
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
        "from sagemaker_marimo import user_activity;" +
        "print(user_activity.file(), signature(C.read_last_active_timestamp).parameters['path'].default)",
      join(payloadFolder, "python"),
    ]);
    expect(places.stdout, places.stderr).toMatch(/^(\/tmp\/\S+) \1\n$/);
  });

  it("ends when the app stops", async () => {
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
