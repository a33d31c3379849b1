import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { type GatewayProfile, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import {
  allShown,
  impatience,
  networkCut,
  patience,
  type RunningSpace,
  Seat,
  slowCells,
  startStock,
} from "./gateway-fixture.ts";

// The negative controls of gateway-profiles.test.ts: what passes there fails here, with the image's
// jupyter-server-proxy and marimo as they come, by marimo's own WebSocket or its own event stream.

/** Of a slow cell: short, so that what a test holds up alone takes its time. */
const seconds = 0.5;
const idle = 45_000;
const names = ["connects", "slider", "reload", "tab", "idle", "slow", "cut"] as const;

let browser: Browser;
let context: BrowserContext;
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
});
afterAll(() => browser.close());

describe.each(["websocket", "sse"] as const)("stock, by %s,", (transport) => {
  let running: RunningSpace;
  const seats: Seat[] = [];
  beforeAll(async () => {
    const { python } = await pythonEnvironment("image");
    running = await startStock({ python, transport, notebooks: names, seconds });
  });
  afterEach(async () => {
    for (const seat of seats.splice(0)) await seat.leave();
  });
  afterAll(() => running?.space.dispose());

  function seatAt(name: (typeof names)[number], profile: GatewayProfile): Seat {
    const seat = new Seat({ ...running, context, faults: gatewayProfiles[profile].faults, name });
    seats.push(seat);
    return seat;
  }

  // Each of these gateways does so to every one of marimo's connections.
  const never = {
    websocket: ["query-dropped", "websocket-closed", "reported-studio", "reported-classic"],
    sse: ["buffering"],
  } as const;
  it.for<GatewayProfile>(never[transport])("never connects (%s)", async (profile) => {
    await expect(seatAt("connects", profile).newTab(impatience)).rejects.toThrow("marimo's connection is");
  });

  it(`has its slider followed by no cell (${never[transport][0]})`, async () => {
    const seat = seatAt("slider", "none");
    const marimo = await seat.newTab();
    await marimo.moveSlider(patience);
    // The page is there. Without a connection it has no one to ask, nor a way for the answer.
    await seat.connect(gatewayProfiles[never[transport][0]].faults);
    await expect(marimo.moveSlider(impatience)).rejects.toThrow("no cell changed with the slider");
  });

  // By WebSocket it does not: jupyter-server-proxy closes marimo's end when the page closes its own.
  if (transport === "sse") {
    // It goes on reading the event stream of a page that has left, which marimo takes for the editor.
    it("takes a reloaded page for a reader (reported-studio)", async () => {
      const seat = seatAt("reload", "reported-studio");
      const marimo = await seat.newTab();
      expect(await marimo.isReader()).toBe(false);
      await marimo.reload(patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      expect(await marimo.isReader()).toBe(true);
    });

    it("takes a new tab for a reader (reported-studio)", async () => {
      const seat = seatAt("tab", "reported-studio");
      expect(await (await seat.newTab()).isReader()).toBe(false);
      expect(await (await seat.newTab()).isReader()).toBe(true);
    });
  }

  // Behind `idle-cut`, marimo's page connects again within a moment. What ends in that moment is lost, but no test can
  // aim at it. These two gateways let nothing through at all, so what follows is certain.
  const fault = transport === "websocket" ? "reported-classic" : "buffering";

  it(`shows nothing at the first move after 45 s (${fault})`, async () => {
    const seat = seatAt("idle", "none");
    const marimo = await seat.newTab();
    await marimo.moveSlider(patience);
    await seat.connect(gatewayProfiles[fault].faults);
    await sleep(idle);
    await expect(marimo.moveSlider(impatience)).rejects.toThrow("no cell changed with the slider");
  });

  it(`loses nine of ten results (${fault})`, async () => {
    const seat = seatAt("slow", "none");
    await seat.newTab();
    seat.hold(1);
    await seat.startSlowCells();
    await seat.done(0);
    await sleep(1000); // until what the first shows is on the page
    await seat.connect(gatewayProfiles[fault].faults);
    seat.release(1);
    await seat.done(slowCells - 1);
    await sleep(impatience);
    expect(await seat.shown()).toEqual(allShown((cell) => cell > 0));
  });

  it("loses what ended while the network was cut (none)", async () => {
    const seat = seatAt("cut", "none");
    await seat.newTab();
    seat.hold(4);
    seat.hold(5);
    await seat.startSlowCells();
    await seat.done(3);
    await sleep(1000); // until what the first four show is on the page
    await seat.disconnect();
    seat.release(4);
    await seat.done(4);
    await sleep(networkCut);
    await seat.connect();
    await expect.poll(() => seat.isConnected(), { timeout: patience }).toBe(true);
    seat.release(5);
    // marimo repeats nothing to a page that comes back. The sixth to the tenth prove that it did.
    await expect.poll(() => seat.shown(), { timeout: patience }).toEqual(allShown((cell) => cell === 4));
  });
});
