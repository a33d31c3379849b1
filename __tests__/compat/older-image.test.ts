import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { marimoInstalled, useSample } from "../support/space-browser.ts";
import { type Container, realPayload, Space, until } from "../support/space-fixture.ts";

const interval = 0.5;

let python: string;
let browser: Browser;
beforeAll(async () => {
  python = (await pythonEnvironment("image-older")).python;
  browser = await launchBrowser();
});
afterAll(() => browser.close());

const servers = async (container: Container) => {
  const answer = await fetch(`${container.url}/server-proxy/servers-info`);
  return ((await answer.json()) as { server_processes: { name: string }[] }).server_processes;
};

describe("a space of SageMaker Distribution 4.4.1", () => {
  let space: Space;
  let container: Container;
  beforeAll(async () => {
    space = new Space();
    space.upload(realPayload());
    const environment = { ...space.environment, MARIMO_ACTIVITY_INTERVAL: String(interval) };
    container = await space.start(python, { environment });
    await marimoInstalled(container);
  });
  afterAll(() => space?.dispose());

  /** Time of the last activity that Studio reads from this space, in milliseconds. */
  async function lastActive(): Promise<number> {
    const { lastActiveTimestamp } = (await (await fetch(`${container.url}/api/idle`)).json()) as {
      lastActiveTimestamp: string;
    };
    const time = Date.parse(lastActiveTimestamp.replace(/\d{3}z$/, "Z"));
    expect(time).toBeLessThanOrEqual(Date.now());
    return time;
  }

  it("has the older programs and marimo's tile", async () => {
    const names = ["jupyterlab", "jupyter_server", "jupyter-server-proxy", "uv"];
    const program = `import importlib.metadata as m, json\nprint(json.dumps([m.version(name) for name in ${JSON.stringify(names)}]))`;
    const { stdout } = await space.run(python, ["-c", program]);
    expect(JSON.parse(stdout)).toEqual(["4.5.10", "2.20.0", "4.5.0", "0.12.5"]);
    expect((await servers(container)).map(({ name }) => name)).toEqual(["marimo"]);
    expect(readFileSync(space.log, "utf8")).not.toContain("Traceback");
  });

  it("connects through the gateway, follows the slider, and stays editable after a reload", async () => {
    await useSample(browser, container, async (marimo) => {
      // The watcher counts the user's actions as activity, but not automatic requests of a page.
      await sleep(4 * interval * 1000);
      const idle = await lastActive();
      await sleep(4 * interval * 1000);
      expect(await lastActive()).toBe(idle);
      const moved = Date.now();
      await marimo.moveSlider(patience);
      await until("the person's move", async () => ((await lastActive()) >= moved ? true : undefined));
    });
  });

  it("rejects cross-origin requests", async () => {
    const fromElsewhere = { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" } };
    expect((await fetch(`${container.url}/marimo/api/kernel/run`, fromElsewhere)).status).toBe(403);
  });

  it("has marimo with its own connection if the image's programs lack an interface, and logs the reason", async () => {
    await container.stop();
    const interfaces = "python/sagemaker_marimo/private_interfaces.py";
    const payload = realPayload();
    const renamed = String(payload[interfaces]).replace('"get_proxy_base_class", None', '"_gone", None');
    expect(renamed).toContain("_gone");
    space.upload({ ...payload, [interfaces]: renamed });
    container = await space.start(python);
    expect(container.events.at(-1)?.event).toBe("ready");
    expect((await servers(container)).map(({ name }) => name)).toEqual(["marimo"]);
    expect(readFileSync(space.log, "utf8")).toContain(
      "marimo runs with its own connection: jupyter-server-proxy 4.5.0 does not have ServerProcess.get_proxy_base_class",
    );
  });
});
