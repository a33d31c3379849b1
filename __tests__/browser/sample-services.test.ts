import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import {
  DescribeModelPackageCommand,
  ListFeatureGroupsCommand,
  ListTrainingJobsCommand,
} from "@aws-sdk/client-sagemaker";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { MarimoPage } from "../../src/local-studio/marimo-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { patience } from "../support/patience.ts";
import { type Container, realPayload, runOnOpen, Space, until } from "../support/space-fixture.ts";
import type { StackFixture } from "../support/stack-fixture.ts";
import { StackWithApps } from "../support/stack-with-apps.ts";

const userRoles = "arn:aws:iam::123456789012:role/marimo-dev-user-";
const jobsJson = "marimo/payload/jobs.json";
let jobs: Jobs;
let space: Space;
let container: Container;
let browser: Browser;
let python: string;
beforeAll(async () => {
  jobs = await Jobs.start();
  const files = { ...realPayload(), "settings.env": `${runOnOpen}MARIMO_BUCKET=${bucket}\n` };
  await jobs.provide(files);
  const settings = JSON.parse((await jobs.get(jobsJson)) ?? "");
  await jobs.put(jobsJson, JSON.stringify({ ...settings, roleArn: null, userRoleArnPrefix: userRoles }));
  const trust = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  await new IAMClient(jobs.localAws.clientSettings()).send(
    new CreateRoleCommand({
      RoleName: "marimo-dev-user-ana",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    }),
  );
  space = new Space();
  space.upload(files);
  space.write(
    join(space.folder, "resource-metadata.json"),
    JSON.stringify({ ExecutionRoleArn: `${userRoles}ana` }),
  );
  const image = await pythonEnvironment("image");
  container = await space.start(image.python, {
    environment: { ...space.environment, ...jobs.localAws.environment, AWS_DEFAULT_REGION: "us-east-1" },
  });
  expect(container.events.at(-1)?.event).toBe("ready");
  await until("marimo", () =>
    space.read("home/.local/share/sagemaker-marimo/status") === "installed\n" ? true : undefined,
  );
  python = join(space.state, "environments/current/bin/python");
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await space?.dispose();
  await jobs?.stop();
});

/** Runs a sample as a script, as ana with these variables. */
const script = (name: string, argument: string, environment: Readonly<Record<string, string>>) =>
  space.run(python, [join(space.home, "marimo-notebooks", name), argument], {
    ...{ PATH: "/usr/bin:/bin", HOME: space.home, AWS_DEFAULT_REGION: "us-east-1" },
    ...{ MARIMO_NAME_PREFIX: "marimo-dev-ana", MARIMO_ENVIRONMENT: "dev" },
    ...environment,
  });

it("shows the metrics of a training job while it runs, and registers its model", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=06_train.py`, patience);
  await marimo.waitForKernel(patience);
  await page.getByRole("button", { name: "Train it as a job" }).click({ timeout: patience });
  // Metrics, and the job goes on.
  const epochs = () =>
    page
      .locator("marimo-stat")
      .evaluateAll((all) => Number(all.find(({ dataset }) => dataset.label === '"Epochs"')?.dataset.value));
  await expect.poll(epochs).toBeGreaterThan(0);
  const { TrainingJobSummaries = [] } = await jobs.sagemaker.send(new ListTrainingJobsCommand());
  const [{ TrainingJobName: name = "", TrainingJobStatus } = {}] = TrainingJobSummaries;
  expect([name, TrainingJobStatus]).toEqual([expect.stringMatching(/^marimo-dev-ana-train-/), "InProgress"]);
  await page.getByText("Completed", { exact: true }).first().waitFor({ timeout: patience });
  await page.getByRole("button", { name: "Register the model" }).click({ timeout: patience });
  // The output, and not the cell's code.
  await page
    .locator(".output", { hasText: "Registered, waiting for approval" })
    .waitFor({ timeout: patience });
  const registered = await jobs.sagemaker.send(
    new DescribeModelPackageCommand({
      ModelPackageName: "arn:aws:sagemaker:us-east-1:123456789012:model-package/marimo-dev-ana-prices/1",
    }),
  );
  expect(registered.ModelApprovalStatus).toBe("PendingManualApproval");
  expect(registered.InferenceSpecification?.Containers?.[0]?.ModelDataUrl).toBe(
    `s3://${bucket}/people/ana/training/${name}/output/model.tar.gz`,
  );
  expect(Number(registered.CustomerMetadataProperties?.validation_rmse)).toBeGreaterThan(0);
});

