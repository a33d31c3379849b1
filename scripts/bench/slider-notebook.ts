import { type BrowserContext, errors, type Page } from "playwright-core";

/** A slider, and a cell that shows ten times its value. */
export const notebook = `import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    return (mo,)


@app.cell
def _(mo):
    slider = mo.ui.slider(0, 1000)
    slider
    return (slider,)


@app.cell
def _(slider):
    f"ten times the slider: {slider.value * 10}."
    return


if __name__ == "__main__":
    app.run()
`;

/** The dependent cell's value as a string, or `undefined` without one. */
const shown = `[...document.querySelectorAll("[data-cell-id] .output")]
  .map((output) => /ten times the slider: (\\d+)\\.|$/.exec(output.textContent)[1])
  .find((value) => value !== undefined)`;
const shows = (value: number) => `Number(${shown}) === ${value * 10}`;

/** Starts to measure, in the page, the time from the next key to the new value in the dependent cell. */
const timeNextMove = (value: number, timeout: number) => `{
  let pressed;
  addEventListener("keydown", () => { pressed = performance.now(); }, { capture: true, once: true });
  window.moved = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (pressed === undefined || !(${shows(value)})) return;
      observer.disconnect();
      resolve(performance.now() - pressed);
    });
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
    setTimeout(resolve, ${timeout}, undefined);
  });
}
// evaluate() must not wait for the promise yet.
undefined`;

/** The notebook in a browser. Times are measured in the page. */
export class SliderPage {
  private readonly page: Page;
  private value: number;

  private constructor(page: Page, value: number) {
    this.page = page;
    this.value = value;
  }

  /** Resolves when the notebook is live: it is connected, and the dependent cell has its value. */
  static async open(context: BrowserContext, url: string, timeout: number): Promise<SliderPage> {
    const page = await context.newPage();
    const end = performance.now() + timeout;
    // Reload while the page has an error, like a user. A waiting page opens marimo by itself.
    while ((await page.goto(url, { waitUntil: "commit", timeout }))?.ok() !== true) {
      if (performance.now() > end)
        throw new errors.TimeoutError(`${url} is still an error page after ${timeout / 1000} s`);
      await page.waitForTimeout(100);
    }
    const live = `document.querySelector('#App[data-connection-state="OPEN"]') !== null && ${shown}`;
    const timeLeft = Math.max(1, end - performance.now());
    const value = await page.waitForFunction(live, undefined, { timeout: timeLeft, polling: 50 });
    await page.locator("marimo-slider").getByRole("slider").first().focus();
    return new SliderPage(page, Number(await value.jsonValue()) / 10);
  }

  /** Moves the slider by one step. Resolves to the milliseconds from the key to the dependent cell. */
  async move(timeout = 60_000): Promise<number> {
    this.value += 1;
    await this.page.evaluate(timeNextMove(this.value, timeout));
    await this.page.keyboard.press("ArrowRight");
    const time: number | undefined = await this.page.evaluate("window.moved");
    if (time !== undefined) return time;
    throw new errors.TimeoutError(`the dependent cell does not show ${this.value} after ${timeout / 1000} s`);
  }

  /** Moves the slider by several steps at the speed of key repetition, without waiting for the dependent cell. */
  async sweep(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.value += 1;
      await this.page.keyboard.press("ArrowRight", { delay: 30 });
    }
  }

  /** Whether the dependent cell shows the last value within that time. */
  async showsLast(timeout: number): Promise<boolean> {
    return this.page.waitForFunction(shows(this.value), undefined, { timeout, polling: 50 }).then(
      () => true,
      (error: Error) => {
        if (error.name !== "TimeoutError") throw error;
        return false;
      },
    );
  }
}
