import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { consentVariable } from "../../src/removal/guard.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { Clone } from "../support/clone-fixture.ts";

const settings: EnvironmentSettings = { name: "dev", homeFileSystemRetention: "Delete" };
const Bucket = "our-terraform-state";
const Key = "sagemaker-marimo/dev.tfstate";
const inS3: EnvironmentSettings = { ...settings, backend: { type: "s3", bucket: Bucket } };

let project: Clone;
let localAws: LocalAws;
let s3: S3Client;
let environment: NodeJS.ProcessEnv;
let terraform: string;

const path = (file: string) => join(project.folder, file);
const file = "terraform.dev.tfstate";
const synthesize = () => project.run("main.ts");
const plan = (...args: string[]) => project.run("scripts/plan.ts", args, environment);
const leftovers = (...args: string[]) => project.run("scripts/leftovers.ts", args, environment);
const migrate = (...args: string[]) => project.run("scripts/state.ts", ["migrate", ...args], environment);

const remote = async (Bucket: string) => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? "";
};

beforeAll(async () => {
  project = new Clone(settings);
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: path("local-aws.log") });
  s3 = new S3Client(localAws.clientSettings());
  terraform = (await findTerraform()).command;
  environment = {
    ...(await terraformEnvironment({ command: terraform, runFolder: project.folder })),
    ...localAws.environment,
  };
  expect((await synthesize()).status).toBe(0);
  leaveOutLifecycleRules(project.stack);
  expect((await plan()).status).toBe(4);
  const applied = await project.terraform(
    terraform,
    ["apply", path("cdktf.out/plan/dev.tfplan")],
    environment,
  );
  expect(applied.status, applied.output).toBe(0);
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

describe("a local state beside a new S3 backend", () => {
  let before: string;
  beforeAll(() => {
    before = readFileSync(path(file), "utf8");
    project.settings = inS3;
  });

  it("is refused by the synthesis, the plan and the search for leftovers, with the command that moves it", async () => {
    const refusal = new RegExp(
      `${file} has \\d+ resources, but the backend is s3://${Bucket}/${Key}.*` +
        "npm run state -- migrate --environment dev",
    );
    for (const run of [synthesize, plan, leftovers]) {
      const { status, stderr } = await run();
      expect(status).toBe(1);
      expect(stderr).toMatch(refusal);
    }
  });

  it("is not moved without --yes, and not into a bucket that does not exist", async () => {
    const shown = await migrate();
    expect(shown.status, shown.stderr).toBe(1);
    expect(shown.stdout).toContain(`To copy ${file} to s3://${Bucket}/${Key}, compare the copy, and keep`);
    const failed = await migrate("--yes");
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain(`The bucket ${Bucket} does not exist`);
    expect(readFileSync(path(file), "utf8")).toBe(before);
  });

  it("is not moved while another run holds the lock, and the message says how to release it", async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    const lock = { Bucket, Key: `${Key}.tflock` };
    const Body = JSON.stringify({ ID: "1", Operation: "OperationTypeApply", Who: "bo", Version: "1.10.0" });
    await s3.send(new PutObjectCommand({ ...lock, Body }));
    const locked = await migrate("--yes");
    expect(locked.status).toBe(1);
    expect(locked.stderr).toContain(`aws s3 rm s3://${Bucket}/${Key}.tflock --region us-east-1`);
    expect(readFileSync(path(file), "utf8")).toBe(before);
    await s3.send(new DeleteObjectCommand(lock));
  });

  it("is moved whole, also after an interruption, and the next plan is empty", async () => {
    const moved = await migrate("--yes");
    expect(moved.status, moved.stderr).toBe(0);
    expect(existsSync(path(file))).toBe(false);
    expect(readFileSync(path(`${file}.moved-to-s3`), "utf8")).toBe(before);
    expect(await remote(Bucket)).toBe(before);
    const objects = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(objects.Contents?.map((one) => one.Key)).toEqual([Key]);

    // As if it had been interrupted before it renamed the file.
    renameSync(path(`${file}.moved-to-s3`), path(file));
    const continued = await migrate("--yes");
    expect(continued.status, continued.stderr).toBe(0);
    expect(readFileSync(path(`${file}.moved-to-s3`), "utf8")).toBe(before);
    expect(await migrate("--yes")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("nothing to move"),
    });

    const { status, stdout, stderr } = await plan();
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain("No changes.");
  });

  it("is copied from one bucket to another, and the old one is kept", async () => {
    const other = { type: "s3", bucket: "our-other-state" } as const;
    await s3.send(new CreateBucketCommand({ Bucket: other.bucket }));
    project.settings = { ...settings, backend: other };
    const copied = await migrate("--from", `s3://${Bucket}/${Key}`, "--yes");
    expect(copied.status, copied.stderr).toBe(0);
    expect(await remote(other.bucket)).toBe(before);
    const { status, stdout, stderr } = await plan();
    expect(status, stdout + stderr).toBe(0);
  });
});

