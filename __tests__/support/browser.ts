import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { patience } from "./patience.ts";

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
}

/**
 * While a cell runs, marimo redraws its elapsed time and its icon 60 times per second, which uses half a CPU core per
 * page. This script redraws the time once per second and disables animations.
 */
const reduceRedraws = `{
  const interval = window.setInterval;
  window.setInterval = (work, delay, ...rest) => interval(work, delay > 0 && delay < 100 ? 1000 : delay, ...rest);
  addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, ::before, ::after { animation: none !important; transition: none !important; }";
    document.head.append(style);
  });
}`;

export async function newContext(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(patience);
  return context;
}

/** Creates a context for pages that stay open for minutes while other tests run. */
export async function contextWithoutAnimations(browser: Browser): Promise<BrowserContext> {
  const context = await newContext(browser);
  await context.addInitScript(reduceRedraws);
  return context;
}
