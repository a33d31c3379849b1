import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContext } from "playwright-core";
import type { Steps } from "../../../src/cli/steps.ts";
import { App, homeOf, type Image, type Side, timeoutMilliseconds } from "../app.ts";
import { StandaloneMarimo } from "../standalone-marimo.ts";

/** The number of notebooks in each home folder. */
export const notebooksAtOnce = 20;
/** Moves of the slider that are not counted, in which the browser and the kernel compile code. */
export const warmUp = 5;
/** Counted moves of each slider, where there are many of them. */
export const movesEach = 8;

export interface Setup {
  readonly image: Image;
  readonly ours: Side;
  readonly article: Side;
  readonly browser: Browser;
  readonly steps: Steps;
  readonly signal: AbortSignal;
  readonly runs: number;
}

/** Runs work with a new browser profile. */
async function withContext<T>(browser: Browser, work: (context: BrowserContext) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}

/** Runs work with an app and a new browser profile, and closes both. */
export async function withApp<T>(
  { image, browser, steps, signal }: Setup,
  side: Side,
  label: string,
  work: (app: App, context: BrowserContext) => Promise<T>,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  return steps.run(`${side.name}: ${label}`, async () => {
    signal.throwIfAborted();
    const app = await App.start(image, side, environment);
    try {
      return await withContext(browser, (context) => work(app, context));
    } finally {
      await app.stop();
    }
  });
}

/** Runs work with standalone marimo and a new browser profile, and closes both. */
export async function withStandalone<T>(
  { image, ours, browser, steps }: Setup,
  label: string,
  work: (standalone: StandaloneMarimo, context: BrowserContext) => Promise<T>,
): Promise<T> {
  return steps.run(`standalone marimo: ${label}`, async () => {
    const environments = join(homeOf(image, ours), ".local/share/sagemaker-marimo/environments");
    const standalone = await StandaloneMarimo.start(image, join(environments, "current"), notebooksAtOnce);
    try {
      return await withContext(browser, (context) => work(standalone, context));
    } finally {
      await standalone.stop();
    }
  });
}

/** Waits for the installation that continues in the background. */
export async function installed(app: App, signal: AbortSignal): Promise<void> {
  const end = performance.now() + timeoutMilliseconds;
  while ((await app.processes()).some(({ command }) => command.includes("/install.sh"))) {
    if (performance.now() > end) throw new Error("install.sh did not finish");
    await sleep(500, undefined, { signal });
  }
}
