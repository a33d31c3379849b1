import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { DescribeEndpointCommand, ListModelsCommand } from "@aws-sdk/client-sagemaker";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { Jobs } from "../support/jobs-fixture.ts";
import { patience } from "../support/patience.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";

const roleName = "marimo-dev-user-ana";
let jobs: Jobs;
let space: Space;
let container: Container;
let browser: Browser;
beforeAll(async () => {
  jobs = await Jobs.start();
  await new IAMClient(jobs.localAws.clientSettings()).send(
    new CreateRoleCommand({ RoleName: roleName, AssumeRolePolicyDocument: "{}" }),
  );
  const { python } = await pythonEnvironment("image");
  space = new Space();
  space.upload({ ...realPayload(), "settings.env": runOnOpen });
  // A private space.
  const metadata = { ExecutionRoleArn: `arn:aws:iam::123456789012:role/${roleName}` };
  space.write(join(space.folder, "resource-metadata.json"), JSON.stringify(metadata));
  container = await space.start(python, {
    environment: { ...space.environment, ...jobs.localAws.environment },
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

it("asks the model in the notebook, then an endpoint that a button creates, until another deletes it", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=07_endpoint.py`, patience);
  await marimo.waitForKernel(patience);
  const by = (source: string) => page.getByText(`by ${source}`).first().waitFor({ timeout: patience });
  const price = () => page.locator("marimo-stat, [data-testid=stat]").first().innerText();
  await by("the model in this notebook");
  // Nothing is created before the click.
  expect((await jobs.sagemaker.send(new ListModelsCommand({}))).Models).toEqual([]);
  expect(await jobs.get("people/ana/models/what-if/model.tar.gz")).toBeUndefined();

  await page.getByRole("button", { name: "Create the endpoint" }).click({ timeout: patience });
  await by("the endpoint");
  const EndpointName = "marimo-dev-ana-what-if";
  const status = async () =>
    (await jobs.sagemaker.send(new DescribeEndpointCommand({ EndpointName }))).EndpointStatus;
  expect(await status()).toBe("InService");
  const before = await price().catch(() => "");
  await marimo.moveSlider(patience);
  await by("the endpoint");
  if (before) expect(await price()).not.toBe(before);

  await page.getByRole("button", { name: "Delete the endpoint" }).click({ timeout: patience });
  await by("the model in this notebook");
  await expect
    .poll(() => status().catch((error: Error) => error.message), { timeout: patience })
    .toContain("Could not find endpoint");
  expect((await jobs.sagemaker.send(new ListModelsCommand({}))).Models).toEqual([]);
});
