import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import {
  type GatewayFaults,
  type GatewayProfile,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../src/local-studio/gateway-faults.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import type { Transport } from "../../src/settings/types.ts";
import { type Container, payloadFolder, realPayload, Space, until } from "./space-fixture.ts";

const patience = 90_000;
/** A slider, and a cell that takes its time to show ten times its value. */
const notebook = (seconds: number) => `import marimo

app = marimo.App()


@app.cell
def _():
    import time

    import marimo as mo
    return mo, time


@app.cell
def _(mo):
    slider = mo.ui.slider(0, 1000)
    slider
    return (slider,)


@app.cell
def _(slider, time):
    time.sleep(${seconds} if slider.value else 0)
    f"ten times the slider: {slider.value * 10}"
    return


if __name__ == "__main__":
    app.run()
`;

/** A space's app whose marimo uses that transport. */
async function startSpace(python: string, transport: Transport) {
  const space = new Space();
  for (const [name, seconds] of [
    ["quick", 0],
    ["idle", 0],
    ["slow", 8],
  ] as const)
    space.write(join(space.home, `marimo-notebooks/${name}.py`), notebook(seconds));
  space.upload({ ...realPayload(), "settings.env": `MARIMO_TRANSPORT=${transport}\n` });
  const container = await space.start(python);
  await until(
    "marimo's page",
    async () => {
      const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
      return page.ok && page.headers.get("X-Marimo-Installation") === null ? true : undefined;
    },
    180,
  );
  return { space, container };
}

const newTabProfiles: readonly GatewayProfile[] = ["buffering", "reported-studio"];

const portOf = (container: Container) => Number(new URL(container.url).port);

let browser: Browser;
let context: BrowserContext;
let python: string;
/** One port for all gateways, so that the browser's cache has marimo's own files after the first page. */
let gatewayPort: number | undefined;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
});
afterAll(() => browser.close());

const gateways: Gateway[] = [];
afterEach(async () => {
  for (const page of context.pages()) await page.close();
  for (const gateway of gateways.splice(0)) await gateway.close();
});

async function gatewayTo(container: Container, faults: GatewayFaults, port = gatewayPort): Promise<Gateway> {
  const gateway = await startGateway({
    faults,
    upstreamPort: () => portOf(container),
    ...(port === undefined ? {} : { port }),
  });
  gatewayPort ??= gateway.port;
  gateways.push(gateway);
  return gateway;
}

const address = (gateway: Gateway, name: string) =>
  `${gateway.url}/jupyterlab/default/marimo/?file=${name}.py`;

async function openNotebook(
  page: Page,
  gateway: Gateway,
  name: string,
  kernelTimeout = patience,
): Promise<MarimoPage> {
  const marimo = new MarimoPage(page);
  await marimo.open(address(gateway, name), patience);
  await marimo.waitForKernel(kernelTimeout);
  await marimo.waitForOutputs(patience);
  expect(await marimo.isReader()).toBe(false);
  return marimo;
}

