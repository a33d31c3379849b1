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

/** What the dependent cell shows, as a string; `undefined` as long as it shows nothing. */
const shown = `[...document.querySelectorAll("[data-cell-id] .output")]
  .map((output) => /ten times the slider: (\\d+)\\.|$/.exec(output.textContent)[1])
  .find((value) => value !== undefined)`;
const shows = (value: number) => `Number(${shown}) === ${value * 10}`;

/** Begins, in the page, to wait for the next key and for what it makes the dependent cell show. */
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
// The promise is not to be waited for yet.
undefined`;

/** That notebook in a browser, its times taken in the page itself. */
export class SliderPage {
  private readonly page: Page;
  private value: number;

  private constructor(page: Page, value: number) {
    this.page = page;
    this.value = value;
  }

  /** Resolves once the notebook is live: connected, and its cell shows what the kernel computed. */
  static async open(context: BrowserContext, url: string, timeout: number): Promise<SliderPage> {
    const page = await context.newPage();
    const end = performance.now() + timeout;
    // What a person does who finds nothing there yet: reload. A waiting page becomes marimo by itself.
    while ((await page.goto(url, { waitUntil: "commit", timeout }))?.ok() !== true) {
      if (performance.now() > end)
        throw new errors.TimeoutError(`${url} is an error page after ${timeout / 1000} s`);
      await page.waitForTimeout(100);
    }
    const live = `document.querySelector('#App[data-connection-state="OPEN"]') !== null && ${shown}`;
    const timeLeft = Math.max(1, end - performance.now());
    const value = await page.waitForFunction(live, undefined, { timeout: timeLeft, polling: 50 });
    await page.locator("marimo-slider").getByRole("slider").first().focus();
    return new SliderPage(page, Number(await value.jsonValue()) / 10);
  }

  /** One step up; resolves to the milliseconds from the key to the dependent cell. */
  async move(timeout = 60_000): Promise<number> {
    this.value += 1;
    await this.page.evaluate(timeNextMove(this.value, timeout));
    await this.page.keyboard.press("ArrowRight");
    const time: number | undefined = await this.page.evaluate("window.moved");
    if (time !== undefined) return time;
    throw new errors.TimeoutError(`the dependent cell does not show ${this.value} after ${timeout / 1000} s`);
  }

  /** Several steps up, as fast as a key repeats, without a look at what they make. */
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