it("stores, changes and deletes the records of a feature group", async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const marimo = new MarimoPage(page);
  await marimo.open(`${container.url}/marimo/?file=08_features.py`, patience);
  await marimo.waitForKernel(patience);
  await page
    .getByRole("button", { name: "Create the group and store these rows" })
    .click({ timeout: patience });
  await page.getByText("Stored in").waitFor({ timeout: patience });
  await page.getByText("40.93").last().waitFor({ timeout: patience });
  await page.getByRole("button", { name: "Store it" }).click({ timeout: patience });
  await page.getByText("99.0", { exact: true }).first().waitFor({ timeout: patience });
  await page.getByRole("button", { name: "Delete the group" }).click({ timeout: patience });
  await page.getByText("is being deleted").waitFor({ timeout: patience });
  await expect
    .poll(async () => (await jobs.sagemaker.send(new ListFeatureGroupsCommand())).FeatureGroupSummaries)
    .toEqual([]);
});

describe("with --iam", () => {
  let running: StackWithApps;
  let fixture: StackFixture;
  const deployed = "marimo-dev-123456789012-us-east-1";
  beforeAll(async () => {
    running = await StackWithApps.start({
      project: copyProject(
        '[{ name: "dev", userProfiles: [{ name: "ana" }, { name: "bo" }], homeFileSystemRetention: "Delete", sampleNotebooks: false }]',
      ),
      iam: true,
    });
    ({ fixture } = running);
    await fixture.apply();
  });
  afterAll(async () => {
    await running?.stop();
  });

  /** The variables of a person's session, in ana's space. */
  async function as(user: string) {
    const { Credentials: session } = await new STSClient(fixture.client).send(
      new AssumeRoleCommand({ RoleArn: `${userRoles}${user}`, RoleSessionName: "SageMaker" }),
    );
    return {
      ...{ AWS_ENDPOINT_URL: fixture.localAws.endpoint, AWS_EC2_METADATA_DISABLED: "true" },
      AWS_ACCESS_KEY_ID: session?.AccessKeyId ?? "",
      AWS_SECRET_ACCESS_KEY: session?.SecretAccessKey ?? "",
      AWS_SESSION_TOKEN: session?.SessionToken ?? "",
      ...{ MARIMO_BUCKET: deployed, MARIMO_PREFIX: `s3://${deployed}/people/${user}` },
    };
  }

  it("a person trains and registers a model, and stores features", async () => {
    const trained = await script("06_train.py", "--train", await as("ana"));
    expect(trained.status, trained.stdout + trained.stderr).toBe(0);
    expect(trained.stdout).toMatch(/^epoch=10 train_rmse=[\d.]+ validation_rmse=[\d.]+$/m);
    expect(trained.stdout).toMatch(
      /^Registered: arn:aws:sagemaker:\S+:model-package\/marimo-dev-ana-prices\/1$/m,
    );
    const stored = await script("08_features.py", "--store", await as("ana"));
    expect(stored.status, stored.stdout + stored.stderr).toBe(0);
    expect(stored.stdout).toContain("Stored 20 records, such as {'item': 'Cedar lamp 7'");
  });

  it("another person reads what is missing, and whom to ask", async () => {
    const trained = await script("06_train.py", "--train", await as("bo"));
    expect(trained.status).toBe(1);
    expect(trained.stderr).toContain(
      "Your role does not allow `sagemaker:CreateTrainingJob`. Ask the platform engineer",
    );
    const stored = await script("08_features.py", "--store", await as("bo"));
    expect(stored.status).toBe(1);
    expect(stored.stderr).toContain(
      "Your role does not allow `sagemaker:CreateFeatureGroup`. Ask the platform engineer",
    );
  });
});
