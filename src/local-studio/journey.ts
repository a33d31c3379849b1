import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { chromiumArguments } from "./chromium.ts";
import { MarimoPage } from "./marimo-page.ts";
import { Problem, StepFailure } from "./problem.ts";
import type { Steps } from "./steps.ts";
import type { StudioClient } from "./studio-client.ts";

/** What the check opens. */
export const firstNotebook = "01_explore_data.py";

export interface SpaceProps {
  readonly studio: StudioClient;
  readonly spaceName: string;
  readonly steps: Steps;
  readonly signal?: AbortSignal | undefined;
}

export interface BrowserProps extends SpaceProps {
  /** Program file of the browser. */
  readonly chromium: string;
  /** Gets a screenshot of the end, and the browser's own messages when a step fails. */
  readonly evidence: string;
  /** Milliseconds to wait for each thing in the browser. @default 120000, as the first start installs marimo */
  readonly timeout?: number;
  /** Milliseconds for marimo's kernel to connect once its page is there. @default 60000 */
  readonly kernelTimeout?: number;
}

/** Makes a JupyterLab space and starts its app, as Studio does; deletes both in the end, whatever happened. */
export async function withSpace(props: SpaceProps, work: () => Promise<void>): Promise<void> {
  const { studio, spaceName, steps, signal } = props;
  try {
    await steps.run("create a space", () => studio.createSpace(spaceName, signal));
    await steps.run("start its JupyterLab app", () => studio.createApp(spaceName, signal));
    await work();
  } finally {
    await steps.run("delete the app and the space", () => studio.delete(spaceName));
  }
}

/**
 * What a person does in a space, by AWS's API and a browser alone, so that it runs the same against AWS: open it by a
 * presigned URL, find marimo in the launcher, open the first sample notebook, move its slider, reload.
 */
export async function useMarimo(props: BrowserProps): Promise<void> {
  mkdirSync(props.evidence, { recursive: true });
  const browser = await chromium.launch({
    executablePath: props.chromium,
    args: [...chromiumArguments],
    // Our own handlers decide what a signal means.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const close = () => void browser.close();
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
  await steps.run("open JupyterLab by a presigned URL", async () => {
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
  await steps.run("run the notebook's cells", () => marimo.waitForOutputs(timeout));
  await steps.run("move the slider, see its dependent cell change", async () => {
    const before = await marimo.moveSlider(timeout);
    await marimo.moveSliderBack(before, timeout);
    await marimo.moveSlider(timeout);
  });
  await page.screenshot({ path: join(props.evidence, "marimo.png") });
  await steps.run("reload, and go on editing", async () => {
    const left = await marimo.sliderValue();
    await marimo.reload(timeout);
    await marimo.waitForKernel(kernelTimeout);
    await marimo.waitForOutputs(timeout);
    if (await marimo.isReader()) throw new Error('marimo took the reloaded page for a reader ("Take over")');
    const found = await marimo.sliderValue();
    if (found !== left) throw new Error(`the slider was at ${left}, and is at ${found} after the reload`);
    await marimo.moveSlider(timeout);
  });
}

/** On failure: a screenshot and what the browser said, and their path in the error. */
async function withEvidence(
  props: BrowserProps,
  context: BrowserContext,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const page = await context.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("requestfailed", (request) =>
    said.push(`failed: ${request.url()} ${request.failure()?.errorText ?? ""}`),
  );
  page.on("response", (response) => {
    if (response.status() >= 400) said.push(`${response.status()}: ${response.url()}`);
  });
  try {
    await work(page);
  } catch (error) {
    if (props.signal?.aborted || !(error instanceof StepFailure)) throw error;
    await page.screenshot({ path: join(props.evidence, "failure.png") }).catch(() => {});
    writeFileSync(join(props.evidence, "browser.log"), `${page.url()}\n${said.join("\n")}\n`);
    throw new Problem({
      message: `The check failed at the step "${error.step}": ${error.message.split("\n")[0]}`,
      remedy: "look at failure.png and browser.log there, and at the space's log beside them",
      log: props.evidence,
    });
  }
}
