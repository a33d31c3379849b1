import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { startGateway } from "../../src/local-studio/gateway.ts";
import { defaultGatewayProfile, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, payloadFolder, realPayload, Space, until } from "./space-fixture.ts";

const patience = 90_000;
const interval = 0.5;

let python: string;
let browser: Browser;
beforeAll(async () => {
  python = (await pythonEnvironment("image-3")).python;
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
});
afterAll(() => browser.close());

const servers = async (container: Container) => {
  const answer = await fetch(`${container.url}/server-proxy/servers-info`);
  return ((await answer.json()) as { server_processes: { name: string }[] }).server_processes;
};

describe("a space of SageMaker Distribution 3.0.0", () => {
  let space: Space;
  let container: Container;
  beforeAll(async () => {
    space = new Space();
    space.upload(realPayload());
    const environment = { ...space.environment, MARIMO_ACTIVITY_INTERVAL: String(interval) };
    container = await space.start(python, { environment });
    await until(
      "marimo's page",
      async () => {
        const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
        return page.ok && page.headers.get("X-Marimo-Installation") === null ? true : undefined;
      },
      300,
    );
  });
  afterAll(() => space?.dispose());

  /** When this space was last active, as Studio asks it, in milliseconds. */
  async function lastActive(): Promise<number> {
    const { lastActiveTimestamp } = (await (await fetch(`${container.url}/api/idle`)).json()) as {
      lastActiveTimestamp: string;
    };
    const time = Date.parse(lastActiveTimestamp.replace(/\d{3}z$/, "Z"));
    expect(time).toBeLessThanOrEqual(Date.now());
    return time;
  }

  it("has the older programs, marimo's tile, and marimo by pip where there is no uv", async () => {
    const program =
      "import importlib.metadata as m\nfor name in ('jupyterlab', 'jupyter-server-proxy', 'jupyter-activity-monitor-extension'): print(m.version(name))";
    expect((await space.run(python, ["-c", program])).stdout).toBe("4.3.6\n4.4.0\n0.3.1\n");
    expect((await servers(container)).map(({ name }) => name)).toEqual(["marimo"]);
    const packages = join(space.state, "environments/current/lib");
    const folder = readdirSync(packages).find((name) => name.startsWith("python3")) ?? "";
    const sitePackages = join(packages, folder, "site-packages");
    const marimo = readdirSync(sitePackages).find((name) => /^marimo-.*\.dist-info$/.test(name)) ?? "";
    const installer = readFileSync(join(sitePackages, marimo, "INSTALLER"), "utf8").trim();
    expect(installer, "uv is in /usr/local/bin or /usr/bin of this machine, so pip was not used").toBe("pip");
    expect(readFileSync(space.log, "utf8")).not.toContain("Traceback");
  });

  it("connects through the gateway, follows the slider, and stays editable in a reload", async () => {
    const { faults } = gatewayProfiles[defaultGatewayProfile];
    const gateway = await startGateway({ faults, upstreamPort: () => Number(new URL(container.url).port) });
    const page = await browser.newPage();
    try {
      const marimo = new MarimoPage(page);
      await marimo.open(`${gateway.url}/jupyterlab/default/marimo/?file=01_explore_data.py`, patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      const before = await marimo.moveSlider(patience);
      await marimo.moveSliderBack(before, patience);
      await marimo.reload(patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      expect(await marimo.isReader()).toBe(false);

      // The watcher: what a page does by itself is no work, what the person does is.
      await sleep(4 * interval * 1000);
      const idle = await lastActive();
      await sleep(4 * interval * 1000);
      expect(await lastActive()).toBe(idle);
      const moved = Date.now();
      await marimo.moveSlider(patience);
      await until("the person's move", async () => ((await lastActive()) >= moved ? true : undefined));
    } finally {
      await page.close();
      await gateway.close();
    }
  });

  it("refuses other origins", async () => {
    const fromElsewhere = { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" } };
    expect((await fetch(`${container.url}/marimo/api/kernel/run`, fromElsewhere)).status).toBe(403);
  });

  it("has the private interfaces that marimo's entry relies on", async () => {
    const program = `
from jupyter_server_proxy import config
from jupyter_server_proxy.handlers import SuperviseAndProxyHandler
from jupyter_activity_monitor_extension import handler
assert not hasattr(config.ServerProcess, "get_proxy_base_class"), "ServerProcess"
assert isinstance(handler.activity_tracker, str), "activity_tracker"
server = lambda name: config.make_server_process(name, {"command": ["x"]}, None)
from sagemaker_marimo.proxy import MarimoHandler, server_process
server_process("marimo", command=["x"])
made = {name: config._make_proxy_handler(server(name)) for name in ("marimo", "mine")}
assert issubclass(made["marimo"], MarimoHandler) and "state" in made["marimo"].kwargs, "_make_proxy_handler"
assert made["marimo"].get_timeout is not MarimoHandler.get_timeout, "the order of the classes"
assert issubclass(made["mine"], SuperviseAndProxyHandler) and not issubclass(made["mine"], MarimoHandler), "mine"
`;
    const environment = { ...space.environment, PYTHONPATH: join(payloadFolder, "python") };
    const { status, stderr } = await space.run(python, ["-B", "-c", program], environment);
    expect(status, stderr).toBe(0);
  });

  it("starts without marimo, and says why, where an image's programs lack what marimo's entry needs", async () => {
    await container.stop();
    const proxy = "python/sagemaker_marimo/proxy.py";
    const payload = realPayload();
    const renamed = String(payload[proxy]).replace(
      "make = config._make_proxy_handler",
      "make = config._gone",
    );
    expect(renamed).toContain("config._gone");
    space.upload({ ...payload, [proxy]: renamed });
    container = await space.start(python);
    expect(container.events.at(-1)?.event).toBe("ready");
    expect(await servers(container)).toEqual([]);
    expect(readFileSync(space.log, "utf8")).toContain("has no attribute '_gone'");
  });
});
