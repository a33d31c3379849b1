import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { bucket, Jobs } from "./jobs-fixture.ts";
import { type Container, realPayload, Space, until } from "./space-fixture.ts";

const patience = 90_000;
let jobs: Jobs;
let space: Space;
let container: Container;
let browser: Browser;
beforeAll(async () => {
  jobs = await Jobs.start();
  const files = { ...realPayload(), "settings.env": `MARIMO_TRANSPORT=auto\nMARIMO_BUCKET=${bucket}\n` };
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
  browser = await chromium.launch({ executablePath: findChromium(), args: [...chromiumArguments] });
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
  await jobs?.stop();
});

it("starts a job from its button, follows it, and shows the page that it leaves", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  // An exported page has marimo's own scripts from a public address: here from the marimo that is installed.
  const lib = join(space.state, "environments/current/lib");
  const dist = join(lib, readdirSync(lib)[0] ?? "", "site-packages/marimo/_static");
  await page.route("https://cdn.jsdelivr.net/npm/@marimo-team/frontend@*/dist/**", (route) =>
    route.fulfill({ path: join(dist, new URL(route.request().url()).pathname.split("/dist/")[1] ?? "") }),
  );
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=04_run_as_a_job.py`, patience);
  await marimo.waitForKernel(patience);
  await page.getByRole("button", { name: "Run it as a job" }).click({ timeout: patience });
  await page.getByText("Completed").first().waitFor({ timeout: patience });
  await page.getByText("Its page").waitFor({ timeout: patience });
  await page.frameLocator("iframe").getByText("Showing 120 of 240 items").waitFor({ timeout: patience });
  // Not asked again, nor drawn again.
  await page.waitForTimeout(4000);
  expect(await page.locator(".marimo-cell.running, [data-status=running]").count()).toBe(0);
  const [name = ""] = await jobs.list("marimo-dev-01-explore-data");
  expect(await jobs.get(`marimo/jobs/${name}/page.html`)).toContain("Explore");
});
