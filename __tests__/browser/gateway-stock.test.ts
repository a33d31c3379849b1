import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type GatewayProfile, gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import {
  absenceTimeout,
  allShown,
  networkCut,
  type RunningSpace,
  Seat,
  slowCells,
  startStock,
} from "../support/gateway-fixture.ts";
import { patience } from "../support/patience.ts";

// The negative controls of gateway-profiles.test.ts: what passes there fails here with the image's unmodified
// jupyter-server-proxy and marimo, both with marimo's own WebSocket and with its own event stream.

/** Duration of a slow cell. It is short, because the tests delay single cells. */
const seconds = 0.5;
const idle = 45_000;
const names = ["connects", "slider", "reload", "tab", "idle", "slow", "cut"] as const;

let browser: Browser;
let context: BrowserContext;
beforeAll(async () => {
  browser = await launchBrowser();
  context = await contextWithoutAnimations(browser);
});
afterAll(() => browser.close());

// The tests of a transport run concurrently, because they mostly wait.
describe.each(["websocket", "sse"] as const)("stock marimo with %s", (transport) => {
  let running: RunningSpace;
  const seats: Seat[] = [];
  beforeAll(async () => {
    const { python } = await pythonEnvironment("image");
    running = await startStock({ python, transport, notebooks: names, seconds });
  });
  afterAll(async () => {
    for (const seat of seats) await seat.leave();
    await running?.space.dispose();
  });

  function seatAt(name: (typeof names)[number], profile: GatewayProfile): Seat {
    const seat = new Seat({ ...running, context, faults: gatewayProfiles[profile].faults, name });
    seats.push(seat);
    return seat;
  }

  // These gateways break every connection of marimo.
  const never = {
    websocket: ["query-dropped", "websocket-closed", "reported-studio", "reported-classic"],
    sse: ["buffering"],
  } as const;
  it.concurrent.for<GatewayProfile>(never[transport])("never connects (%s)", async (profile, { expect }) => {
    await expect(seatAt("connects", profile).newTab(absenceTimeout)).rejects.toThrow(
      "marimo's connection is",
    );
  });

  it.concurrent(`updates no cell with the slider (${never[transport][0]})`, async ({ expect }) => {
    const seat = seatAt("slider", "none");
    const marimo = await seat.marimo();
    await marimo.moveSlider(patience);
    // The page is open, but it has no connection.
    await seat.connect(gatewayProfiles[never[transport][0]].faults);
    await expect(marimo.moveSlider(absenceTimeout)).rejects.toThrow("no cell changed with the slider");
  });

  // Not with a WebSocket: jupyter-server-proxy closes its connection to marimo when the page disconnects.
  if (transport === "sse") {
    // jupyter-server-proxy keeps the event stream of a closed page open, so marimo treats that page as the editor.
    it.concurrent("makes a reloaded page read-only (reported-studio)", async ({ expect }) => {
      const seat = seatAt("reload", "reported-studio");
      const marimo = await seat.marimo();
      expect(await marimo.isReader()).toBe(false);
      await marimo.reload(patience);
      await marimo.waitForKernel(patience);
      await marimo.waitForOutputs(patience);
      expect(await marimo.isReader()).toBe(true);
    });

    it.concurrent("makes a new tab read-only (reported-studio)", async ({ expect }) => {
      const seat = seatAt("tab", "reported-studio");
      expect(await (await seat.marimo()).isReader()).toBe(false);
      expect(await (await seat.newTab()).isReader()).toBe(true);
    });
  }

  // Behind `idle-cut`, marimo's page reconnects after a short time, in which results are lost, but a test cannot hit
  // this time. These two gateways block everything, so the tests are deterministic.
  const fault = transport === "websocket" ? "reported-classic" : "buffering";

  it.concurrent(`does not update cells at the first move of the slider after 45 s (${fault})`, async ({
    expect,
  }) => {
    const seat = seatAt("idle", "none");
    const marimo = await seat.marimo();
    await marimo.moveSlider(patience);
    await seat.connect(gatewayProfiles[fault].faults);
    await sleep(idle);
    await expect(marimo.moveSlider(absenceTimeout)).rejects.toThrow("no cell changed with the slider");
  });

  it.concurrent(`loses nine of ten results (${fault})`, async ({ expect }) => {
    const seat = seatAt("slow", "none");
    await seat.marimo();
    seat.hold(1);
    await seat.startSlowCells();
    await seat.done(0);
    await expect.poll(() => seat.shown()).toEqual(allShown((cell) => cell > 0));
    await seat.connect(gatewayProfiles[fault].faults);
    seat.release(1);
    await seat.done(slowCells - 1);
    await sleep(absenceTimeout);
    expect(await seat.shown()).toEqual(allShown((cell) => cell > 0));
  });

  it.concurrent("loses results of cells that ended without network (none)", async ({ expect }) => {
    const seat = seatAt("cut", "none");
    await seat.marimo();
    seat.hold(4);
    seat.hold(5);
    await seat.startSlowCells();
    await seat.done(3);
    await expect.poll(() => seat.shown()).toEqual(allShown((cell) => cell > 3));
    await seat.disconnect();
    seat.release(4);
    await seat.done(4);
    await sleep(networkCut);
    await seat.connect();
    await expect.poll(() => seat.isConnected()).toBe(true);
    seat.release(5);
    // marimo does not repeat results after a reconnection. The sixth to tenth results prove the reconnection.
    await expect.poll(() => seat.shown()).toEqual(allShown((cell) => cell === 4));
  });
});
