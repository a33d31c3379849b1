import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CloudWatchLogsClient, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  ListEndpointsCommand,
  ListTagsCommand,
  type ProductionVariant,
  UpdateEndpointCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucket, Jobs, role } from "../support/jobs-fixture.ts";
import { patience } from "../support/patience.ts";

let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start();
});
afterAll(() => jobs?.stop());

const serverless: Partial<ProductionVariant> = {
  ServerlessConfig: { MemorySizeInMB: 2048, MaxConcurrency: 1 },
};
const adds = (number: number) => `
def model_fn(model_dir): return ${number}
def predict_fn(data, model): return (data + model).tolist()
`;

/** Stores a model and its endpoint configuration, both of this name. */
async function configure(name: string, script: string, variant: Partial<ProductionVariant> = serverless) {
  const folder = mkdtempSync(join(tmpdir(), "model-"));
  const file = join(folder, "code/inference.py");
  mkdirSync(dirname(file));
  writeFileSync(file, script);
  execFileSync("tar", ["-czf", join(folder, "model.tar.gz"), "-C", folder, "code"]);
  const Body = readFileSync(join(folder, "model.tar.gz"));
  rmSync(folder, { recursive: true });
  await jobs.s3.send(new PutObjectCommand({ Bucket: bucket, Key: `${name}/model.tar.gz`, Body }));
  await jobs.sagemaker.send(
    new CreateModelCommand({
      ModelName: name,
      ExecutionRoleArn: role,
      PrimaryContainer: { Image: "image", ModelDataUrl: `s3://${bucket}/${name}/model.tar.gz` },
    }),
  );
  const variants = [{ VariantName: "AllTraffic", ModelName: name, ...variant }];
  const config = { EndpointConfigName: name, ProductionVariants: variants };
  await jobs.sagemaker.send(new CreateEndpointConfigCommand(config));
}

const create = (EndpointName: string, EndpointConfigName = EndpointName) =>
  jobs.sagemaker.send(
    new CreateEndpointCommand({ EndpointName, EndpointConfigName, Tags: [{ Key: "a", Value: "b" }] }),
  );
const look = (EndpointName: string) => jobs.sagemaker.send(new DescribeEndpointCommand({ EndpointName }));
const status = async (name: string) => (await look(name)).EndpointStatus;
const becomes = (name: string, wanted: string) =>
  expect.poll(() => status(name), { timeout: patience }).toBe(wanted);

