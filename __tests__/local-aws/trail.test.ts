import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CloudTrailClient,
  CreateTrailCommand,
  PutEventSelectorsCommand,
  StartLoggingCommand,
} from "@aws-sdk/client-cloudtrail";
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dataEvents, managementEvents } from "../../src/audit/events.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { synthesize } from "../support/synthesize.ts";

const account = "123456789012";
const region = "us-east-1";
const [work, logs] = ["work", "work-trail"];
const trailArn = `arn:aws:cloudtrail:${region}:${account}:trail/marimo-dev-audit`;
const deployer = `arn:aws:iam::${account}:role/deploy`;

let folder: string;
let aws: LocalAws;
let queueUrl: string;
/** Clients of a session of a role. */
let as: (role: string) => Promise<S3Client>;

/** The stack's own pattern, with the values that Terraform fills in. */
const changes = () =>
  String(
    synthesize({ deployers: [deployer] }).resource.aws_cloudwatch_event_rule?.audit_alerts_changes
      ?.event_pattern,
  )
    .replaceAll(/\$\{aws_s3_bucket[^}]*\}/g, work)
    .replaceAll(/\$\{data[^}]*partition\}/g, "aws")
    .replaceAll(/\$\{data[^}]*account_id\}/g, account);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-trail-"));
  aws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(folder, "aws.log"),
  });
  const settings = { ...aws.clientSettings(), region };
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  for (const Bucket of [work, logs]) await s3.send(new CreateBucketCommand({ Bucket }));
  const trails = new CloudTrailClient(settings);
  const create = () => trails.send(new CreateTrailCommand({ Name: "marimo-dev-audit", S3BucketName: logs }));
  await expect(create()).rejects.toMatchObject({ name: "InsufficientS3BucketPolicyException" });
  const Statement = [
    ["s3:GetBucketAcl", `arn:aws:s3:::${logs}`],
    ["s3:PutObject", `arn:aws:s3:::${logs}/AWSLogs/${account}/*`],
  ].map(([Action, Resource]) => ({
    ...{ Effect: "Allow", Principal: { Service: "cloudtrail.amazonaws.com" }, Action, Resource },
    Condition: { StringEquals: { "aws:SourceArn": trailArn } },
  }));
  await s3.send(
    new PutBucketPolicyCommand({
      Bucket: logs,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement }),
    }),
  );
  await create();
  await trails.send(
    new PutEventSelectorsCommand({
      TrailName: "marimo-dev-audit",
      AdvancedEventSelectors: [
        {
          FieldSelectors: [
            { Field: "eventCategory", Equals: ["Data"] },
            { Field: "resources.type", Equals: ["AWS::S3::Object"] },
            { Field: "resources.ARN", StartsWith: [`arn:aws:s3:::${work}/`] },
          ],
        },
      ],
    }),
  );
  await trails.send(new StartLoggingCommand({ Name: "marimo-dev-audit" }));

  const sqs = new SQSClient(settings);
  const Policy = JSON.stringify({
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "events.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource: "*",
      },
    ],
  });
  queueUrl =
    (await sqs.send(new CreateQueueCommand({ QueueName: "alerts", Attributes: { Policy } }))).QueueUrl ?? "";
  const events = new EventBridgeClient(settings);
  await events.send(new PutRuleCommand({ Name: "changes", EventPattern: changes() }));
  const target = { Id: "queue", Arn: `arn:aws:sqs:${region}:${account}:alerts` };
  await events.send(new PutTargetsCommand({ Rule: "changes", Targets: [target] }));

  const iam = new IAMClient(settings);
  for (const RoleName of ["deploy", "marimo-dev-execution"]) {
    await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: '{"Statement":[]}' }));
  }
  as = async (role) => {
    const RoleArn = `arn:aws:iam::${account}:role/${role}`;
    const { Credentials } = await new STSClient(settings).send(
      new AssumeRoleCommand({ RoleArn, RoleSessionName: "SageMaker" }),
    );
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? "",
      secretAccessKey: Credentials?.SecretAccessKey ?? "",
      sessionToken: Credentials?.SessionToken ?? "",
    };
    return new S3Client({ ...settings, credentials, forcePathStyle: true });
  };
});
afterAll(async () => {
  await aws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function alerts(): Promise<readonly string[]> {
  const sqs = new SQSClient({ ...aws.clientSettings(), region });
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 }),
  );
  return Messages.map(({ Body = "" }) => {
    const { eventName, requestParameters } = JSON.parse(Body).detail;
    return `${eventName} ${requestParameters.key ?? "-"}`;
  });
}

it("alerts to what a person writes below the payload, and to DeleteObjects, but not to the deployer", async () => {
  for (const role of ["deploy", "marimo-dev-execution"]) {
    const s3 = await as(role);
    await s3.send(new PutObjectCommand({ Bucket: work, Key: "marimo/payload/current", Body: "x" }));
    await s3.send(new PutObjectCommand({ Bucket: work, Key: "marimo/jobs/page.html", Body: "x" }));
    await s3.send(
      new DeleteObjectsCommand({ Bucket: work, Delete: { Objects: [{ Key: "marimo/jobs/page.html" }] } }),
    );
    await s3.send(new GetObjectCommand({ Bucket: work, Key: "marimo/payload/current" }));
    expect(await alerts()).toEqual(
      role === "deploy" ? [] : ["PutObject marimo/payload/current", "DeleteObjects -"],
    );
  }
});

it("is read back for one role: writes from the log files, management events from the event history", async () => {
  const settings = { ...aws.clientSettings(), region };
  const query = {
    roleNames: ["marimo-dev-execution"],
    from: new Date(Date.now() - 3_600_000),
    to: new Date(Date.now() + 60_000),
  };
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  const written = await dataEvents(query, { bucket: logs, account, region }, s3);
  expect(written?.map(({ action }) => action)).toEqual(
    expect.arrayContaining(["PutObject", "PutObject", "DeleteObjects"]),
  );
  expect(written).toHaveLength(3);
  const session = await as("marimo-dev-execution");
  await session.send(new CreateBucketCommand({ Bucket: "made-by-a-person" }));
  const managed = await managementEvents(query, new CloudTrailClient(settings));
  expect(managed.map(({ action }) => action)).toEqual(["CreateBucket"]);
});
