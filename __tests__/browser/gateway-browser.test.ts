import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notebook, SliderPage } from "../../scripts/bench/slider-notebook.ts";
import type { Gateway } from "../../src/local-studio/gateway.ts";
import { launchBrowser, newContext } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, startSpaceWith } from "../support/space-browser.ts";
import type { Container, Space } from "../support/space-fixture.ts";

/** More notebooks than Chromium's connections to one host over HTTP/1.1, which are six. */
const many = ["a", "b", "c", "d", "e", "f", "g", "h"];

describe("one browser", () => {
  let space: Space;
  let container: Container;
  let gateway: Gateway;
  let browser: Browser;
  beforeAll(async () => {
    const names = ["ours", "stock", ...many, ...many.map((one) => `stock-${one}`)];
    ({ space, container } = await startSpaceWith(Object.fromEntries(names.map((name) => [name, notebook]))));
    gateway = await defaultGateway(container);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    await space?.dispose();
  });

  const address = (name: string) => `${gateway.url}/jupyterlab/default/marimo/?file=${name}.py`;

  /** Moves the slider twice and delays the first value by a second; returns whether the cell shows the second value. */
  async function showsLast(name: string, context: BrowserContext, timeout = patience): Promise<boolean> {
    const page = await SliderPage.open(context, address(name), patience);
    await page.move();
    let isDelayed = false;
    await context.route("**/api/kernel/set_ui_element_value", async (route) => {
      if (!isDelayed) {
        isDelayed = true;
        await sleep(1000);
      }
      await route.continue();
    });
    await page.sweep(2);
    await sleep(3000);
    expect(isDelayed).toBe(true);
    return page.showsLast(timeout);
  }

  it("keeps the order of slider values when one of them is delayed", async () => {
    expect(await showsLast("ours", await newContext(browser))).toBe(true);
  });

  it("loses the last value to a delayed one in marimo's unmodified page", async () => {
    const context = await newContext(browser);
    await context.route("**/marimo/?file=*", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(/<script data-transport.*?<\/script>/s, "");
      await route.fulfill({ response, body });
    });
    expect(await showsLast("stock", context, 3000)).toBe(false);
  });

  it("updates more notebooks than it has connections, and loses no value", async () => {
    const context = await newContext(browser);
    // How each notebook receives events: with a stream, with long polls ("1") or with short polls ("0").
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

  it("cannot open more than six notebooks if each page keeps a connection", async () => {
    const context = await newContext(browser);
    await context.addInitScript('Object.defineProperty(navigator, "locks", { value: undefined })');
    const opened: SliderPage[] = [];
    const openAll = async () => {
      for (const name of many) opened.push(await SliderPage.open(context, address(`stock-${name}`), 45_000));
    };
    await expect(openAll()).rejects.toThrow(/Timeout/i);
    expect(opened.length).toBeGreaterThan(3);
    expect(opened.length).toBeLessThan(7);
    await context.close();
  });
});
