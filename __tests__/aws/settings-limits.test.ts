import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import {
  refreshedFiles,
  type SageMakerModel,
  sagemakerModel,
} from "../../scripts/refresh/sagemaker-lists.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { longestMinutes, processingInstanceTypes } from "../../src/settings/processing.ts";
import { providerInstanceTypes, studioInstanceTypes } from "../../src/settings/reference/instance-types.ts";
import { providerRegions } from "../../src/settings/reference/regions.ts";
import { longestSchedulePrefix } from "../../src/settings/schedules.ts";

describe("the limits in src/settings", () => {
  let model: SageMakerModel;
  beforeAll(async () => {
    model = await sagemakerModel();
  });

  it("are the lists that npm run refresh writes from botocore", () => {
    for (const [file, text] of refreshedFiles(model))
      expect(readFileSync(file, "utf8"), "run npm run refresh").toBe(text);
  });

  it("differ from a botocore with another type or region", () => {
    const texts = (changes: Partial<SageMakerModel>) =>
      refreshedFiles({ ...model, ...changes })
        .map(([, text]) => text)
        .join("\n");
    const changed = [
      texts({ appInstanceTypes: [...model.appInstanceTypes, "ml.m99.large"] }),
      texts({ processingInstanceTypes: model.processingInstanceTypes.slice(1) }),
      texts({ regions: { ...model.regions, "aws-cn": ["cn-north-1"] } }),
    ];
    for (const text of changed) expect(text).not.toBe(texts({}));
    expect(changed[0]).toContain('  m99: "large",');
    expect(() => texts({ appInstanceTypes: ["t3.large"] })).toThrow(
      '"t3.large" does not have the form "ml.FAMILY.SIZE"',
    );
  });

  it("are updated by npm run refresh, and not changed by a second run", async () => {
    const copy = copyProject();
    try {
      symlinkSync(workFolder, join(copy.folder, ".local-studio"));
      const files = refreshedFiles(model).map(([path]) => join(copy.folder, relative(projectFolder, path)));
      for (const file of files)
        writeFileSync(file, readFileSync(file, "utf8").replace(/(\bg7"?: ")2xlarge/, "$1xlarge 2xlarge"));
      const refresh = () =>
        capture(process.execPath, ["--import", "tsx", "scripts/refresh.ts"], { cwd: copy.folder });
      expect(await refresh()).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/rewritten.*\n.*rewritten/),
      });
      expect(files.map((file) => readFileSync(file, "utf8"))).toEqual(
        refreshedFiles(model).map(([, text]) => text),
      );
      expect(await refresh()).toMatchObject({ status: 0, stdout: expect.stringContaining("up to date") });
    } finally {
      copy.remove();
    }
  });

  it("contain every type of the model exactly once", () => {
    const apps = model.appInstanceTypes.filter((type) => type !== "system");
    expect(studioInstanceTypes.toSorted()).toEqual(apps.toSorted());
    expect(processingInstanceTypes.toSorted()).toEqual(model.processingInstanceTypes.toSorted());
  });

  it("match the numbers and patterns of SageMaker's service model", () => {
    expect(model.limits).toMatchObject({
      idle: { min: 60, max: 525_600 },
      processing: {
        seconds: longestMinutes * 60,
        volumeGb: 16_384,
        name: longestSchedulePrefix + 36,
        image: 255,
        arguments: [100, 256],
      },
      subnets: { min: 1, max: 16 },
      tagKey: 128,
      tagValue: 256,
      userProfileName: { max: 63, pattern: "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}" },
      lifecycleConfiguration: 16_384,
    });
  });

  it("reject only the new region that the provider rejects", async () => {
    const newest = ["ap-east-2", "ap-southeast-6", "ap-southeast-7", "mx-central-1", "eusc-de-east-1"];
    const settings = { skip_credentials_validation: true, skip_requesting_account_id: true };
    const stderr = await errorsOfTerraform("plan", {
      provider: { aws: newest.map((region) => ({ alias: region, region, ...settings })) },
      data: {
        aws_partition: Object.fromEntries(newest.map((region) => [region, { provider: `aws.${region}` }])),
      },
    });
    const refused = [...stderr.matchAll(/invalid AWS Region: (\S+)/g)].map(([, one]) => one);
    expect(refused, stderr).toEqual(newest.filter((region) => !providerRegions.includes(region)));
    expect(refused).toHaveLength(1);
  });

  it("leave out only the instance types that the provider rejects", async () => {
    const hidden = (hidden_instance_types: readonly string[]) => ({
      domain_id: "d-1",
      user_profile_name: "ana",
      user_settings: {
        execution_role: "arn:aws:iam::123456789012:role/studio",
        studio_web_portal_settings: { hidden_instance_types },
      },
    });
    const stderr = await errorsOfTerraform("validate", {
      provider: { aws: { region: "us-east-1" } },
      resource: { aws_sagemaker_user_profile: { all: hidden(studioInstanceTypes) } },
    });
    const refused = new Set([...stderr.matchAll(/got\s+(ml\.\S+)/g)].map(([, one]) => one));
    expect([...refused].sort(), stderr).toEqual(
      studioInstanceTypes.filter((type) => !providerInstanceTypes.includes(type)).toSorted(),
    );
    expect(refused.size).toBeGreaterThan(0);
  });
});

/** Terraform's stderr for this configuration, with the lowest allowed version of the provider. */
async function errorsOfTerraform(subcommand: "plan" | "validate", main: object): Promise<string> {
  mkdirSync(workFolder, { recursive: true });
  const cwd = mkdtempSync(join(workFolder, "limits-"));
  try {
    const { command } = await findTerraform();
    const credentials = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
    const configuration = await terraformEnvironment({ command, runFolder: cwd });
    const env = { ...process.env, ...configuration, ...credentials, AWS_EC2_METADATA_DISABLED: "true" };
    const terraform = { required_providers: { aws: { source: "hashicorp/aws", version: "5.100.0" } } };
    writeFileSync(join(cwd, "main.tf.json"), JSON.stringify({ terraform, ...main }));
    const init = await capture(command, ["init", "-no-color"], { cwd, env });
    expect(init?.status, init?.stderr).toBe(0);
    const input = subcommand === "plan" ? ["-input=false"] : [];
    return (await capture(command, [subcommand, "-no-color", ...input], { cwd, env }))?.stderr ?? "";
  } finally {
    rmSync(cwd, { recursive: true });
  }
}
