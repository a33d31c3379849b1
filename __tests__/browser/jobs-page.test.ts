import { join } from "node:path";
import { CreateProcessingJobCommand } from "@aws-sdk/client-sagemaker";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import type { Gateway } from "../../src/local-studio/gateway.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { notebook } from "../support/notebook-jobs.ts";
import { patience } from "../support/patience.ts";
import { defaultGateway, marimoInstalled } from "../support/space-browser.ts";
import { type Container, realPayload, Space } from "../support/space-fixture.ts";

/** More than a page of the list. */
const others = 60;
const report = notebook(
  "import marimo as mo",
  'city = mo.cli_args().get("city")\nprint(f"the city is {city}", flush=True)\nmo.md(f"Report of {city}")',
  'import time\ntime.sleep(600 if city == "Nowhere" else 0)',
);

let jobs: Jobs;
let space: Space;
let container: Container;
let gateway: Gateway;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  jobs = await Jobs.start();
  const files = { ...realPayload(), "settings.env": `MARIMO_BUCKET=${bucket}\n` };
  await jobs.provide(files);
  const { python } = await pythonEnvironment("image");
  space = new Space();
  space.upload(files);
  space.write(join(space.home, "project/report.py"), report);
  space.write(join(space.home, "project/script.py"), "print('no notebook')\n");
  container = await space.start(python, {
    environment: { ...space.environment, ...jobs.localAws.environment, AWS_DEFAULT_REGION: "us-east-1" },
  });
  expect(container.events.at(-1)?.event).toBe("ready");
  await marimoInstalled(container);
  gateway = await defaultGateway(container);
  browser = await launchBrowser();
});
afterEach(() => page?.close());
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
  await space?.dispose();
  await jobs?.stop();
});

/** Opens the page of jobs in a narrow window. */
async function open(query = ""): Promise<void> {
  page = await browser.newPage({ viewport: { width: 800, height: 1200 } });
  const marimo = new MarimoPage(page);
  await marimo.open(`${gateway.url}/jupyterlab/default/marimo-jobs/${query}`, patience);
  await marimo.waitForKernel(patience);
}

const button = (name: string) => page.getByRole("button", { name, exact: true });
const shows = (text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: patience });
const log = (text: string) =>
  page.getByTestId("job-log").filter({ hasText: text }).waitFor({ timeout: patience });
/** The name of the chosen job. */
const chosen = () => page.getByRole("heading", { level: 2 }).innerText({ timeout: patience });

/** Fills in the field below a button's form. */
async function fill(label: string, text: string, index = 0): Promise<void> {
  const field = page.getByLabel(label).nth(index);
  await field.fill(text, { timeout: patience });
  await field.press("Enter");
}

describe("the page of jobs", () => {
  it("says that there are none yet", async () => {
    await open();
    await shows("You have no jobs yet.");
    expect(await page.getByText("An internal error occurred").count()).toBe(0);
  });

  it("starts a notebook of the home, follows its log, and has its page", async () => {
    await open("?notebook=project/report.py");
    await shows(/project\/report\.py/);
    await fill("Arguments", "--city Berlin");
    await button("Start the job").click();
    await log("the city is Berlin");
    await shows(/^done after /);
    const name = await chosen();
    expect(name).toMatch(/^marimo-dev-report-/);

    await button("Get the page and files").click();
    const tab = page.context().waitForEvent("page");
    await page.getByRole("link", { name: "page.html" }).click({ timeout: patience });
    const url = (await tab).url();
    expect(url).toContain(`/jupyterlab/default/files/marimo-jobs/${name}/page.html`);
    expect(await (await fetch(url.replace(gateway.url, new URL(container.url).origin))).text()).toContain(
      "Report of Berlin",
    );

    await page.getByText("Run the same notebook again").click();
    await fill("Arguments", "--city Paris", 1);
    await button("Run again").click();
    await log("the city is Paris");
    expect(await chosen()).not.toBe(name);
    expect(await page.locator(".cm-content").count()).toBe(0);
  });

  it("stops a job that runs", async () => {
    await open("?notebook=project/report.py");
    await fill("Arguments", "--city Nowhere");
    await button("Start the job").click();
    await log("the city is Nowhere");
    await button("Stop").click();
    await shows(/^stopped after /);
    expect((await jobs.end(await chosen())).ProcessingJobStatus).toBe("Stopped");
  });

  it("lists the jobs page by page, and counts what they cost", async () => {
    for (let number = 1; number <= others; number++) {
      const request = await jobs.request("true");
      const ProcessingJobName = `marimo-dev-other-${number}`;
      await jobs.sagemaker.send(new CreateProcessingJobCommand({ ...request, ProcessingJobName }));
    }
    await open();
    const rows = page.locator("tbody tr");
    await rows.nth(1).waitFor({ timeout: patience });
    expect(await rows.count()).toBe(50);
    await button("Older").click();
    await shows("Page 2");
    await page.getByText("marimo-dev-other-1", { exact: true }).waitFor({ timeout: patience });
    expect(await button("Older").isDisabled()).toBe(true);

    await button("Count this month's cost").click();
    await shows(/\d\.\d\d USD/);
    // Nothing is wider than the window.
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(800);
  });

  it.each([
    ["project/script.py", "project/script.py is not a marimo notebook"],
    ["../outside.py", "../outside.py is not a Python file in your home folder"],
  ])("refuses the address of %s", async (file, reason) => {
    space.write(join(space.folder, "outside.py"), report);
    await open(`?notebook=${encodeURIComponent(file)}`);
    await shows(reason);
  });
});