describe("marimo in a space, with no setting changed", () => {
  let space: Space;
  let container: Container;
  beforeAll(async () => {
    ({ space, container } = await startSpace(python, "auto"));
  });
  afterAll(() => space?.dispose());

  describe.each(gatewayProfileNames)("behind the gateway %s", (profile: GatewayProfile) => {
    it("connects, follows the slider, and stays editable in a reload, then a new tab", async () => {
      const gateway = await gatewayTo(container, gatewayProfiles[profile].faults);
      const page = await context.newPage();
      const marimo = await openNotebook(page, gateway, "quick");
      await marimo.moveSlider(patience);
      const left = await marimo.sliderValue();

      await marimo.reload(patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      expect(await marimo.isReader()).toBe(false);
      expect(await marimo.sliderValue()).toBe(left);
      await marimo.moveSlider(patience);

      // A new tab differs from a reload in how the old page goes; two gateways show it, to save time.
      if (!newTabProfiles.includes(profile)) return;
      await page.close();
      const again = await openNotebook(await context.newPage(), gateway, "quick");
      await again.moveSlider(patience);
    });
  });

  it("works at the first move after a pause longer than a gateway lets connections idle", async () => {
    // One page after another would take twice as long.
    await Promise.all(
      (
        [
          ["idle-cut", "quick"],
          ["reported-classic", "idle"],
        ] as const
      ).map(async ([profile, name]) => {
        const gateway = await gatewayTo(container, gatewayProfiles[profile].faults, 0);
        const marimo = await openNotebook(await context.newPage(), gateway, name);
        await sleep(idleSeconds * 1000);
        await marimo.moveSlider(patience);
      }),
    );
  });

  it.each(["reported-studio", "buffering"] as const)(
    "shows what finished while the network was cut (%s)",
    async (profile) => {
      const { faults } = gatewayProfiles[profile];
      const gateway = await gatewayTo(container, faults);
      const page = await context.newPage();
      const marimo = await openNotebook(page, gateway, "slow");
      const before = await marimo.sliderValue();
      const moved = marimo.moveSlider(patience);
      // The cell begins and needs 8 s; the cut is over its end.
      await sleep(5000);
      await gateway.close();
      await sleep(5000);
      await gatewayTo(container, faults, gateway.port);
      await moved;
      const value = Number(await marimo.sliderValue());
      expect(value).not.toBe(Number(before));
      await page.getByText(`ten times the slider: ${value * 10}`).waitFor({ timeout: patience });
      expect(await marimo.isReader()).toBe(false);
    },
  );

  describe("from another origin", () => {
    const stream = "marimo/sse?session_id=s_other1&file=quick.py";
    const attempts: readonly (readonly [string, string, RequestInit])[] = [
      [
        "a request that runs code, by what the browser says of itself",
        "marimo/api/kernel/run",
        { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" } },
      ],
      [
        "one of a sibling space",
        "marimo/api/kernel/run",
        { method: "POST", headers: { "Sec-Fetch-Site": "same-site" } },
      ],
      [
        "one of an older browser",
        "marimo/api/kernel/run",
        { method: "POST", headers: { Origin: "https://evil.example" } },
      ],
      ["one of a sandboxed frame", "marimo/api/kernel/run", { method: "POST", headers: { Origin: "null" } }],
      [
        "a deletion",
        "marimo/sse?session_id=x",
        { method: "DELETE", headers: { Origin: "https://e.example" } },
      ],
      ["the event stream", stream, { headers: { Origin: "https://evil.example" } }],
      ["the event stream, as a script's source", stream, { headers: { "Sec-Fetch-Site": "cross-site" } }],
      ...["%73se", "/sse", "sse/"].map(
        (disguise) =>
          [
            `the event stream, its path disguised as ${disguise}`,
            stream.replace("sse", disguise),
            { headers: { Origin: "null" } },
          ] as const,
      ),
    ];
    it.each(attempts)("%s is refused", async (_, path, init) => {
      const response = await fetch(`${container.url}/${path}`, init);
      expect(response.status).toBe(403);
      await response.body?.cancel();
    });

    it("is no page of marimo's own, nor a link to it", async () => {
      const own = { Origin: new URL(container.url).origin, "Sec-Fetch-Site": "same-origin" };
      const run = await fetch(`${container.url}/marimo/api/kernel/run`, { method: "POST", headers: own });
      // Skew protection: marimo asks for the token that its page has.
      expect(run.status).toBe(401);
      const link = { headers: { Accept: "text/html", "Sec-Fetch-Site": "cross-site" } };
      expect((await fetch(`${container.url}/marimo/`, link)).status).toBe(200);
    });
  });

  describe("private interfaces", () => {
    it("of jupyter-server-proxy are there", async () => {
      const program = `
import inspect
from jupyter_server_proxy.config import ServerProcess
from jupyter_server_proxy.handlers import SuperviseAndProxyHandler as handler
def parameters(function): return list(inspect.signature(function).parameters)
assert parameters(handler.proxy) == ["self", "port", "path"], "proxy"
assert parameters(handler.open) == ["self", "path"], "open"
assert parameters(handler.ensure_process) == ["self"], "ensure_process"
assert parameters(handler.proxy_request_headers) == ["self"], "proxy_request_headers"
assert parameters(handler.get_client_uri)[1:] == ["protocol", "host", "port", "proxied_path"], "get_client_uri"
assert parameters(handler.select_subprotocol) == ["self", "subprotocols"], "select_subprotocol"
assert parameters(handler._record_activity) == ["self"], "_record_activity"
assert inspect.iscoroutinefunction(handler.prepare), "prepare"
assert parameters(ServerProcess.get_proxy_base_class) == ["self"], "get_proxy_base_class"
from sagemaker_marimo.proxy import MarimoServerProcess, MarimoHandler
cls, arguments = MarimoServerProcess(name="x", command=["y"]).make_proxy_handler()
assert issubclass(cls, MarimoHandler) and "state" in arguments, "make_proxy_handler"
`;
      const environment = { ...space.environment, PYTHONPATH: join(payloadFolder, "python") };
      const { status, stderr } = await space.run(python, ["-B", "-c", program], environment);
      expect(status, stderr).toBe(0);
    });

    it("of marimo are there", async () => {
      const page = await (
        await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } })
      ).text();
      expect(page).toContain('<head><script data-transport="auto" ');
      const connections = await fetch(`${container.url}/marimo/api/status/connections`);
      expect(await connections.json()).toMatchObject({ active: expect.any(Number) });
      const requested: string[] = [];
      const gateway = await gatewayTo(container, {});
      const tab = await context.newPage();
      tab.on("request", (request) => requested.push(`${request.method()} ${request.url()}`));
      await openNotebook(tab, gateway, "quick");
      const stream = new URL(requested.find((one) => /^GET .*\/marimo\/sse\?/.test(one))?.slice(4) ?? "");
      expect(stream.searchParams.get("session_id")).toMatch(/^s_/);
      expect(stream.searchParams.get("file")).toBe("quick.py");
    });
  });
});

/** The issue asks for 45 s, which is tried by hand; gateways cut at 10 s. */
const idleSeconds = Number(process.env.GATEWAY_TEST_IDLE_SECONDS ?? 14);

describe("a transport that is forced", () => {
  it.each([
    { transport: "sse", profile: "buffering" },
    { transport: "websocket", profile: "query-dropped" },
  ] as const)("$transport does not get through the gateway $profile", async ({ transport, profile }) => {
    const { space, container } = await startSpace(python, transport);
    try {
      const gateway = await gatewayTo(container, gatewayProfiles[profile].faults);
      const page = await context.newPage();
      await expect(openNotebook(page, gateway, "quick", 12_000)).rejects.toThrow("marimo's connection is");
      await page.close();
      // The same space, without that fault: it was the gateway. Another notebook, since marimo has a session of the
      // first one that no page ever told to run its cells.
      const faultless = await gatewayTo(container, {}, 0);
      await openNotebook(await context.newPage(), faultless, "idle");
    } finally {
      await space.dispose();
    }
  });
});
