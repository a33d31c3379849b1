import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";

const folder = mkdtempSync(join(tmpdir(), "sagemaker-sdk-"));
afterAll(() => rmSync(folder, { recursive: true }));

const vpc = { Subnets: ["subnet-0123456789abcdef0"], SecurityGroupIds: ["sg-0123456789abcdef0"] };
const key = "arn:aws:kms:us-east-1:123456789012:key/0";
const jobs = {
  bucket: "the-bucket",
  subnetIds: vpc.Subnets,
  securityGroupIds: vpc.SecurityGroupIds,
  encryptionKeyArn: key,
  serverlessEndpoints: true,
  tags: { Environment: "dev" },
};
const writeDefaults = `
import json, pathlib, sys
from sagemaker_marimo import sdk_defaults
content = sdk_defaults.defaults(json.loads(sys.argv[2]), "people/bo")
content["SageMaker"].update(json.loads(sys.argv[3]))
assert sdk_defaults.write(pathlib.Path(sys.argv[1]), content)
`;

type Request = readonly [operation: string, parameters: Readonly<Record<string, unknown>>];
let python: string;

/** The requests of a training and a processing job, with these further defaults. */
async function run(name: string, further: object = {}) {
  const file = join(folder, name, "config.yaml");
  mkdirSync(join(folder, name));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    AWS_ACCESS_KEY_ID: "x",
    AWS_SECRET_ACCESS_KEY: "x",
    PYTHONPATH: join(projectFolder, "src/space/payload/python"),
    SAGEMAKER_ADMIN_CONFIG_OVERRIDE: file,
  };
  const args = ["-B", "-c", writeDefaults, file, JSON.stringify(jobs), JSON.stringify(further)];
  const written = await capture(python, args, { env });
  expect(written?.stderr).toBe("");
  const script = join(projectFolder, "__tests__/compat/sagemaker-sdk/requests_of_the_sdk.py");
  return capture(python, ["-B", "-W", "ignore", script, folder], { env, timeout: 120_000 });
}

describe("the SageMaker Python SDK with the defaults of a space", () => {
  let requests: readonly Request[];
  const requestsOf = (operation: string) =>
    requests.filter(([name]) => name === operation).map(([, parameters]) => parameters);
  beforeAll(async () => {
    python = (await pythonEnvironment("sagemaker-sdk")).python;
    writeFileSync(join(folder, "train.py"), "");
    requests = JSON.parse((await run("defaults"))?.stdout ?? "") as Request[];
  });

  it("trains in the environment's network, with nothing that ModelTrainer cannot be given", () => {
    const [training, ...more] = requestsOf("CreateTrainingJob");
    expect(more).toEqual([]);
    expect(training).toMatchObject({
      TrainingJobName: expect.stringMatching(/^marimo-dev-bo-train-\d+$/),
      VpcConfig: vpc,
      StoppingCondition: { MaxRuntimeInSeconds: 3600 },
      OutputDataConfig: { S3OutputPath: "s3://the-bucket/people/bo/sagemaker/marimo-dev-bo-train" },
    });
    // Why IAM demands no key and no tag of a training job.
    expect(JSON.stringify(training)).not.toMatch(/KmsKey|Tags/);
  });

  it("processes in the environment's network with its key and tags, and names no time limit and no output", () => {
    const [processing] = requestsOf("CreateProcessingJob");
    expect(processing).toMatchObject({
      ProcessingJobName: expect.stringMatching(/^marimo-dev-bo-process-/),
      NetworkConfig: { VpcConfig: vpc },
      ProcessingResources: { ClusterConfig: { VolumeKmsKeyId: key } },
      Tags: [{ Key: "Environment", Value: "dev" }],
    });
    expect(Object.keys(processing ?? {})).not.toContain("StoppingCondition");
    expect(Object.keys(processing ?? {})).not.toContain("ProcessingOutputConfig");
  });

  it("creates no bucket, and lists and writes only below the user's folder", () => {
    expect(requests.map(([operation]) => operation)).not.toContain("CreateBucket");
    // IAM allows lists of people/bo/*, and not of people/bo.
    expect(requestsOf("ListObjectsV2")).toEqual([{ Bucket: "the-bucket", Prefix: "people/bo/sagemaker" }]);
    const keys = requestsOf("PutObject").map(({ Key }) => String(Key));
    expect(keys.length).toBeGreaterThan(0);
    for (const one of keys) expect(one).toMatch(/^people\/bo\/sagemaker\//);
  });

  it("would fail with the network where the documentation has it", async () => {
    const PythonSDK = { Modules: { Session: { DefaultS3Bucket: jobs.bucket } } };
    const result = await run("documented", { PythonSDK, TrainingJob: { VpcConfig: vpc } });
    expect(result?.status).not.toBe(0);
    expect(`${result?.stdout}${result?.stderr}`).toContain("Extra inputs are not permitted");
  });
});
