import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import {
  type GatewayProfile,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../src/local-studio/gateway-faults.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import {
  allShown,
  impatience,
  networkCut,
  patience,
  Seat,
  slowCells,
  startSpace,
} from "./gateway-fixture.ts";
import { type Container, payloadFolder, type Space } from "./space-fixture.ts";

/** Gateways cut idle connections after 10 to 13 s. */
const idle = 45_000;
const slow = 12_000;
/** Longer than any of what is waited for side by side: nine pages are opened one after another. */
const together = 600_000;

let browser: Browser;
let context: BrowserContext;
let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
});
afterAll(() => browser.close());

describe("marimo in a space, with no setting changed", () => {
  let space: Space;
  let container: Container;
  /** One for each gateway. A page stays open from test to test, since most of the time goes into opening it. */
  const seats = new Map<GatewayProfile, Seat>();
  beforeAll(async () => {
    const props = {
      python,
      transport: "auto",
      notebooks: gatewayProfileNames,
      seconds: slow / 1000,
    } as const;
    ({ space, container } = await startSpace(props));
    for (const name of gatewayProfileNames)
      seats.set(name, new Seat({ space, container, context, faults: gatewayProfiles[name].faults, name }));
  });
  afterAll(async () => {
    for (const seat of seats.values()) await seat.leave();
    await space?.dispose();
  });

  function seatAt(profile: GatewayProfile): Seat {
    const seat = seats.get(profile);
    if (!seat) throw new Error(`no seat behind the gateway ${profile}`);
    return seat;
  }

  it.for(gatewayProfileNames)(
    "connects, follows the slider, and stays editable in a reload, then a new tab (%s)",
    async (profile) => {
      const seat = seatAt(profile);
      const marimo = await seat.newTab();
      expect(await marimo.isReader()).toBe(false);
      await marimo.moveSlider(patience);
      const left = await marimo.sliderValue();

      await marimo.reload(patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      expect(await marimo.isReader()).toBe(false);
      expect(await marimo.sliderValue()).toBe(left);
      await marimo.moveSlider(patience);
      const leftAgain = await marimo.sliderValue();

      // It differs from a reload in how the old page goes.
      const again = await seat.newTab();
      expect(await again.isReader()).toBe(false);
      expect(await again.sliderValue()).toBe(leftAgain);
      await again.moveSlider(patience);
    },
  );

  // Nine at once from here on: most of it is waiting.
  describe("left alone for 45 s", () => {
    it.concurrent.for(gatewayProfileNames)(
      "works at the first move (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const marimo = await seatAt(profile).marimo();
        await sleep(idle);
        await marimo.moveSlider(patience);
        expect(await marimo.isReader()).toBe(false);
      },
    );
  });

  describe("with ten cells of 12 s", () => {
    it.concurrent.for(gatewayProfileNames)(
      "shows all ten results, each once (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const seat = seatAt(profile);
        const marimo = await seat.marimo();
        const begin = Date.now();
        await seat.startSlowCells();
        await expect
          .poll(() => seat.shown(), { timeout: slow * slowCells + patience, interval: 1000 })
          .toEqual(allShown());
        expect(Date.now() - begin).toBeGreaterThan(slow * slowCells);
        await marimo.moveSlider(patience);
      },
    );
  });

  describe("with the network cut for 5 s while the fifth of ten cells ends", () => {
    it.concurrent.for(gatewayProfileNames)(
      "shows all ten results, each once, and stays editable (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const seat = seatAt(profile);
        const marimo = await seat.marimo();
        await seat.startSlowCells();
        await seat.done(3);
        // The fifth ends in the middle of the cut.
        await sleep(slow - networkCut / 2);
        expect(seat.isDone(4)).toBe(false);
        await seat.disconnect();
        await sleep(networkCut);
        expect(seat.isDone(4)).toBe(true);
        expect(seat.isDone(5)).toBe(false);
        await seat.connect();
        await expect
          .poll(() => seat.shown(), { timeout: slow * slowCells + patience, interval: 1000 })
          .toEqual(allShown());
        expect(await marimo.isReader()).toBe(false);
        await marimo.moveSlider(patience);
        expect(await seat.shown()).toEqual(allShown());
      },
    );
  });

  describe("from another origin", () => {
    const stream = "marimo/sse?session_id=s_other1&file=none.py";
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
from sagemaker_marimo.proxy import server_process, MarimoHandler
cls, arguments = server_process("marimo", command=["y"]).make_proxy_handler()
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
      // The other pages ask for streams of their own.
      for (const seat of seats.values()) await seat.closeTab();
      context.on("request", (request) => requested.push(`${request.method()} ${request.url()}`));
      await seatAt("none").newTab();
      const stream = new URL(requested.find((one) => /^GET .*\/marimo\/sse\?/.test(one))?.slice(4) ?? "");
      expect(stream.searchParams.get("session_id")).toMatch(/^s_/);
      expect(stream.searchParams.get("file")).toBe("none.py");
    });
  });
});

describe("a transport that is forced", () => {
  it.each([
    { transport: "sse", profile: "buffering" },
    { transport: "websocket", profile: "query-dropped" },
  ] as const)("$transport does not get through the gateway $profile", async ({ transport, profile }) => {
    const notebooks = [profile, "none"] as const;
    const running = await startSpace({ python, transport, notebooks, seconds: 0 });
    const seats = notebooks.map(
      (name) => new Seat({ ...running, context, faults: gatewayProfiles[name].faults, name }),
    );
    const [faulty, faultless] = seats;
    try {
      await expect(faulty?.newTab(impatience)).rejects.toThrow("marimo's connection is");
      // The same space, without that fault: it was the gateway.
      await faultless?.newTab();
    } finally {
      for (const seat of seats) await seat.leave();
      await running.space.dispose();
    }
  });
});
