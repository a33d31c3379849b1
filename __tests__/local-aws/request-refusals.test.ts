import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

let folder: string;
let localAws: LocalAws;

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-request-refusals-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A request that the SDKs would not send. */
interface Raw {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | URLSearchParams;
}

async function send(signedFor: string, raw: Raw): Promise<{ status: number; text: string }> {
  const scope = `test/20260101/us-east-1/${signedFor}/aws4_request`;
  const response = await fetch(localAws.endpoint + (raw.path ?? "/"), {
    method: raw.method ?? "POST",
    headers: { ...raw.headers, Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, Signature=0` },
    ...(raw.body === undefined ? {} : { body: raw.body }),
  });
  return { status: response.status, text: await response.text() };
}

const query = (version: string, parameters: Record<string, string>): Raw => ({
  body: new URLSearchParams({ Version: version, ...parameters }),
});
const json = (target: string, members: object): Raw => ({
  headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target },
  body: JSON.stringify(members),
});
const vpc = (changes: Record<string, string>) =>
  query("2016-11-15", { Action: "CreateVpc", CidrBlock: "10.0.0.0/16", ...changes });
const role = (RoleName: string) =>
  query("2010-05-08", { Action: "CreateRole", RoleName, AssumeRolePolicyDocument: "{}" });
const session = (DurationSeconds: string) =>
  query("2011-06-15", {
    Action: "AssumeRole",
    RoleArn: "arn:aws:iam::123456789012:role/any-role",
    RoleSessionName: "any",
    DurationSeconds,
  });
const fileSystem = (PerformanceMode: string): Raw => ({
  path: "/2015-02-01/file-systems",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ CreationToken: PerformanceMode, PerformanceMode }),
});
const versioning = (status: string): Raw => ({
  method: "PUT",
  path: "/refusals-of-models?versioning",
  body: `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${status}</Status></VersioningConfiguration>`,
});

describe("a request that violates the service model is rejected, and a similar valid request is accepted", () => {
  beforeAll(async () => {
    const bucket = await send("s3", { method: "PUT", path: "/refusals-of-models" });
    expect(bucket.status, bucket.text).toBe(200);
  });

  it.each([
    ["ec2", "an enum", vpc({ InstanceTenancy: "weekly" }), vpc({ InstanceTenancy: "default" })],
    [
      "ec2",
      "a required member",
      query("2016-11-15", { Action: "CreateSubnet", CidrBlock: "10.0.0.0/24" }),
      query("2016-11-15", { Action: "DescribeSubnets" }),
    ],
    ["iam", "a length", role("r".repeat(65)), role("r".repeat(64))],
    ["iam", "a pattern", role("a role"), role("a-role")],
    ["sts", "a minimum", session("899"), session("900")],
    [
      "kms",
      "an enum",
      json("TrentService.CreateKey", { KeySpec: "RSA_1" }),
      json("TrentService.CreateKey", { KeySpec: "SYMMETRIC_DEFAULT" }),
    ],
    [
      "logs",
      "a pattern",
      json("Logs_20140328.CreateLogGroup", { logGroupName: "a group" }),
      json("Logs_20140328.CreateLogGroup", { logGroupName: "a-group" }),
    ],
    ["elasticfilesystem", "an enum", fileSystem("fast"), fileSystem("generalPurpose")],
    ["s3", "an enum in XML", versioning("On"), versioning("Enabled")],
  ])("%s: %s", async (service, _, excluded, allowed) => {
    const codes: Record<string, string> = {
      ec2: "InvalidParameterValue",
      iam: "ValidationError",
      sts: "ValidationError",
      kms: "ValidationException",
      logs: "InvalidParameterException",
      elasticfilesystem: "ValidationException",
      s3: "InvalidArgument",
    };
    const refused = await send(service, excluded);
    expect(refused.status).toBe(400);
    expect(refused.text).toMatch(
      /1 validation error detected: Value .* failed to satisfy constraint: Member/,
    );
    expect(refused.text).toContain(codes[service]);
    const answer = await send(service, allowed);
    expect(answer.status, answer.text).toBeLessThan(300);
  });

  it("reports all violated constraints, and rejects unreadable requests", async () => {
    const both = await send("iam", role(" ".repeat(65)));
    expect(both.text).toMatch(/2 validation errors detected/);
    expect((await send("s3", { ...versioning("Enabled"), body: "<Status" })).status).toBe(400);
    expect((await send("kms", json("TrentService.CreateKey", { Tags: 7 }))).status).toBe(400);
  });

  it("does not change objects", async () => {
    const path = "/refusals-of-models/an%20object";
    const body = "<not>xml";
    expect((await send("s3", { method: "PUT", path, body })).status).toBe(200);
    expect((await send("s3", { method: "GET", path })).text).toBe(body);
  });
});
