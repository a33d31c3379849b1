import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  BatchDescribeModelPackageCommand,
  CreateFeatureGroupCommand,
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DeleteFeatureGroupCommand,
  DeleteModelPackageCommand,
  DeleteModelPackageGroupCommand,
  DescribeFeatureGroupCommand,
  ListFeatureGroupsCommand,
  ListModelPackageGroupsCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

let folder: string;
let localAws: LocalAws;
let sagemaker: SageMakerClient;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-feature-store-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  sagemaker = new SageMakerClient({ ...localAws.clientSettings(), maxAttempts: 1 });
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const group = {
  FeatureGroupName: "Customers",
  RecordIdentifierFeatureName: "id",
  EventTimeFeatureName: "time",
  FeatureDefinitions: [
    { FeatureName: "id", FeatureType: "String" as const },
    { FeatureName: "time", FeatureType: "Fractional" as const },
    { FeatureName: "age", FeatureType: "Integral" as const },
  ],
  OnlineStoreConfig: { EnableOnlineStore: true },
};

/** A request to the runtime, whose client the project does not have. */
async function runtime(method: string, path: string, body?: object) {
  const scope = "test/20260101/us-east-1/sagemaker/aws4_request";
  const response = await fetch(`${localAws.endpoint}${path}`, {
    method,
    headers: {
      "Content-Type": "application/json",
      Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, Signature=0`,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : {} };
}
const record = (values: Readonly<Record<string, string>>) => ({
  Record: Object.entries(values).map(([FeatureName, ValueAsString]) => ({ FeatureName, ValueAsString })),
});
const put = (values: Readonly<Record<string, string>>) =>
  runtime("PUT", "/FeatureGroup/Customers", record(values));
const get = (id: string) => runtime("GET", `/FeatureGroup/Customers?RecordIdentifierValueAsString=${id}`);

describe("the feature store", () => {
  it("creates, lists and deletes groups, and keeps the latest record", async () => {
    await sagemaker.send(new CreateFeatureGroupCommand(group));
    await expect(sagemaker.send(new CreateFeatureGroupCommand(group))).rejects.toThrow(/already exists/);
    const describeGroup = () => sagemaker.send(new DescribeFeatureGroupCommand(group));
    await expect.poll(async () => (await describeGroup()).FeatureGroupStatus).toBe("Created");
    const { FeatureGroupSummaries } = await sagemaker.send(new ListFeatureGroupsCommand({}));
    expect(FeatureGroupSummaries).toMatchObject([
      { FeatureGroupName: "Customers", FeatureGroupStatus: "Created" },
    ]);

    expect(await put({ id: "1", time: "10", age: "30" })).toMatchObject({ status: 200 });
    expect((await get("1")).body).toEqual(record({ id: "1", time: "10", age: "30" }));
    // An older record changes nothing, a later one does.
    await put({ id: "1", time: "9", age: "29" });
    expect((await get("1")).body).toEqual(record({ id: "1", time: "10", age: "30" }));
    await put({ id: "1", time: "2026-01-01T00:00:00Z", age: "31" });
    expect((await get("1")).body.Record[2]).toEqual({ FeatureName: "age", ValueAsString: "31" });
    const batch = { FeatureGroupName: "Customers", RecordIdentifiersValueAsString: ["1", "2"] };
    const found = await runtime("POST", "/BatchGetRecord", { Identifiers: [batch] });
    expect(found.body.Records).toHaveLength(1);
    await runtime(
      "DELETE",
      "/FeatureGroup/Customers?RecordIdentifierValueAsString=1&EventTime=2027-01-01T00:00:00Z",
    );
    expect((await get("1")).body).toEqual({});

    await sagemaker.send(new DeleteFeatureGroupCommand(group));
    await expect.poll(async () => describeGroup().catch((error) => error.name)).toBe("ResourceNotFound");
  });

  it("refuses what AWS refuses", async () => {
    expect(await runtime("PUT", "/FeatureGroup/none", record({ id: "1" }))).toMatchObject({ status: 404 });
    await sagemaker.send(new CreateFeatureGroupCommand(group));
    const refused = await put({ id: "1", other: "2" });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain("other");
    expect((await put({ id: "1" })).status).toBe(400);
    expect((await put({ id: "1", time: "yesterday" })).status).toBe(400);
    expect((await runtime("PUT", "/FeatureGroup/Customers", {})).status).toBe(400);
    const offline = { ...group, FeatureGroupName: "none", OnlineStoreConfig: undefined };
    await expect(sagemaker.send(new CreateFeatureGroupCommand(offline))).rejects.toThrow(
      /OfflineStoreConfig/,
    );
    const noTime = { ...group, FeatureGroupName: "none", EventTimeFeatureName: "when" };
    await expect(sagemaker.send(new CreateFeatureGroupCommand(noTime))).rejects.toThrow(/when/);
  });
});

describe("the model registry", () => {
  it("describes model packages, and deletes them and then their group", async () => {
    const ModelPackageGroupName = "models";
    await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName }));
    const { ModelPackageArn: ModelPackageName } = await sagemaker.send(
      new CreateModelPackageCommand({ ModelPackageGroupName, ModelPackageDescription: "one" }),
    );
    const nothing = ModelPackageName?.replace(/1$/, "2") ?? "";
    const batch = await sagemaker.send(
      new BatchDescribeModelPackageCommand({ ModelPackageArnList: [ModelPackageName ?? "", nothing] }),
    );
    expect(batch.ModelPackageSummaries?.[ModelPackageName ?? ""]).toMatchObject({
      ...{ ModelPackageGroupName, ModelPackageVersion: 1, ModelPackageStatus: "Completed" },
    });
    expect(Object.keys(batch.BatchDescribeModelPackageErrorMap ?? {})).toEqual([nothing]);
    const deleteGroup = () => sagemaker.send(new DeleteModelPackageGroupCommand({ ModelPackageGroupName }));
    await expect(deleteGroup()).rejects.toThrow(/has model packages/);
    await sagemaker.send(new DeleteModelPackageCommand({ ModelPackageName }));
    await expect(sagemaker.send(new DeleteModelPackageCommand({ ModelPackageName }))).rejects.toThrow(
      /does not exist/,
    );
    await deleteGroup();
    const { ModelPackageGroupSummaryList } = await sagemaker.send(new ListModelPackageGroupsCommand({}));
    expect(ModelPackageGroupSummaryList).toEqual([]);
  });
});