/** A request to the runtime, whose client the project does not have. */
async function invoke(name: string, body: string) {
  const { endpoint, credentials } = { ...jobs.localAws, ...jobs.localAws.clientSettings() };
  const scope = `${credentials.accessKeyId}/20260101/us-east-1/sagemaker/aws4_request`;
  const response = await fetch(`${endpoint}/endpoints/${name}/invocations`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, Signature=0`,
    },
    body,
  });
  return {
    status: response.status,
    error: response.headers.get("x-amzn-errortype"),
    variant: response.headers.get("x-amzn-invoked-production-variant"),
    text: await response.text(),
  };
}

describe("an endpoint", () => {
  it("serves its model from when it is in service until it is deleted", async () => {
    await configure("one", adds(1));
    await create("one");
    expect(await status("one")).toBe("Creating");
    await expect(jobs.sagemaker.send(new DeleteEndpointCommand({ EndpointName: "one" }))).rejects.toThrow(
      /Cannot update in-progress endpoint/,
    );
    expect((await invoke("one", "[1]")).text).toContain("Endpoint one of account 123456789012 not found.");
    await becomes("one", "InService");
    expect(await invoke("one", "[1, 2]")).toMatchObject({
      status: 200,
      text: "[2.0, 3.0]",
      variant: "AllTraffic",
    });
    const described = await look("one");
    expect(described.ProductionVariants).toMatchObject([
      { CurrentServerlessConfig: { MemorySizeInMB: 2048 } },
    ]);
    const { Tags } = await jobs.sagemaker.send(new ListTagsCommand({ ResourceArn: described.EndpointArn }));
    expect(Tags).toEqual([{ Key: "a", Value: "b" }]);
    const { Endpoints } = await jobs.sagemaker.send(new ListEndpointsCommand({ NameContains: "on" }));
    expect(Endpoints).toMatchObject([{ EndpointName: "one", EndpointStatus: "InService" }]);

    await jobs.sagemaker.send(new DeleteEndpointCommand({ EndpointName: "one" }));
    expect(await invoke("one", "[1]")).toMatchObject({ status: 400, error: "ValidationError" });
    await expect
      .poll(() => status("one").catch((error: Error) => error.message), { timeout: patience })
      .toContain("Could not find endpoint");
  });

  it("serves the former model until an update is ready, and after one that failed", async () => {
    await configure("first", adds(1), { InstanceType: "ml.g5.xlarge", InitialInstanceCount: 1 });
    await configure("second", adds(2));
    await configure("broken", "raise ValueError('no weights')");
    await create("changing", "first");
    await becomes("changing", "InService");
    const { ProductionVariants } = await look("changing");
    expect(ProductionVariants).toMatchObject([{ CurrentInstanceCount: 1 }]);
    const update = (EndpointConfigName: string) =>
      jobs.sagemaker.send(new UpdateEndpointCommand({ EndpointName: "changing", EndpointConfigName }));
    await update("second");
    expect((await invoke("changing", "[1]")).text).toBe("[2.0]");
    await becomes("changing", "InService");
    expect((await invoke("changing", "[1]")).text).toBe("[3.0]");
    await update("broken");
    await becomes("changing", "InService");
    expect((await invoke("changing", "[1]")).text).toBe("[3.0]");
    expect((await look("changing")).EndpointConfigName).toBe("second");
  });

  it("fails if its model cannot be loaded, with the reason in its log", async () => {
    await configure("failing", "raise ValueError('no weights')");
    await create("failing");
    await becomes("failing", "Failed");
    expect((await look("failing")).FailureReason).toContain("did not pass the ping health check");
    const logs = new CloudWatchLogsClient(jobs.localAws.clientSettings());
    const { events = [] } = await logs.send(
      new FilterLogEventsCommand({ logGroupName: "/aws/sagemaker/Endpoints/failing" }),
    );
    expect(events.map(({ message }) => message).join("\n")).toContain("no weights");

    await configure("empty", adds(1));
    await jobs.s3.send(new PutObjectCommand({ Bucket: bucket, Key: "empty/model.tar.gz", Body: "" }));
    await create("empty");
    await becomes("empty", "Failed");
    await jobs.sagemaker.send(new DeleteEndpointCommand({ EndpointName: "empty" }));
  });

  it("answers an error of its model as ModelError", async () => {
    await configure("raising", adds(1));
    await create("raising");
    await becomes("raising", "InService");
    const answer = await invoke("raising", "not json");
    expect(answer).toMatchObject({ status: 424, error: "ModelError" });
    expect(JSON.parse(answer.text)).toMatchObject({
      Message: expect.stringMatching(/^Received server error \(500\) from primary with message/),
      OriginalStatusCode: 500,
    });
  });

  it("is refused where AWS refuses it", async () => {
    await configure("known", adds(1));
    await expect(create("unconfigured")).rejects.toThrow(/Could not find endpoint configuration/);
    await create("known");
    await expect(create("known")).rejects.toThrow(/Cannot create already existing endpoint "arn/);
    await expect(configure("known", adds(1))).rejects.toThrow(
      /Cannot create already existing endpoint configuration/,
    );
    await expect(create("-no")).rejects.toThrow(/regular expression pattern/);
    expect(await invoke("unknown", "[1]")).toMatchObject({ status: 400, error: "ValidationError" });
  });
});
