import type { BrowserContext } from "playwright-core";
import type { Steps } from "../../../src/cli/steps.ts";
import { median } from "../report.ts";
import type { SliderPage } from "../slider-notebook.ts";
import { movesEach, notebooksAtOnce, type Setup, warmUp, withApp, withStandalone } from "./setup.ts";

export interface ManyNotebooks {
  /** The number of notebooks that can be used in one browser. */
  readonly together: number;
  /** Milliseconds of a move with all notebooks open, moved one after the other: each notebook's median, slowest last. */
  readonly moves: readonly number[];
  /** The number of notebooks that do not show their last value after quick keys. */
  readonly lost: number;
}

type Open = (context: BrowserContext, index: number, timeout?: number) => Promise<SliderPage>;

/**
 * Opens notebooks in one browser until one cannot be used. Browsers allow six HTTP/1.1 connections to an origin, and an
 * event stream occupies one (MDN, "EventSource").
 */
async function openTogether(context: BrowserContext, open: Open, steps: Steps): Promise<SliderPage[]> {
  const pages: SliderPage[] = [];
  for (let index = 0; index < notebooksAtOnce; index++) {
    steps.progress(`notebook ${index + 1} in one browser`);
    try {
      const page = await open(context, index, 30_000);
      await page.move(10_000);
      pages.push(page);
    } catch (error) {
      if (!(error instanceof Error && error.name === "TimeoutError")) throw error;
      break;
    }
  }
  return pages;
}

/** Opens many notebooks and moves their sliders: first in turn, then by quick keys. */
async function measureMany(setup: Setup, context: BrowserContext, open: Open): Promise<ManyNotebooks> {
  const { browser, steps } = setup;
  const together = await openTogether(context, open, steps);
  if (together.length === notebooksAtOnce) return moveMany(together, together.length, setup.signal);
  // Measure the rest with a separate browser profile, and so separate connections, for each notebook.
  for (const page of context.pages()) await page.close();
  const contexts: BrowserContext[] = [];
  try {
    const pages: SliderPage[] = [];
    for (let index = 0; index < notebooksAtOnce; index++) {
      steps.progress(`notebook ${index + 1} in a separate profile`);
      const own = await browser.newContext();
      contexts.push(own);
      pages.push(await open(own, index));
    }
    return await moveMany(pages, together.length, setup.signal);
  } finally {
    for (const own of contexts) await own.close();
  }
}

async function moveMany(
  pages: readonly SliderPage[],
  together: number,
  signal: AbortSignal,
): Promise<ManyNotebooks> {
  const times = pages.map((): number[] => []);
  for (let round = -warmUp; round < movesEach; round++) {
    for (const [index, page] of pages.entries()) {
      signal.throwIfAborted();
      const time = await page.move();
      if (round >= 0) times[index]?.push(time);
    }
  }
  await Promise.all(pages.map((page) => page.sweep(movesEach)));
  const shown = await Promise.all(pages.map((page) => page.showsLast(30_000)));
  return {
    together,
    moves: times.map(median).toSorted((a, b) => a - b),
    lost: shown.filter((one) => !one).length,
  };
}

export interface NotebooksBySide {
  readonly ours: ManyNotebooks;
  readonly standalone: ManyNotebooks;
}

export async function timeMany(setup: Setup): Promise<NotebooksBySide> {
  const label = `${notebooksAtOnce} notebooks at once`;
  return {
    ours: await withApp(setup, setup.ours, label, (app, context) =>
      measureMany(setup, context, (own, index, timeout) => app.open(own, { index, timeout })),
    ),
    standalone: await withStandalone(setup, label, (standalone, context) =>
      measureMany(setup, context, (own, index, timeout) => standalone.open(own, index, timeout)),
    ),
  };
}
