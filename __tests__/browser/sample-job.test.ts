import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { patience } from "../support/patience.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";

let jobs: Jobs;
let space: Space;
let container: Container;
let browser: Browser;
beforeAll(async () => {
  jobs = await Jobs.start();
  const files = { ...realPayload(), "settings.env": `${runOnOpen}MARIMO_BUCKET=${bucket}\n` };
  await jobs.provide(files);
  const { python } = await pythonEnvironment("image");

  space = new Space();
  space.upload(files);
  container = await space.start(python, {
    environment: { ...space.environment, ...jobs.localAws.environment, AWS_DEFAULT_REGION: "us-east-1" },
  });
  expect(container.events.at(-1)?.event).toBe("ready");
  await until("marimo", () =>
    space.read("home/.local/share/sagemaker-marimo/status") === "installed\n" ? true : undefined,
  );
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
  await jobs?.stop();
});

it("starts a job with its button, follows it, and shows the page of the job", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  // An exported page loads marimo's scripts from a public URL. Here they come from the installed marimo.
  const lib = join(space.state, "environments/current/lib");
  const dist = join(lib, readdirSync(lib)[0] ?? "", "site-packages/marimo/_static");
  await page.route("https://cdn.jsdelivr.net/npm/@marimo-team/frontend@*/dist/**", (route) =>
    route.fulfill({ path: join(dist, new URL(route.request().url()).pathname.split("/dist/")[1] ?? "") }),
  );
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=04_run_as_a_job.py`, patience);
  await marimo.waitForKernel(patience);
  await page.getByRole("button", { name: "Run it as a job" }).click({ timeout: patience });
  await page.getByText("done", { exact: true }).first().waitFor({ timeout: patience });
  await page.getByText("Its page").waitFor({ timeout: patience });
  await page.frameLocator("iframe").getByText("Showing 120 of 240 items").waitFor({ timeout: patience });
  // The notebook does not refresh after the end of the job.
  await page.waitForTimeout(4000);
  expect(await page.locator(".marimo-cell.running, [data-status=running]").count()).toBe(0);
  const [name = ""] = await jobs.list("marimo-dev-01-explore-data");
  expect(await jobs.get(`shared/jobs/${name}/page.html`)).toContain("Explore");

  // In Jupyter's own file tab, the scripts of the page do not run.
  const opened = await space.run(
    join(space.prefix, "bin/marimo-job"),
    ["open", name, "--output", space.home],
    {
      ...space.environment,
      ...jobs.localAws.environment,
      AWS_DEFAULT_REGION: "us-east-1",
    },
  );
  expect(opened.status, opened.stderr).toBe(0);
  const path = /\/jupyterlab\/default(\/files\/\S+page\.html)/.exec(opened.stdout)?.[1] ?? "";
  await page.goto(`${container.url}${path}`);
  await page.getByText("Showing 120 of 240 items").waitFor({ timeout: patience });
  // Control: the page cannot read what belongs to JupyterLab.
  await expect(page.evaluate("document.cookie")).rejects.toThrow("sandboxed");
});