describe("an environment that is not in the settings any more", () => {
  const trial = { ...settings, name: "trial", vpcCidr: "10.1.0.0/16" };
  const risk = `removed-environment:${file}`;
  let inventory: readonly string[];

  /** Runs `npx cdktf`. */
  const cdktf = (command: string, more: NodeJS.ProcessEnv = {}) =>
    project.run(
      path("node_modules/cdktf-cli/bundle/bin/cdktf"),
      [command, "dev", "--auto-approve", "--skip-provider-lock", "--no-color"],
      {
        ...environment,
        TERRAFORM_BINARY_NAME: terraform,
        CDKTF_DISABLE_PLUGIN_CACHE_ENV: "1",
        CI: "1",
        ...more,
      },
    );

  beforeAll(async () => {
    copyFileSync(path(`${file}.moved-to-s3`), path(file));
    rmSync(join(project.stack, "lifecycle_rules_override.tf.json"));
    rmSync(join(project.stack, ".terraform/terraform.tfstate"));
    project.settings = trial;
    await s3.send(
      new PutObjectCommand({ Bucket: "marimo-dev-123456789012-us-east-1", Key: "results/a", Body: "a" }),
    );
    inventory = await localAws.inventory();
  });

  it("is named by the synthesis, by the review of another environment as a risk, and by leftovers", async () => {
    const warning = new RegExp(`warning: ${file} has \\d+ resources, and no environment .* "dev"`);
    const synthesis = await synthesize();
    expect(synthesis.status, synthesis.stderr).toBe(0);
    expect(synthesis.stderr).toMatch(warning);
    expect((await leftovers("--environment", "trial")).stderr).toMatch(warning);
    const review = await plan("--environment", "trial");
    expect(review.status, review.stderr).toBe(3);
    expect(review.stdout).toContain(risk);
    expect((await plan("--environment", "trial", "--accept", risk)).status).toBe(4);
  });

  it("is named by leftovers if its state is in the bucket of other environments", async () => {
    project.settings = { ...settings, name: "trial", backend: { type: "s3", bucket: Bucket } };
    const warning = new RegExp(`warning: s3://${Bucket}/${Key} has \\d+ resources, and no environment`);
    expect((await leftovers("--environment", "trial")).stderr).toMatch(warning);
    // Control: an environment's own state.
    project.settings = inS3;
    rmSync(path(file));
    expect((await leftovers("--environment", "dev")).stderr).not.toContain("warning");
    copyFileSync(path(`${file}.moved-to-s3`), path(file));
    project.settings = trial;
  });

  it("is searched for leftovers by its old name: its resources are those of its state", async () => {
    const { status, stdout } = await leftovers("--environment", "dev");
    expect(status, stdout).toBe(0);
    expect(stdout).toMatch(/\d+ resources of "dev" are in terraform\.dev\.tfstate/);
  });

  it("has a plan that destroys it, and cannot be applied", async () => {
    const review = await plan("--environment", "dev");
    expect(review.status, review.stderr).toBe(3);
    expect(review.stdout).toContain("replaced-domain:studio_domain");
    expect(review.stdout).not.toContain(risk);
    const applied = await project.terraform(terraform, ["apply", "-auto-approve"], environment);
    expect(applied.status).not.toBe(0);
    // Terraform wraps lines in a frame.
    expect(applied.output.replaceAll(/[^a-z]/g, ""), applied.output).toContain(
      "soitcanonlybedestroyednpxcdktfdestroy",
    );
    expect(await localAws.inventory()).toEqual(inventory);
  });

  it("is destroyed only with consent to lose people's work, and nothing is left", async () => {
    const refused = await cdktf("destroy");
    expect(refused.status).not.toBe(0);
    const consent = new RegExp(`${consentVariable}=(d-[a-z0-9]+)`).exec(refused.stdout + refused.stderr)?.[1];
    expect(consent, refused.stdout + refused.stderr).toBeDefined();
    expect(await localAws.inventory()).toEqual(inventory);
    const destroyed = await cdktf("destroy", { [consentVariable]: consent });
    expect(destroyed.status, destroyed.stdout + destroyed.stderr).toBe(0);
    expect(await localAws.inventory()).toEqual(["s3 bucket our-other-state", `s3 bucket ${Bucket}`]);
    const synthesis = await synthesize();
    expect(synthesis.stderr).not.toContain("warning");
    // Control: an empty state is not an environment.
    expect((await leftovers("--environment", "dev")).status).toBe(2);
  });

  it("is not destroyed with the credentials of another account", () => {
    // Terraform would find none of the resources, and forget them.
    const stack = JSON.parse(readFileSync(join(project.stack, "cdk.tf.json"), "utf8"));
    expect(stack.provider.aws[0].allowed_account_ids).toEqual(["123456789012"]);
  });
});

it("accepts a whole command line only", async () => {
  writeFileSync(path("src/environments.ts"), "export const environments = [{ name: 'dev' }];\n");
  for (const args of [
    ["--from", "bucket"],
    ["--from-region", "eu-west-1"],
  ])
    expect((await migrate(...args)).status).toBe(2);
  expect((await project.run("scripts/state.ts", [], environment)).status).toBe(2);
});
