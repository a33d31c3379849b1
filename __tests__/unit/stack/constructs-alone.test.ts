import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { type App, TerraformStack } from "cdktf";
import {
  ArtifactBucket,
  AwsAccount,
  CustomImages,
  EncryptionKey,
  ExecutionRole,
  LifecycleConfiguration,
  Network,
  spaceFiles,
} from "sagemaker-marimo/constructs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { synthesizeApp } from "../../support/synthesize.ts";

const imageUri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/geo:1";
const image = { name: "geo", imageUri, gpu: false };

let outdir: string;
beforeEach(() => {
  outdir = mkdtempSync(join(tmpdir(), "sagemaker-marimo-alone-"));
});
afterEach(() => rmSync(outdir, { recursive: true, force: true }));

/** One stack of another app with the same constructs for each prefix; answers with its JSON. */
function stackFor(...prefixes: string[]): Record<string, Record<string, Record<string, unknown>>> {
  const define = (app: App) => {
    const stack = new TerraformStack(app, "other");
    new AwsProvider(stack, "aws", { region: "eu-west-1" });
    const account = new AwsAccount(stack, "account", { region: "eu-west-1" });
    prefixes.forEach((prefix, index) => {
      const common = { prefix, account };
      const { arn: encryptionKeyArn } = new EncryptionKey(stack, `key${index}`, {
        ...common,
        removalProtection: true,
        deletionWindowDays: 30,
      });
      const bucket = new ArtifactBucket(stack, `storage${index}`, {
        deployers: [],
        ...common,
        encryptionKeyArn,
        forceDestroy: false,
        removalProtection: true,
      });
      new Network(stack, `network${index}`, {
        ...common,
        vpcCidr: `10.${index}.0.0/16`,
        availabilityZones: ["eu-west-1a", "eu-west-1b"],
        egress: "endpoints-only",
        encryptionKeyArn,
        bucketArn: bucket.arn,
      });
      new CustomImages(stack, `images${index}`, { ...common, images: [image] });
      new ExecutionRole(stack, `role${index}`, {
        ...common,
        environment: prefix,
        bucketArn: bucket.arn,
        encryptionKeyArn,
      });
      new LifecycleConfiguration(stack, `start${index}`, {
        prefix,
        environment: prefix,
        region: "eu-west-1",
        bucketName: bucket.name,
        profiles: true,
        script: spaceFiles.startScript,
      });
    });
  };
  return synthesizeApp(
    define,
    (outdir) => JSON.parse(readFileSync(join(outdir, "stacks/other/cdk.tf.json"), "utf8")).resource,
  );
}

/** Names that AWS wants once in an account and region, of resources that no other one of the stack holds. */
function names(resources: ReturnType<typeof stackFor>): string[] {
  const types = {
    aws_kms_alias: "name",
    aws_s3_bucket: "bucket",
    aws_iam_role: "name",
    aws_iam_policy: "name",
    aws_cloudwatch_log_group: "name",
    aws_sagemaker_image: "image_name",
    aws_sagemaker_app_image_config: "app_image_config_name",
    aws_sagemaker_studio_lifecycle_config: "studio_lifecycle_config_name",
  };
  return Object.entries(types).flatMap(([type, attribute]) =>
    Object.values(resources[type] ?? {}).map((resource) => `${type} ${resource[attribute]}`),
  );
}

describe("the constructs, twice in a stack of another app", () => {
  it("share no name where their prefixes differ", () => {
    const both = names(stackFor("left", "right"));
    expect(both).toHaveLength(30);
    expect(new Set(both).size).toBe(30);
  });

  it("would share every one where they do not, so that the comparison can fail", () => {
    expect(new Set(names(stackFor("same", "same"))).size).toBe(15);
  });
});

describe("a prefix of another app", () => {
  it("is refused for images if it has two hyphens in a row, which SageMaker refuses", () => {
    expect(() => stackFor("a--b")).toThrow(
      /\[other\/images0\] "a--b-geo-[0-9a-f]{8}" is not a valid image name: 1 to 63 letters, digits and single inner hy/,
    );
  });

  it.each(["a", "a-b", "x".repeat(27)])("is taken: %s", (prefix) => {
    expect(() => stackFor(prefix)).not.toThrow();
  });

  it.each(["", "Upper", "1st", "ends-", "it's", "x".repeat(28)])(
    "is refused, once by each construct: %s",
    (prefix) => {
      let message = "";
      try {
        stackFor(prefix);
      } catch (error) {
        message = String(error);
      }
      for (const id of ["key0", "storage0", "network0", "images0", "role0", "start0"]) {
        expect(message).toContain(`[other/${id}] prefix ${JSON.stringify(prefix)} `);
      }
      expect(message).toContain(`[other/start0] environment ${JSON.stringify(prefix)} `);
    },
  );
});

describe("the scripts of a destroy, below an app of CommonJS", () => {
  const run = () =>
    spawnSync(process.execPath, ["--import", "tsx", "scripts/guard.ts"], {
      cwd: outdir,
      encoding: "utf8",
      env: { PATH: process.env.PATH },
    }).stderr;
  beforeEach(() => {
    writeFileSync(join(outdir, "package.json"), "{}\n");
    symlinkSync(join(projectFolder, "node_modules"), join(outdir, "node_modules"));
    cpSync(join(projectFolder, "src/removal"), join(outdir, "scripts"), { recursive: true });
  });

  it("run, and ask for what Terraform tells them", () => {
    expect(run()).toContain("GUARD_REGION is not set");
  });

  it("would not without the package.json beside them", () => {
    rmSync(join(outdir, "scripts/package.json"));
    expect(run()).toContain("Top-level await");
  });
});
