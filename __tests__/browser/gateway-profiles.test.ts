import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import {
  type GatewayProfile,
  gatewayProfileNames,
  gatewayProfiles,
} from "../../src/local-studio/gateway-faults.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import {
  absenceTimeout,
  allShown,
  firstPlot,
  Seat,
  slowCells,
  startSpace,
} from "../support/gateway-fixture.ts";
import { patience } from "../support/patience.ts";
import { type Container, payloadFolder, type Space } from "../support/space-fixture.ts";

/** Gateways close idle connections after 10 to 13 s. */
const idle = 45_000;
const slow = 12_000;
/** Longer than marimo's own page tries to connect again (0.25.2: ten times, at most 140 s). */
const gap = 240_000;
/** Timeout for the results after the gap: the space sends 20 MB to each of the pages at the same time. */
const backlog = 400_000;
/** Timeout for the concurrent tests, in which up to nine pages are opened one after another. */
const together = 1_200_000;

let browser: Browser;
let context: BrowserContext;
let python: string;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  browser = await launchBrowser();
  context = await contextWithoutAnimations(browser);
});
afterAll(() => browser.close());

describe("marimo in a space with default settings", () => {
  let space: Space;
  let container: Container;
  /** One seat per gateway. The pages stay open between tests, because opening takes most of the time. */
  const seats = new Map<GatewayProfile, Seat>();
  const apps = new Map<GatewayProfile, Seat>();
  beforeAll(async () => {
    const props = {
      python,
      transport: "auto",
      notebooks: gatewayProfileNames,
      seconds: slow / 1000,
      megabytes: 20,
      apps: true,
    } as const;
    ({ space, container } = await startSpace(props));
    for (const name of gatewayProfileNames) {
      const seat = { space, container, context, faults: gatewayProfiles[name].faults, name };
      seats.set(name, new Seat(seat));
      apps.set(name, new Seat({ ...seat, isApp: true }));
    }
  });
  afterAll(async () => {
    for (const seat of [...seats.values(), ...apps.values()]) await seat.leave();
    await space?.dispose();
  });

  function seatAt(profile: GatewayProfile, of = seats): Seat {
    const seat = of.get(profile);
    if (!seat) throw new Error(`There is no seat behind the gateway ${profile}.`);
    return seat;
  }

  it.for(gatewayProfileNames)(
    "connects, updates cells, and stays editable after a reload and in a new tab (%s)",
    async (profile) => {
      const seat = seatAt(profile);
      const marimo = await seat.newTab();
      expect(await seat.filesAskedFor()).toBeGreaterThan(100);
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
      // The browser has kept them.
      expect(await seat.filesAskedFor()).toBe(0);
      expect(await again.isReader()).toBe(false);
      expect(await again.sliderValue()).toBe(leftAgain);
      await again.moveSlider(patience);
    },
  );

  it.for(gatewayProfileNames)(
    "connects, updates cells, and starts anew after a reload and in a new tab, in an app (%s)",
    async (profile) => {
      const seat = seatAt(profile, apps);
      const app = await seat.newTab();
      const start = await app.sliderValue();
      await app.moveSlider(patience);
      expect(await app.sliderValue()).not.toBe(start);

      await app.reload(patience);
      await app.waitForKernel(patience);
      await app.waitForOutputs(patience);
      expect(await app.sliderValue()).toBe(start);
      await app.moveSlider(patience);

      const again = await seat.newTab();
      expect(await again.sliderValue()).toBe(start);
      await again.moveSlider(patience);
    },
  );

  // From here on, nine or eighteen tests run concurrently, because they mostly wait.
  describe("after 45 s without activity", () => {
    it.concurrent.for(gatewayProfileNames)(
      "updates cells at the first move of the slider (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const marimo = await seatAt(profile).marimo();
        await sleep(idle);
        await marimo.moveSlider(patience);
        expect(await marimo.isReader()).toBe(false);
      },
    );

    it.concurrent.for(gatewayProfileNames)(
      "updates cells at the first move of the slider in an app (%s)",
      { timeout: together },
      async (profile) => {
        const app = await seatAt(profile, apps).marimo();
        await sleep(idle);
        await app.moveSlider(patience);
      },
    );
  });

  describe("with ten cells of 12 s, and without network for 4 minutes while six of them send 20 MB", () => {
    it.concurrent.for(gatewayProfileNames)(
      "shows all ten results once without a reload, and stays editable (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const seat = seatAt(profile);
        const marimo = await seat.marimo();
        // Each cell takes longer than the idle limit of the gateways.
        await seat.startSlowCells(firstPlot);
        await expect
          .poll(() => seat.shown(), { interval: 1000 })
          .toEqual(allShown((cell) => cell >= firstPlot));
        await seat.disconnect();
        seat.release();
        await sleep(gap);
        expect(seat.isDone(slowCells - 1)).toBe(true);
        await seat.connect();
        await expect.poll(() => seat.shown(), { timeout: backlog, interval: 1000 }).toEqual(allShown());
        expect(await marimo.isReader()).toBe(false);
        await marimo.moveSlider(patience);
        expect(await seat.shown()).toEqual(allShown());
      },
    );

    it.concurrent.for(gatewayProfileNames)(
      "shows all ten results once in an app, and keeps its session (%s)",
      { timeout: together },
      async (profile, { expect }) => {
        const seat = seatAt(profile, apps);
        const app = await seat.marimo();
        const value = await app.sliderValue();
        await seat.startSlowCells(firstPlot);
        await seat.done(firstPlot - 1);
        await seat.disconnect();
        seat.release();
        await sleep(gap);
        await seat.connect();
        const results = async () => (await seat.shown()).results;
        await expect.poll(results, { timeout: backlog, interval: 1000 }).toEqual(allShown().results);
        expect(await app.sliderValue()).toBe(value);
        await app.moveSlider(patience);
      },
    );
  });

  describe("from another origin", () => {
    const stream = "marimo/sse?session_id=s_other1&file=none.py";
    const attempts: readonly (readonly [string, string, RequestInit])[] = [
      [
        "a cross-site request that runs code",
        "marimo/api/kernel/run",
        { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" } },
      ],
      [
        "a request of a sibling space",
        "marimo/api/kernel/run",
        { method: "POST", headers: { "Sec-Fetch-Site": "same-site" } },
      ],
      [
        "a request of an older browser",
        "marimo/api/kernel/run",
        { method: "POST", headers: { Origin: "https://evil.example" } },
      ],
      [
        "a request of a sandboxed frame",
        "marimo/api/kernel/run",
        { method: "POST", headers: { Origin: "null" } },
      ],
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
            `the event stream with the disguised path ${disguise}`,
            stream.replace("sse", disguise),
            { headers: { Origin: "null" } },
          ] as const,
      ),
    ];
    it.each(attempts)("%s is rejected", async (_, path, init) => {
      const response = await fetch(`${container.url}/${path}`, init);
      expect(response.status).toBe(403);
      await response.body?.cancel();
    });

    it("marimo's own page and links to it are accepted", async () => {
      const own = { Origin: new URL(container.url).origin, "Sec-Fetch-Site": "same-origin" };
      const run = await fetch(`${container.url}/marimo/api/kernel/run`, { method: "POST", headers: own });
      // Skew protection: marimo requires the token of its page.
      expect(run.status).toBe(401);
      const link = { headers: { Accept: "text/html", "Sec-Fetch-Site": "cross-site" } };
      expect((await fetch(`${container.url}/marimo/`, link)).status).toBe(200);
    });
  });

  describe("private interfaces", () => {
    it("of jupyter-server-proxy exist", async () => {
      const program = `
from sagemaker_marimo.private_interfaces import missing_in_proxy
assert missing_in_proxy() == [], missing_in_proxy()
from sagemaker_marimo.proxy import server_process, MarimoHandler
cls, arguments = server_process("marimo", command=["y"]).make_proxy_handler()
assert issubclass(cls, MarimoHandler) and "state" in arguments, "make_proxy_handler"
`;
      const environment = { ...space.environment, PYTHONPATH: join(payloadFolder, "python") };
      const { status, stderr } = await space.run(python, ["-B", "-c", program], environment);
      expect(status, stderr).toBe(0);
    });

    it("of marimo exist", async () => {
      const page = await (
        await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } })
      ).text();
      expect(page).toContain('<head><script data-transport="auto" ');
      const connections = await fetch(`${container.url}/marimo/api/status/connections`);
      expect(await connections.json()).toMatchObject({ active: expect.any(Number) });
      const requested: string[] = [];
      // The other pages would request their own streams.
      for (const seat of seats.values()) await seat.closeTab();
      context.on("request", (request) => requested.push(`${request.method()} ${request.url()}`));
      await seatAt("none").newTab();
      const stream = new URL(requested.find((one) => /^GET .*\/marimo\/sse\?/.test(one))?.slice(4) ?? "");
      expect(stream.searchParams.get("session_id")).toMatch(/^s_/);
      expect(stream.searchParams.get("file")).toBe("none.py");
    });
  });
});

describe("a fixed transport", () => {
  it.each([
    { transport: "sse", profile: "buffering" },
    { transport: "websocket", profile: "query-dropped" },
  ] as const)("$transport cannot connect through the gateway $profile", async ({ transport, profile }) => {
    const notebooks = [profile, "none"] as const;
    const running = await startSpace({ python, transport, notebooks, seconds: 0 });
    const seats = notebooks.map(
      (name) => new Seat({ ...running, context, faults: gatewayProfiles[name].faults, name }),
    );
    const [faulty, faultless] = seats;
    // Cookies are sent to every port, and each rehearsal leaves some of 300 characters.
    const cookies = Array.from({ length: 32 }, (_, index) => ({
      name: `rehearsal-${index}`,
      value: "a".repeat(300),
    }));
    await context.clearCookies();
    await context.addCookies(cookies.map((cookie) => ({ ...cookie, domain: "127.0.0.1", path: "/" })));
    try {
      await expect(faulty?.newTab(absenceTimeout)).rejects.toThrow("marimo's connection is");
      // Control: the same space works without the fault.
      await faultless?.newTab();
    } finally {
      for (const seat of seats) await seat.leave();
      await running.space.dispose();
    }
  });
});
