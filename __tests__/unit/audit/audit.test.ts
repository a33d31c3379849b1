import { gzipSync } from "node:zlib";
import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { dataEvents, daysOf, managementEvents } from "../../../src/audit/events.ts";
import { auditTable, inOrder, recordOf } from "../../../src/audit/record.ts";
import { roleNamesOf } from "../../../src/audit/who.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";

const roleNames = roleNamesOf(resolveEnvironment({ name: "dev" }), "ana");
const [roleName = ""] = roleNames;
const account = "123456789012";
const recorded = (fields: Readonly<Record<string, unknown>> = {}, role = roleName) => ({
  eventID: "1",
  eventTime: "2026-11-26T10:00:00Z",
  eventSource: "s3.amazonaws.com",
  eventName: "PutObject",
  sourceIPAddress: "10.0.1.7",
  userIdentity: {
    type: "AssumedRole",
    arn: `arn:aws:sts::${account}:assumed-role/${role}/SageMaker`,
    sessionContext: { sessionIssuer: { arn: `arn:aws:iam::${account}:role/team/${role}`, userName: role } },
  },
  requestParameters: { bucketName: "b", key: "marimo/payload/current" },
  ...fields,
});
const query = {
  roleNames,
  from: new Date("2026-11-25T12:00:00Z"),
  to: new Date("2026-11-26T12:00:00Z"),
};

/** A client that answers each command from a function of its input, and notes the inputs. */
function answering<Client extends CloudTrailClient | S3Client>(
  client: Client,
  answer: (input: Readonly<Record<string, unknown>>) => unknown,
) {
  const inputs: Readonly<Record<string, unknown>>[] = [];
  const send = async ({ input }: { readonly input: Readonly<Record<string, unknown>> }) => {
    inputs.push(input);
    return answer(input);
  };
  return { client: Object.assign(client, { send }), inputs };
}

describe("a record", () => {
  it("is of the role, whatever its path", () => {
    expect(recordOf(recorded(), roleNames)).toEqual({
      time: "2026-11-26T10:00:00Z",
      role: "marimo-dev-user-ana",
      service: "s3",
      action: "PutObject",
      resource: "b/marimo/payload/current",
      result: "ok",
      sourceAddress: "10.0.1.7",
      eventId: "1",
    });
  });

  it.each([
    ["another role", recorded({}, `${roleName}-2`)],
    ["a user", recorded({ userIdentity: { type: "IAMUser", userName: roleName } })],
    ["no record", "text"],
    ["nothing", null],
  ])("is not of %s", (_, other) => {
    expect(recordOf(other, roleNames)).toBeUndefined();
  });

  it.each([
    [{ requestParameters: { bucketName: "b" }, eventName: "DeleteObjects" }, "b"],
    [{ requestParameters: { roleArn: "arn:r", processingJobName: "job-1" } }, "job-1"],
    [{ requestParameters: { domainId: "d-1" } }, "d-1"],
    [{ requestParameters: null, resources: [{ ARN: "arn:x" }] }, "arn:x"],
    [{ requestParameters: null }, ""],
  ])("of %o is about %s", (fields, about) => {
    expect(recordOf(recorded(fields), roleNames)?.resource).toBe(about);
  });

  it("has the error of a denied request", () => {
    expect(recordOf(recorded({ errorCode: "AccessDenied" }), roleNames)?.result).toBe("AccessDenied");
  });
});

describe("the events of a role", () => {
  it("are looked up by the session name, on all pages", async () => {
    const event = (role: string) => ({ CloudTrailEvent: JSON.stringify(recorded({ eventID: role }, role)) });
    const { client, inputs } = answering(new CloudTrailClient({ region: "us-east-1" }), ({ NextToken }) =>
      NextToken === undefined
        ? { Events: [event(roleName), event("other")], NextToken: "2" }
        : { Events: [event(roleName)] },
    );
    expect(await managementEvents(query, client)).toHaveLength(2);
    expect(inputs).toHaveLength(2);
    expect(inputs[0]).toMatchObject({
      LookupAttributes: [{ AttributeKey: "Username", AttributeValue: "SageMaker" }],
      StartTime: query.from,
      EndTime: query.to,
      MaxResults: 50,
    });
  });

  it("are read from the trail's log files of each day, within the time", async () => {
    const times = ["2026-11-25T11:59:59Z", "2026-11-25T12:00:00Z", "2026-11-26T12:00:01Z"];
    const file = gzipSync(
      JSON.stringify({
        Records: [...times.map((eventTime) => recorded({ eventTime })), recorded({}, "other")],
      }),
    );
    const { client, inputs } = answering(new S3Client({ region: "us-east-1" }), ({ Key, Prefix }) =>
      Key === undefined
        ? { Contents: String(Prefix).endsWith("25/") ? [{ Key: "a.json.gz" }, { Key: "digest" }] : [] }
        : { Body: { transformToByteArray: async () => file } },
    );
    const trail = { bucket: "t", account, region: "us-east-1" };
    const found = await dataEvents(query, trail, client);
    expect(found?.map(({ time }) => time)).toEqual(["2026-11-25T12:00:00Z"]);
    expect(inputs.flatMap(({ Prefix }) => Prefix ?? [])).toEqual([
      `AWSLogs/${account}/CloudTrail/us-east-1/2026/11/25/`,
      `AWSLogs/${account}/CloudTrail/us-east-1/2026/11/26/`,
    ]);
    expect(inputs.flatMap(({ Key }) => Key ?? [])).toEqual(["a.json.gz"]);
  });

  it("are undefined if the bucket does not exist, and other errors are thrown", async () => {
    const trail = { bucket: "t", account, region: "us-east-1" };
    const failing = (name: string) =>
      answering(new S3Client({ region: "us-east-1" }), () => {
        throw Object.assign(new Error(name), { name });
      }).client;
    expect(await dataEvents(query, trail, failing("NoSuchBucket"))).toBeUndefined();
    await expect(dataEvents(query, trail, failing("AccessDenied"))).rejects.toThrow("AccessDenied");
  });

  it("may be delivered on the next day", () => {
    expect(daysOf(new Date("2026-11-30T23:30:00Z"), new Date("2026-12-01T00:10:00Z"))).toEqual([
      "2026/11/30",
      "2026/12/01",
    ]);
  });
});

describe("the table", () => {
  const record = (time: string, eventId: string, resource = "b") => ({
    ...{
      time,
      role: "r",
      service: "s3",
      action: "PutObject",
      resource,
      result: "ok",
      sourceAddress: "::1",
      eventId,
    },
  });

  it("is in order, and has what two trails recorded once", () => {
    const records = inOrder([record("2", "b"), record("1", "a"), record("2", "b")]);
    expect(records.map(({ eventId }) => eventId)).toEqual(["a", "b"]);
  });

  it("has columns of one width, and no control characters from a key", () => {
    const lines = auditTable([record("1", "a", "x\u001b[31m\nlong"), record("2", "b")]).split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain("x\\u001b[31m\\nlong");
    expect(new Set(lines.map((line) => line.search(/Result|ok/))).size).toBe(1);
  });
});

it("finds a person by their own roles, and by an existing role that everybody has", () => {
  expect(roleNamesOf(resolveEnvironment({ name: "dev" }), "Ana")).toEqual([
    "marimo-dev-user-ana",
    "marimo-dev-schedules-ana",
  ]);
  const existing = { executionRoleArn: "arn:aws:iam::123456789012:role/team/studio" };
  expect(roleNamesOf(resolveEnvironment({ name: "dev", existing }), "ana")).toEqual(["studio"]);
});
