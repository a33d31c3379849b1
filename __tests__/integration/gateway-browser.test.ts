import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notebook, SliderPage } from "../../scripts/bench/slider-notebook.ts";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { type Gateway, startGateway } from "../../src/local-studio/gateway.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Container, realPayload, Space, until } from "./space-fixture.ts";

const patience = 90_000;
/** More than Chromium has connections to one host over HTTP/1.1, which is six. */
const many = ["a", "b", "c", "d", "e", "f", "g", "h"];

describe("one browser", () => {
  let space: Space;
  let container: Container;
  let gateway: Gateway;
  let browser: Browser;
  beforeAll(async () => {
    const { python } = await pythonEnvironment("image");
    space = new Space();
    for (const name of ["ours", "stock", ...many, ...many.map((one) => `stock-${one}`)])
      space.write(join(space.home, `marimo-notebooks/${name}.py`), notebook);
    space.upload(realPayload());
    container = await space.start(python);
    await until(
      "marimo's page",
      async () => {
        const page = await fetch(`${container.url}/marimo/`, { headers: { Accept: "text/html" } });
        return page.ok && page.headers.get("X-Marimo-Installation") === null ? true : undefined;
      },
      180,
    );
    const { faults } = gatewayProfiles["reported-studio"];
    gateway = await startGateway({ faults, upstreamPort: () => Number(new URL(container.url).port) });
    browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    await space?.dispose();
  });

  const address = (name: string) => `${gateway.url}/jupyterlab/default/marimo/?file=${name}.py`;

  /** Moves the slider twice, the first value held back for a second; tells whether the cell shows the second one. */
  async function showsLast(name: string, context: BrowserContext): Promise<boolean> {
    const page = await SliderPage.open(context, address(name), patience);
    await page.move();
    let held = false;
    await context.route("**/api/kernel/set_ui_element_value", async (route) => {
      if (!held) {
        held = true;
        await sleep(1000);
      }
      await route.continue();
    });
    await page.sweep(2);
    await sleep(3000);
    expect(held).toBe(true);
    return page.showsLast(3000);
  }

  it("never lets a slider's late value be overtaken by the next", async () => {
    expect(await showsLast("ours", await browser.newContext())).toBe(true);
  });

  it("loses the last value to a late one in marimo's page as it comes", async () => {
    const context = await browser.newContext();
    await context.route("**/marimo/?file=*", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(/<script data-transport.*?<\/script>/s, "");
      await route.fulfill({ response, body });
    });
    expect(await showsLast("stock", context)).toBe(false);
  });

  it("follows more notebooks than it has connections for, and loses no value", async () => {
    const context = await browser.newContext();
    // How each notebook asks for what is new: by a stream, or by polls that wait ("1") or do not ("0").
    const asks = new Map(many.map((name) => [name, new Set<string>()]));
    context.on("request", (request) => {
      const file = /[?&]file=(\w+)\.py/.exec(request.url())?.[1] ?? "";
      if (request.url().includes("/marimo/sse?"))
        asks.get(file)?.add(request.headers()["marimo-stream-poll"] ?? "stream");
    });
    const pages: SliderPage[] = [];
    for (const name of many) pages.push(await SliderPage.open(context, address(name), patience));
    for (const page of pages) await page.move();
    const [first, last] = [asks.get("a"), asks.get("h")];
    expect([...(first ?? [])]).toEqual(["stream"]);
    expect([...(last ?? [])].sort()).toEqual(["0", "1"]);
    await Promise.all(pages.map((page) => page.sweep(5)));
    for (const page of pages) expect(await page.showsLast(patience)).toBe(true);
    await context.close();
  });

  it("stops at the sixth where each page keeps a connection for itself", async () => {
    const context = await browser.newContext();
    await context.addInitScript('Object.defineProperty(navigator, "locks", { value: undefined })');
    const opened: SliderPage[] = [];
    const openAll = async () => {
      for (const name of many) opened.push(await SliderPage.open(context, address(`stock-${name}`), 20_000));
    };
    await expect(openAll()).rejects.toThrow(/Timeout/i);
    expect(opened.length).toBeGreaterThan(3);
    expect(opened.length).toBeLessThan(7);
    await context.close();
  });
});
