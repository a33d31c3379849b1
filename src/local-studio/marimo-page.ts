import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";

/** Reads the text of each cell's output by cell id, including shadow roots, except for the slider's own cell. */
const outputsScript = `(() => {
  const text = (node) => {
    if (node.nodeType === 3) return node.data;
    if (["STYLE", "SCRIPT"].includes(node.nodeName)) return "";
    const inside = node.shadowRoot ? [node.shadowRoot, ...node.childNodes] : node.childNodes;
    return [...inside].map(text).join("");
  };
  const shown = [...document.querySelectorAll("[data-cell-id]")]
    .filter((cell) => cell.querySelector(".output") && !cell.querySelector("marimo-slider"))
    .map((cell) => [cell.dataset.cellId, text(cell.querySelector(".output")).trim()]);
  return Object.fromEntries(shown.filter(([, one]) => one !== ""));
})()`;

const stale = ".marimo-cell.needs-run";
const notRun = '.marimo-cell [data-status="outdated"]';
const busy = '[data-status="queued"], [data-status="running"]';

/** Output text by cell id. */
type Outputs = Readonly<Record<string, string>>;

/** One notebook in marimo's editor. */
export class MarimoPage {
  private readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Opens the notebook and waits for marimo's editor, which replaces the waiting page once marimo is installed. */
  async open(url: string, timeout: number): Promise<void> {
    await this.page.goto(url, { waitUntil: "commit", timeout });
    await this.page.locator("#App").waitFor({ timeout });
  }

  /** Waits until the connection to the kernel is open. */
  async waitForKernel(timeout: number): Promise<void> {
    const app = this.page.locator("#App");
    const open = this.page.locator('#App[data-connection-state="OPEN"]');
    await open.waitFor({ timeout }).catch(async (error: Error) => {
      const state = await app.getAttribute("data-connection-state", { timeout: 1000 }).catch(() => "gone");
      if (error.name !== "TimeoutError") throw error;
      const shown = await this.page.innerText("body", { timeout: 1000 }).catch(() => "");
      const text = shown.replaceAll(/\s+/g, " ").slice(0, 500);
      throw new Error(`marimo's connection is ${state} after ${timeout / 1000} s. The page shows: ${text}`);
    });
  }

  /** Runs the cells that have not run in this session, and waits until all have, and for the slider's. */
  async runCells(timeout: number): Promise<void> {
    await this.runStaleCells(timeout);
    await this.waitForOutputs(timeout);
  }

  /** Runs the cells that have not run in this session or have changed since, and waits until none is left. */
  async runStaleCells(timeout: number): Promise<void> {
    await this.page.locator(".marimo-cell").first().waitFor({ timeout });
    if ((await this.page.locator(notRun).count()) > 0) {
      // Until the kernel knows the notebook, no cell is stale, and marimo ignores the shortcut. After a reload, the cells
      // look so for a moment.
      await this.page.waitForFunction(
        `document.querySelector(${JSON.stringify(stale)}) || !document.querySelector(${JSON.stringify(notRun)})`,
        undefined,
        { timeout },
      );
      await this.page.keyboard.press("ControlOrMeta+Shift+R");
    }
    const unfinished = this.page.locator(`${notRun}, ${stale}, ${busy}`);
    await unfinished.first().waitFor({ state: "detached", timeout });
  }

  /** Waits until a cell has run, and no cell is queued or running. */
  async waitForIdle(timeout: number): Promise<void> {
    await this.page.locator(".marimo-cell .output").first().waitFor({ state: "attached", timeout });
    await this.page.locator(busy).first().waitFor({ state: "detached", timeout });
  }

  /** Waits until the cells' outputs are on the page, of this session or from marimo's session cache. */
  async waitForOutputs(timeout: number): Promise<void> {
    await this.slider.waitFor({ timeout });
    await this.settled(timeout, "no cell had an output", (outputs) => Object.keys(outputs).length > 0);
  }

  /** Moves the slider by ten steps and waits until a cell has changed; resolves to the previous outputs. */
  async moveSlider(timeout: number): Promise<Outputs> {
    const before = await this.outputs();
    await this.press("PageUp");
    const changed = (now: Outputs) => Object.keys(before).some((id) => id in now && now[id] !== before[id]);
    await this.settled(timeout, "no cell changed with the slider", changed);
    return before;
  }

  /** Moves the slider back and waits for a cell's previous output, which proves that the cell depends on the slider. */
  async moveSliderBack(before: Outputs, timeout: number): Promise<void> {
    const moved = new Set<string>();
    const noteMoved = (now: Outputs) => {
      for (const id of Object.keys(before)) if (id in now && now[id] !== before[id]) moved.add(id);
    };
    noteMoved(await this.outputs());
    await this.press("PageDown");
    await this.settled(timeout, "no cell changed back with the slider", (now) => {
      // A cell that was slow to follow the first move shows it only now.
      noteMoved(now);
      return [...moved].some((id) => now[id] === before[id]);
    });
  }

  /** Opens marimo's terminal panel, without checking its connection. */
  async openTerminal(timeout: number): Promise<void> {
    await this.page.keyboard.press("Control+Backquote");
    await this.page.locator(".xterm").waitFor({ timeout });
  }

  sliderValue(): Promise<string | null> {
    return this.slider.getAttribute("aria-valuenow");
  }

  /** Whether marimo treats this page as a second, read-only page of the notebook. */
  async isReader(): Promise<boolean> {
    return (await this.page.getByTestId("takeover-button").count()) > 0;
  }

  reload(timeout: number): Promise<unknown> {
    return this.page.reload({ waitUntil: "commit", timeout });
  }

  private outputs(): Promise<Outputs> {
    return this.page.evaluate(outputsScript);
  }

  private get slider() {
    return this.page.locator("marimo-slider").getByRole("slider").first();
  }

  private async press(key: string): Promise<void> {
    await this.slider.focus();
    await this.page.keyboard.press(key);
  }

  /** Waits until the outputs meet the condition and have not changed for half a second. */
  private async settled(
    timeout: number,
    otherwise: string,
    wanted: (outputs: Outputs) => boolean,
  ): Promise<Outputs> {
    const deadline = Date.now() + timeout;
    let last = "";
    let since = Date.now();
    for (;;) {
      const outputs = await this.outputs();
      const text = JSON.stringify(outputs);
      if (text !== last) since = Date.now();
      last = text;
      if (wanted(outputs) && Date.now() - since >= 500) return outputs;
      if (Date.now() > deadline) throw new Error(`${otherwise} within ${timeout / 1000} s`);
      await sleep(50);
    }
  }
}
