import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Gateway } from "../../src/local-studio/gateway.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { contextWithoutAnimations, launchBrowser } from "../support/browser.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, signalMarimo, startSpaceWith } from "../support/space-browser.ts";
import { type Container, type Space, until } from "../support/space-fixture.ts";

/** gateway-profiles.test.ts has gaps of four minutes. */
const gap = 45_000;

/** Outputs of a megabyte each: more than is kept in memory for a page that is away. */
const plots = 20;

const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    import time
    from pathlib import Path

    import marimo as mo
    return Path, mo, time


@app.cell
def _(mo):
    button = mo.ui.button(value=0, on_click=lambda value: value + 1, label="start")
    button
    return (button,)


@app.cell
def _(Path, button, time):
    while button.value and not Path(__file__).with_suffix(".go").exists():
        time.sleep(0.05)
    run = button.value
    return (run,)
${Array.from(
  { length: plots },
  (_, plot) => `

@app.cell
def _(mo, run):
    print(f"cell ${plot} printed in run {run}")
    mo.Html(f"<p>plot ${plot} of run {run} <img src='data:image/png;base64,{'x' * run * 1_000_000}' alt='' hidden></p>")
    return
`,
).join("")}
if __name__ == "__main__":
    app.run()
`;

/** marimo saves once its transactions were answered: on a busy machine, seconds later. */
const delaySaves = (delay: number) => `
  let current = window.fetch;
  const set = (fetch) => {
    current = async (input, init) => {
      const response = await fetch(input, init);
      if (String(input.url ?? input).endsWith("/document/transaction"))
        await new Promise((resolve) => setTimeout(resolve, ${delay}));
      return response;
    };
  };
  Object.defineProperty(window, "fetch", { get: () => current, set });
`;

describe("a page that was away", () => {
  let space: Space;
  let container: Container;
  let gateway: Gateway;
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    ({ space, container } = await startSpaceWith({ away: notebook, left: notebook, restarted: notebook }));
    gateway = await defaultGateway(container);
    browser = await launchBrowser();
    context = await contextWithoutAnimations(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    await space?.dispose();
  });

  async function reconnect() {
    gateway = await defaultGateway(container, gateway.port);
  }

  async function open(name: string, script = ""): Promise<Page> {
    const tab = await context.newPage();
    await tab.addInitScript(script);
    const page = new MarimoPage(tab);
    await page.open(`${gateway.url}/jupyterlab/default/marimo/?file=${name}.py`, patience);
    await page.waitForKernel(patience);
    await tab.getByText(`plot ${plots - 1} of run 0`).waitFor({ timeout: patience });
    return tab;
  }

  const file = (name: string) => readFileSync(join(space.home, `marimo-notebooks/${name}.py`), "utf8");
  async function type(tab: Page, text: string) {
    await tab.locator("[data-cell-id] .cm-content").first().click();
    await tab.keyboard.press("Control+End");
    await tab.keyboard.type(`  # ${text}`);
  }

  it("has every result and its edits after a gap, without a reload", async () => {
    const tab = await open("away");
    await tab.getByRole("button", { name: "start" }).click();
    await sleep(1000);
    await tab.evaluate("window.stays = true");
    await gateway.close();
    await type(tab, "typed while away");
    await tab.getByText("There has been no connection to your space since").waitFor({ timeout: patience });
    space.write(join(space.home, "marimo-notebooks/away.go"), "");
    await sleep(gap);
    await reconnect();
    for (let plot = 0; plot < plots; plot++) {
      await tab.getByText(`plot ${plot} of run 1`).waitFor({ timeout: patience });
      expect(await tab.getByText(`cell ${plot} printed in run 1`).count()).toBe(1);
    }
    await until("the edit in the file", () => file("away").includes("typed while away"));
    expect(await tab.locator("#marimo-outage").count()).toBe(0);
    expect(await tab.evaluate("window.stays")).toBe(true);
  });

  it("was never instantiated, and is by the next page", async () => {
    const first = await context.newPage();
    const asked = first.waitForRequest("**/api/kernel/instantiate", { timeout: patience });
    await first.route("**/api/kernel/instantiate", (route) => route.abort());
    await first.goto(`${gateway.url}/jupyterlab/default/marimo/?file=left.py`);
    await asked;
    await first.close();
    const tab = await open("left");
    await tab.close();
  });

  it.each([
    ["at once", 0],
    ["seconds later", 8000],
  ])(
    "reloads if marimo's server was restarted meanwhile, and keeps its edits if marimo saves them %s",
    async (_, delay) => {
      await context.addInitScript(delaySaves(delay));
      const tab = await open("restarted");
      await gateway.close();
      const text = `typed before the restart ${delay}`;
      await type(tab, text);
      await signalMarimo(space, "SIGKILL");
      await sleep(10_000);
      const reloaded = tab.waitForEvent("framenavigated", { timeout: patience });
      await reconnect();
      await reloaded;
      await tab.getByText(`plot ${plots - 1} of run 0`).waitFor({ timeout: patience });
      expect(file("restarted")).toContain(text);
      await tab.getByText(text).waitFor({ timeout: patience });
      await tab.close();
    },
  );
});
