import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";

/** What each cell shows, by the cell's id, through the shadow roots of marimo's elements; not the slider's own cell. */
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

/** Cell ids and texts. */
type Outputs = Readonly<Record<string, string>>;

/** One notebook in marimo's editor, as a person meets it. */
export class MarimoPage {
  private readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Opens the notebook and waits for marimo's editor, past the page that stands there while marimo is installed. */
  async open(url: string, timeout: number): Promise<void> {
    await this.page.goto(url, { waitUntil: "commit", timeout });
    await this.page.locator("#App").waitFor({ timeout });
  }

  /** The kernel's connection is open. */
  async waitForKernel(timeout: number): Promise<void> {
    const app = this.page.locator("#App");
    const open = this.page.locator('#App[data-connection-state="OPEN"]');
    await open.waitFor({ timeout }).catch(async (error: Error) => {
      const state = await app.getAttribute("data-connection-state", { timeout: 1000 }).catch(() => "gone");
      if (error.name !== "TimeoutError") throw error;
      throw new Error(`marimo's connection is ${state} after ${timeout / 1000} s`);
    });
  }

  /** Every cell has run, and what it shows is on the page. */
  async waitForOutputs(timeout: number): Promise<void> {
    await this.slider.waitFor({ timeout });
    await this.settled(timeout, "no cell shows anything", (outputs) => Object.keys(outputs).length > 0);
  }

  /** Moves the slider by ten of its steps; resolves to what the cells that changed with it showed before. */
  async moveSlider(timeout: number): Promise<Outputs> {
    const before = await this.outputs();
    await this.press("PageUp");
    const changed = (now: Outputs) => Object.keys(before).filter((id) => id in now && now[id] !== before[id]);
    const now = await this.settled(
      timeout,
      "no cell changed with the slider",
      (one) => changed(one).length > 0,
    );
    return Object.fromEntries(changed(now).map((id) => [id, before[id] ?? ""]));
  }

  /** Moves the slider back; a cell that had changed for a reason of its own would not show again what it showed. */
  async moveSliderBack(before: Outputs, timeout: number): Promise<void> {
    await this.press("PageDown");
    const restored = (now: Outputs) => Object.keys(before).some((id) => now[id] === before[id]);
    await this.settled(timeout, "no cell went back with the slider", restored);
  }

  /** Shows marimo's terminal, whatever it is connected to. */
  async openTerminal(timeout: number): Promise<void> {
    await this.page.keyboard.press("Control+Backquote");
    await this.page.locator(".xterm").waitFor({ timeout });
  }

  sliderValue(): Promise<string | null> {
    return this.slider.getAttribute("aria-valuenow");
  }

  /** What marimo shows to a second page on the same notebook. */
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

  /** Waits until the outputs are as wanted and stay the same for half a second. */
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
