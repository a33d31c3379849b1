import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { Problem, StepFailure } from "../cli/problem.ts";
import type { Steps } from "../cli/steps.ts";
import { chromiumArguments } from "./chromium.ts";
import { MarimoPage } from "./marimo-page.ts";
import type { StudioClient } from "./studio-client.ts";

/** The notebook that the check opens. */
export const firstNotebook = "01_explore_data.py";
/** The step with which a space opens. The benchmark `start` finds its time by this name. */
export const startAppStep = "start its JupyterLab app";
/** The step after which a notebook's cells have run. The benchmark `start` finds its time by this name. */
export const runCellsStep = "run the notebook's cells";

export interface SpaceProps {
  readonly studio: StudioClient;
  readonly spaceName: string;
  readonly steps: Steps;
  readonly signal?: AbortSignal | undefined;
}

export interface BrowserProps extends SpaceProps {
  /** Path of the browser's executable. */
  readonly chromium: string;
  /** Folder for a screenshot at the end, and for the browser's log when a step fails. */
  readonly evidence: string;
  /** Milliseconds to wait for each element in the browser. @default 120000, as the first start installs marimo */
  readonly timeout?: number | undefined;
  /** Milliseconds for marimo's kernel to connect once the page is open. @default 60000 */
  readonly kernelTimeout?: number | undefined;
}

/**
 * Creates a JupyterLab space and starts its app, as Studio does. Deletes both at the end, also after a failure. With
 * `keep`, the space may exist already and is not deleted.
 */
export async function withSpace(
  props: SpaceProps & { readonly keep?: boolean },
  work: () => Promise<void>,
): Promise<void> {
  const { studio, spaceName, steps, signal, keep = false } = props;
  try {
    if (!(keep && (await studio.hasSpace(spaceName)))) {
      await steps.run("create a space", () => studio.createSpace(spaceName, signal));
    }
    await steps.run(startAppStep, () => studio.createApp(spaceName, signal));
    await work();
  } finally {
    await (keep
      ? steps.run("stop the app", () => studio.deleteApps(spaceName))
      : steps.run("delete the app and the space", () => studio.delete(spaceName)));
  }
}

/**
 * Does what a person does in a space: opens it with a presigned URL, finds marimo in the launcher, opens the first sample
 * notebook, moves its slider and reloads. Uses only the AWS API and a browser, so it also runs against AWS.
 */
export async function useMarimo(props: BrowserProps): Promise<void> {
  mkdirSync(props.evidence, { recursive: true });
  // Loaded here because it takes a second to load and only a check needs it.
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({
    executablePath: props.chromium,
    args: [...chromiumArguments],
    // This project's own handlers process the signals.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const close = () => void browser.close().catch(() => {}); // the browser may have exited already
  props.signal?.addEventListener("abort", close);
  try {
    props.signal?.throwIfAborted();
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    await withEvidence(props, context, (page) => walk(props, page));
  } finally {
    props.signal?.removeEventListener("abort", close);
    await browser.close();
  }
}

async function walk(props: BrowserProps, page: Page): Promise<void> {
  const { steps, studio, spaceName, timeout = 120_000, kernelTimeout = 60_000 } = props;
  const marimo = new MarimoPage(page);
  await steps.run("open JupyterLab with a presigned URL", async () => {
    await page.goto(await studio.presignedUrl(spaceName, "app:JupyterLab:lab"), {
      timeout,
      waitUntil: "commit",
    });
    await page.locator(".jp-Launcher").first().waitFor({ timeout });
  });
  await steps.run("find marimo in the launcher", () =>
    page
      .locator(".jp-LauncherCard", { hasText: /^\s*marimo\s*/ })
      .first()
      .waitFor({ timeout }),
  );
  const base = page.url().replace(/\/lab(\/.*|\?.*)?$/, "");
  await steps.run("open the sample notebook in marimo", () =>
    marimo.open(`${base}/marimo/?file=${firstNotebook}`, timeout),
  );
  await steps.run("connect to marimo's kernel", () => marimo.waitForKernel(kernelTimeout));
  await steps.run("see the sample's results", () => marimo.waitForOutputs(timeout));
  await steps.run(runCellsStep, () => marimo.runCells(timeout));
  await steps.run("move the slider and see its dependent cell change", async () => {
    const before = await marimo.moveSlider(timeout);
    await marimo.moveSliderBack(before, timeout);
    await marimo.moveSlider(timeout);
  });
  await page.screenshot({ path: join(props.evidence, "marimo.png") });
  await steps.run("reload and continue editing", async () => {
    const left = await marimo.sliderValue();
    await marimo.reload(timeout);
    await marimo.waitForKernel(kernelTimeout);
    await marimo.waitForOutputs(timeout);
    if (await marimo.isReader()) throw new Error('the reloaded page is read-only (it shows "Take over")');
    const found = await marimo.sliderValue();
    if (found !== left)
      throw new Error(`the slider was at ${left} before the reload and is at ${found} after it`);
    await marimo.moveSlider(timeout);
  });
}

/** On failure, saves a screenshot and the browser's messages, and adds their path to the error. */
async function withEvidence(
  props: BrowserProps,
  context: BrowserContext,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const page = await context.newPage();
  const messages: string[] = [];
  page.on("console", (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on("requestfailed", (request) =>
    messages.push(`failed: ${request.url()} ${request.failure()?.errorText ?? ""}`),
  );
  page.on("response", (response) => {
    if (response.status() >= 400) messages.push(`${response.status()}: ${response.url()}`);
  });
  try {
    await work(page);
  } catch (error) {
    if (props.signal?.aborted || !(error instanceof StepFailure)) throw error;
    await page.screenshot({ path: join(props.evidence, "failure.png") }).catch(() => {});
    writeFileSync(join(props.evidence, "browser.log"), `${page.url()}\n${messages.join("\n")}\n`);
    throw new Problem({
      message: `The check failed at the step "${error.step}": ${error.message.split("\n")[0]}`,
      remedy: "read failure.png and browser.log in that folder, and the space's log next to it",
      log: props.evidence,
    });
  }
}
