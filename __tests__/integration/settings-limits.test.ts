import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/local-studio/terraform-cli.ts";
import { studioInstanceTypes } from "../../src/settings/instance-types.ts";
import { longestMinutes, processingInstanceTypes } from "../../src/settings/processing.ts";
import { providerRegions, sagemakerRegions } from "../../src/settings/regions.ts";
import { longestSchedulePrefix } from "../../src/settings/schedules.ts";

/** What botocore's own data says of the limits that the settings are checked against. */
const question = `
import json
from botocore.loaders import Loader
from botocore.session import Session

shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
session = Session()
regions = {
    region
    for partition in session.get_available_partitions()
    for region in session.get_available_regions("sagemaker", partition)
}
print(json.dumps({
    "instanceTypes": shapes["AppInstanceType"]["enum"],
    "processingInstanceTypes": shapes["ProcessingInstanceType"]["enum"],
    "processing": {
        "seconds": shapes["ProcessingMaxRuntimeInSeconds"]["max"],
        "volumeGb": shapes["ProcessingVolumeSizeInGB"]["max"],
        "name": shapes["ProcessingJobName"]["max"],
        "image": shapes["ImageUri"]["max"],
        "arguments": [shapes["ContainerArguments"]["max"], shapes["ContainerArgument"]["max"]],
    },
    "regions": sorted(regions),
    "idle": {key: shapes["IdleTimeoutInMinutes"][key] for key in ("min", "max")},
    "tagKey": shapes["TagKey"]["max"],
    "tagValue": shapes["TagValue"]["max"],
    "userProfileName": {key: shapes["UserProfileName"][key] for key in ("max", "pattern")},
    "lifecycleConfiguration": shapes["StudioLifecycleConfigContent"]["max"],
}))
`;

describe("the limits in src/settings", () => {
  let botocore: Record<string, unknown>;
  beforeAll(async () => {
    // The image's botocore is the one that the constants were taken from.
    const { python } = await pythonEnvironment("image");
    botocore = JSON.parse((await promisify(execFile)(python, ["-c", question])).stdout);
  });

  it("know every instance type of Studio's apps", () => {
    const types = (botocore.instanceTypes as string[]).filter((type) => type !== "system");
    expect([...studioInstanceTypes].sort()).toEqual(types.sort());
  });

  it("know every instance type of processing jobs", () => {
    expect([...processingInstanceTypes].sort()).toEqual(
      (botocore.processingInstanceTypes as string[]).toSorted(),
    );
  });

  it("know every region of SageMaker", () => {
    expect([...sagemakerRegions].sort()).toEqual(botocore.regions);
  });

  it("are the numbers and patterns of SageMaker's service model", () => {
    expect(botocore).toMatchObject({
      idle: { min: 60, max: 525_600 },
      processing: {
        seconds: longestMinutes * 60,
        volumeGb: 16_384,
        name: longestSchedulePrefix + 36,
        image: 255,
        arguments: [100, 256],
      },
      tagKey: 128,
      tagValue: 256,
      userProfileName: { max: 63, pattern: "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}" },
      lifecycleConfiguration: 16_384,
    });
  });

  it("refuse the region that the provider refuses, and no other of the newest", async () => {
    const newest = ["ap-east-2", "ap-southeast-6", "ap-southeast-7", "mx-central-1", "eusc-de-east-1"];
    const settings = { skip_credentials_validation: true, skip_requesting_account_id: true };
    mkdirSync(workFolder, { recursive: true });
    const cwd = mkdtempSync(join(workFolder, "regions-"));
    try {
      const { command } = await findTerraform();
      const credentials = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
      const configuration = await terraformEnvironment({ command, runFolder: cwd });
      const env = { ...process.env, ...configuration, ...credentials, AWS_EC2_METADATA_DISABLED: "true" };
      writeFileSync(
        join(cwd, "main.tf.json"),
        JSON.stringify({
          terraform: { required_providers: { aws: { source: "hashicorp/aws", version: "5.100.0" } } },
          provider: { aws: newest.map((region) => ({ alias: region, region, ...settings })) },
          data: {
            aws_partition: Object.fromEntries(
              newest.map((region) => [region, { provider: `aws.${region}` }]),
            ),
          },
        }),
      );
      const init = await capture(command, ["init", "-no-color"], { cwd, env });
      expect(init?.status, init?.stderr).toBe(0);
      const plan = await capture(command, ["plan", "-no-color", "-input=false"], { cwd, env });
      const refused = [...(plan?.stderr ?? "").matchAll(/invalid AWS Region: (\S+)/g)].map(([, one]) => one);
      expect(refused, plan?.stderr).toEqual(newest.filter((region) => !providerRegions.includes(region)));
      expect(refused).toHaveLength(1);
    } finally {
      rmSync(cwd, { recursive: true });
    }
  });
});
