import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { appliedIamDocuments, type IamDocument } from "../support/iam-documents.ts";
import { simulate } from "../support/policy-simulator.ts";
import { RequestCheck } from "../support/sagemaker-requests.ts";
import { synthesize } from "../support/synthesize.ts";

const folder = mkdtempSync(join(tmpdir(), "sagemaker-sdk-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Training {
  readonly TrainingJobName: string;
  readonly RoleArn: string;
  readonly ResourceConfig: { readonly InstanceType: string };
  readonly StoppingCondition: { readonly MaxRuntimeInSeconds: number };
  readonly VpcConfig?: { readonly Subnets: readonly string[]; readonly SecurityGroupIds: readonly string[] };
}
let documents: readonly IamDocument[];
let vpc: { readonly Subnets: readonly string[]; readonly SecurityGroupIds: readonly string[] };
const key = "arn:aws:kms:us-east-1:123456789012:key/0";

/** The network of the policies that Terraform sent. */
function deployedNetwork() {
  const statements = documents.flatMap(({ document }) => document.Statement);
  const values = (sid: string, operator: string, name: string) =>
    [statements.find(({ Sid }) => Sid === sid)?.Condition?.[operator]?.[`sagemaker:${name}`] ?? []]
      .flat()
      .map(String);
  return {
    Subnets: values("OtherSubnets", "ForAnyValue:StringNotEquals", "VpcSubnets"),
    SecurityGroupIds: values("Train", "ForAllValues:StringEquals", "VpcSecurityGroupIds"),
  };
}

/** Whether the policies of a person's role allow a training job. */
function isAllowed(user: string, request: Training): boolean {
  const identity = documents
    .filter(({ address }) => /^aws_iam_policy\.(execution|job_users)_/.test(address))
    .map(({ document }) => document);
  const { ResourceConfig, StoppingCondition, VpcConfig } = request;
  const context = {
    "aws:RequestedRegion": "us-east-1",
    "sagemaker:InstanceTypes": [ResourceConfig.InstanceType],
    "sagemaker:MaxRuntimeInSeconds": String(StoppingCondition.MaxRuntimeInSeconds),
    ...(VpcConfig && {
      "sagemaker:VpcSubnets": VpcConfig.Subnets,
      "sagemaker:VpcSecurityGroupIds": VpcConfig.SecurityGroupIds,
    }),
  };
  const name = `training-job/${request.TrainingJobName}`;
  const asked = [
    ["sagemaker:CreateTrainingJob", `arn:aws:sagemaker:us-east-1:123456789012:${name}`, context],
    ["iam:PassRole", request.RoleArn, { "iam:PassedToService": "sagemaker.amazonaws.com" }],
  ] as const;
  return asked.every(
    ([action, resource, values]) =>
      simulate({ identity }, { action, resource, tags: { StudioUser: user }, context: values }).allowed,
  );
}

const jobs = () => ({
  bucket: "the-bucket",
  subnetIds: vpc.Subnets,
  securityGroupIds: vpc.SecurityGroupIds,
  encryptionKeyArn: key,
  serverlessEndpoints: true,
  tags: { Environment: "dev" },
});
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
  const args = ["-B", "-c", writeDefaults, file, JSON.stringify(jobs()), JSON.stringify(further)];
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
    documents = await appliedIamDocuments(
      synthesize({ userProfiles: [{ name: "ana" }, { name: "bo" }], guardRails: {} }),
    );
    vpc = deployedNetwork();
    expect([...vpc.Subnets, ...vpc.SecurityGroupIds].length).toBeGreaterThan(1);
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

  it("sends what SageMaker's model accepts and IAM allows to this user, as the sample 06_train.py does", async () => {
    const [training] = requestsOf("CreateTrainingJob") as unknown as readonly Training[];
    const request = training as Training;
    expect(request).toMatchObject({
      HyperParameters: { epochs: "40" },
      AlgorithmSpecification: {
        ...{ TrainingInputMode: "File", ContainerEntrypoint: ["/bin/bash"] },
        MetricDefinitions: [{ Name: "validation_rmse", Regex: "validation_rmse=([\\d.]+)" }],
      },
      InputDataConfig: expect.arrayContaining([
        expect.objectContaining({
          ChannelName: "data",
          DataSource: { S3DataSource: expect.objectContaining({ S3Uri: "s3://the-bucket/people/bo/data/" }) },
        }),
      ]),
    });
    const check = new RequestCheck((await pythonEnvironment("aws")).python);
    expect(await check.problems([["CreateTrainingJob", { ...request }]])).toEqual([]);
    // Control.
    const wrong = { ...request, StoppingCondition: { MaxRuntimeInSeconds: 0 } };
    expect(await check.problems([["CreateTrainingJob", wrong]])).toHaveLength(1);
    await check.stop();
    expect(isAllowed("bo", request)).toBe(true);
    // Controls: another user, and a request without the defaults' network.
    expect(isAllowed("ana", request)).toBe(false);
    const { VpcConfig: _, ...anywhere } = request;
    expect(isAllowed("bo", anywhere)).toBe(false);
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
    const PythonSDK = { Modules: { Session: { DefaultS3Bucket: jobs().bucket } } };
    const result = await run("documented", { PythonSDK, TrainingJob: { VpcConfig: vpc } });
    expect(result?.status).not.toBe(0);
    expect(`${result?.stdout}${result?.stderr}`).toContain("Extra inputs are not permitted");
  });
});
