import {
  CreatePolicyCommand,
  CreateRoleCommand,
  IAMClient,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type JobRequest, Jobs, role } from "../support/jobs-fixture.ts";

const account = "123456789012";
const target = "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob";
const queueArn = (name: string) => `arn:aws:sqs:us-east-1:${account}:${name}`;
const topicArn = (name: string) => `arn:aws:sns:us-east-1:${account}:${name}`;

let jobs: Jobs;
let iam: IAMClient;
beforeAll(async () => {
  jobs = await Jobs.start({}, {}, false); // jobs complete without running; these tests check their events
  iam = new IAMClient(jobs.localAws.clientSettings());
});
afterAll(() => jobs?.stop());

/** Sends a request without an SDK client. */
async function ask(
  service: string,
  path: string,
  headers: Record<string, string>,
  body: string,
  method = "POST",
) {
  const scope = `test/20260101/us-east-1/${service}/aws4_request`;
  const response = await fetch(jobs.localAws.endpoint + path, {
    method,
    headers: { ...headers, Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, Signature=0` },
    ...(method === "GET" || method === "DELETE" ? {} : { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return text;
}
async function json(service: string, operation: string, members: object): Promise<Record<string, unknown>> {
  const headers = { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": operation };
  return JSON.parse((await ask(service, "/", headers, JSON.stringify(members))) || "{}") as Record<
    string,
    unknown
  >;
}
const events = (operation: string, members: object) => json("events", `AWSEvents.${operation}`, members);
const sqs = (operation: string, members: object) => json("sqs", `AmazonSQS.${operation}`, members);
async function sns(Action: string, members: Record<string, string>): Promise<void> {
  const body = new URLSearchParams({ Version: "2010-03-31", Action, ...members }).toString();
  await ask("sns", "/", { "Content-Type": "application/x-www-form-urlencoded" }, body);
}
const scheduler = (method: string, path: string, members: object = {}) =>
  ask("scheduler", path, { "Content-Type": "application/json" }, JSON.stringify(members), method);

interface Message {
  readonly Body: string;
  readonly MessageAttributes?: Record<string, { readonly StringValue: string }>;
}
/** Receives all messages of a queue. */
async function receive(name: string): Promise<readonly Message[]> {
  const QueueUrl = `${jobs.localAws.endpoint}/${account}/${name}`;
  const all: Message[] = [];
  for (;;) {
    const { Messages } = await sqs("ReceiveMessage", {
      QueueUrl,
      MaxNumberOfMessages: 10,
      MessageAttributeNames: ["All"],
    });
    if (Messages === undefined) return all;
    all.push(...(Messages as Message[]));
  }
}

const allow = (service: string, actions: string | string[], resource: string, condition?: object) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: service },
        Action: actions,
        Resource: resource,
        ...(condition ? { Condition: condition } : {}),
      },
    ],
  });
const createQueue = (QueueName: string, Policy?: string) =>
  sqs("CreateQueue", { QueueName, Attributes: Policy ? { Policy } : {} });

describe("the end of a processing job", () => {
  /** Creates a rule for completed jobs that targets a topic with a queue; returns the messages of one job. */
  async function messagesOf(
    name: string,
    topic: Record<string, string>,
    rule: object = {},
  ): Promise<string[]> {
    await createQueue(name);
    const attributes = Object.entries(topic).flatMap(([key, value], index) => [
      [`Attributes.entry.${index + 1}.key`, key],
      [`Attributes.entry.${index + 1}.value`, value],
    ]);
    await sns("CreateTopic", { Name: name, ...Object.fromEntries(attributes) });
    await sns("Subscribe", { TopicArn: topicArn(name), Protocol: "sqs", Endpoint: queueArn(name) });
    const EventPattern = JSON.stringify({
      source: ["aws.sagemaker"],
      "detail-type": ["SageMaker Processing Job State Change"],
      detail: { ProcessingJobStatus: ["Completed"] },
    });
    await events("PutRule", { Name: name, EventPattern, ...rule });
    await events("PutTargets", { Rule: name, Targets: [{ Id: "topic", Arn: topicArn(name) }] });
    const job = await jobs.run("true");
    await events("RemoveTargets", { Rule: name, Ids: ["topic"] });
    await events("DeleteRule", { Name: name });
    const messages = (await receive(name)).map(
      ({ Body }) => (JSON.parse(Body) as { Message: string }).Message,
    );
    for (const message of messages) {
      expect(JSON.parse(message)).toMatchObject({
        source: "aws.sagemaker",
        account,
        region: "us-east-1",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        resources: [job.ProcessingJobArn],
        detail: {
          ProcessingJobName: job.ProcessingJobName,
          ProcessingJobStatus: "Completed",
          RoleArn: role,
          CreationTime: job.CreationTime?.getTime(),
        },
      });
    }
    return messages;
  }
  const publish = (name: string, condition?: object) =>
    allow("events.amazonaws.com", "sns:Publish", topicArn(name), condition);
  const bySource = { StringEquals: { "aws:SourceAccount": account } };
  const key = async (actions: string[], condition?: object) => {
    const Policy = allow("events.amazonaws.com", actions, "*", condition);
    const { KeyMetadata } = await new KMSClient(jobs.localAws.clientSettings()).send(
      new CreateKeyCommand({ Policy }),
    );
    return KeyMetadata?.KeyId ?? "";
  };
  const both = ["kms:GenerateDataKey*", "kms:Decrypt"];

  it("is sent once to the topic of a rule if the topic's policy allows it", async () => {
    expect(await messagesOf("allowed", { Policy: publish("allowed") })).toHaveLength(1);
  });

  it("is sent to an encrypted topic if its key also allows it", async () => {
    const topic = { Policy: publish("encrypted"), KmsMasterKeyId: await key(both) };
    expect(await messagesOf("encrypted", topic)).toHaveLength(1);
  });

  it.each([
    ["a topic without its own policy", "default", async () => ({}), {}],
    [
      "a topic that allows another service",
      "other",
      async () => ({ Policy: allow("s3.amazonaws.com", "sns:Publish", "*") }),
      {},
    ],
    [
      "a topic whose policy has a condition",
      "condition",
      async () => ({ Policy: publish("condition", bySource) }),
      {},
    ],
    [
      "a topic whose key allows one of two actions",
      "half",
      async () => ({ Policy: publish("half"), KmsMasterKeyId: await key(["kms:Decrypt"]) }),
      {},
    ],
    [
      "a topic whose key has a condition",
      "key-condition",
      async () => ({ Policy: publish("key-condition"), KmsMasterKeyId: await key(both, bySource) }),
      {},
    ],
    [
      "a topic with an AWS managed key",
      "own-key",
      async () => ({ Policy: publish("own-key"), KmsMasterKeyId: "alias/aws/sns" }),
      {},
    ],
    [
      "the topic of a disabled rule",
      "disabled",
      async () => ({ Policy: publish("disabled") }),
      { State: "DISABLED" },
    ],
  ])("is not sent to %s", async (_, name, topic, rule) => {
    expect(await messagesOf(name, await topic(), rule)).toEqual([]);
  });

  it("is sent to a queue in the format of an input transformer", async () => {
    const arn = `arn:aws:events:us-east-1:${account}:rule/words`;
    const condition = { ArnEquals: { "aws:SourceArn": arn } };
    await createQueue(
      "words",
      allow("events.amazonaws.com", "sqs:SendMessage", queueArn("words"), condition),
    );
    await createQueue("silence");
    const detail = {
      ProcessingJobName: [{ prefix: "job-" }],
      ProcessingJobStatus: ["InProgress", "Completed"],
    };
    await events("PutRule", {
      Name: "words",
      EventPattern: JSON.stringify({ source: ["aws.sagemaker"], detail }),
    });
    const InputTransformer = {
      InputPathsMap: { job: "$.detail.ProcessingJobName", status: "$.detail.ProcessingJobStatus" },
      InputTemplate: '{"text": "<job> is <status>", "job": <job>}',
    };
    const targets = [
      { Id: "words", Arn: queueArn("words"), InputTransformer },
      { Id: "silence", Arn: queueArn("silence") },
    ];
    await events("PutTargets", { Rule: "words", Targets: targets });
    const { ProcessingJobName: job } = await jobs.run("true");
    expect((await receive("words")).map(({ Body }) => JSON.parse(Body) as unknown)).toEqual([
      { text: `${job} is InProgress`, job },
      { text: `${job} is Completed`, job },
    ]);
    expect(await receive("silence")).toEqual([]);
  });
});

describe("a schedule", () => {
  const group = `arn:aws:scheduler:us-east-1:${account}:schedule-group/nightly`;
  const roleArn = (name: string) => `arn:aws:iam::${account}:role/${name}`;
  const every = "cron(30 2 * * ? *)";

  async function createRole(name: string, statements: readonly object[], source = group): Promise<void> {
    const trust = allow("scheduler.amazonaws.com", "sts:AssumeRole", "*", {
      StringEquals: { "aws:SourceAccount": account, "aws:SourceArn": source },
    }).replace(/,"Resource":"\*"/, "");
    await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust }));
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: statements });
    if (statements.length > 0) {
      await iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: "own", PolicyDocument }));
    }
  }
  const statement = (Action: string, Resource: string, more: object = {}) => ({
    Effect: "Allow",
    Action,
    Resource,
    ...more,
  });
  const create = statement(
    "sagemaker:CreateProcessingJob",
    `arn:aws:sagemaker:us-east-1:${account}:processing-job/nightly-*`,
  );
  const addTags = { ...create, Action: "sagemaker:AddTags" };
  const passRole = statement("iam:PassRole", role, {
    Condition: { StringEquals: { "iam:PassedToService": "sagemaker.amazonaws.com" } },
  });
  const sendMessage = statement("sqs:SendMessage", queueArn("failures"));
  const all = [create, addTags, passRole, sendMessage];

  let input: JobRequest;
  beforeAll(async () => {
    await scheduler("POST", "/schedule-groups/nightly");
    await createQueue("failures");
    await createRole("scheduler", all);
    input = {
      ...(await jobs.request("true")),
      ProcessingJobName: "nightly-<aws.scheduler.execution-id>",
      Environment: { AT: "<aws.scheduler.scheduled-time>", ATTEMPT: "<aws.scheduler.attempt-number>" },
      Tags: [{ Key: "Project", Value: "marimo" }],
    };
  });

  const put = (name: string, changes: object = {}, targetChanges: object = {}) =>
    scheduler("POST", `/schedules/${name}`, {
      GroupName: "nightly",
      FlexibleTimeWindow: { Mode: "OFF" },
      ScheduleExpression: every,
      Target: {
        Arn: target,
        RoleArn: roleArn("scheduler"),
        Input: JSON.stringify(input),
        RetryPolicy: { MaximumRetryAttempts: 1 },
        DeadLetterConfig: { Arn: queueArn("failures") },
        ...targetChanges,
      },
      ...changes,
    });
  afterEach(async () => {
    const { Schedules } = JSON.parse(await scheduler("GET", "/schedules")) as {
      Schedules: { Name: string }[];
    };
    for (const { Name } of Schedules) await remove(Name);
  });
  const remove = (name: string) => scheduler("DELETE", `/schedules/${name}?groupName=nightly`);
  const nameOf = (arn = "") => arn.split("/").at(-1) ?? "";

  it("creates a processing job with its role and a new name at each invocation", async () => {
    await put("fires");
    const fired = await jobs.localAws.fireSchedule("fires", "nightly");
    expect(fired.Error).toBeUndefined();
    expect(nameOf(fired.ProcessingJobArn)).toBe(`nightly-${fired.ExecutionId}`);
    const job = await jobs.end(nameOf(fired.ProcessingJobArn));
    expect(job).toMatchObject({
      ProcessingJobStatus: "Completed",
      Environment: { AT: fired.ScheduledTime, ATTEMPT: "1" },
      AppSpecification: input.AppSpecification,
    });
    const again = await jobs.localAws.fireSchedule("fires", "nightly");
    expect(again.ProcessingJobArn).not.toBe(fired.ProcessingJobArn);
    await remove("fires");
    await expect(jobs.localAws.fireSchedule("fires", "nightly")).rejects.toThrow("does not exist");
    expect(await receive("failures")).toEqual([]);
  });

  it.each([
    ["no-create", [addTags, passRole, sendMessage], "sagemaker:CreateProcessingJob"],
    ["no-tags", [create, passRole, sendMessage], "sagemaker:AddTags"],
    ["no-pass-role", [create, addTags, sendMessage], "iam:PassRole"],
    [
      "other-role",
      [create, addTags, { ...passRole, Resource: `${role}-of-others` }, sendMessage],
      "iam:PassRole",
    ],
    [
      "other-service",
      [
        create,
        addTags,
        { ...passRole, Condition: { StringEquals: { "iam:PassedToService": "ec2.amazonaws.com" } } },
        sendMessage,
      ],
      "iam:PassRole",
    ],
    [
      "other-prefix",
      [{ ...create, Resource: create.Resource.replace("nightly", "daily") }, addTags, passRole, sendMessage],
      "sagemaker:CreateProcessingJob",
    ],
    ["denied", [...all, { ...create, Effect: "Deny" }], "sagemaker:CreateProcessingJob"],
  ])(
    "%s: fails without the permission, and sends the request to its dead-letter queue",
    async (name, statements, action) => {
      await createRole(name, statements);
      await put(name, {}, { RoleArn: roleArn(name) });
      const fired = await jobs.localAws.fireSchedule(name, "nightly");
      expect(fired.ProcessingJobArn).toBeUndefined();
      expect(fired.Error).toContain(
        `AccessDeniedException: User: arn:aws:sts::${account}:assumed-role/${name}`,
      );
      expect(fired.Error).toContain(`not authorized to perform: ${action} `);
      const [message, ...more] = await receive("failures");
      expect(more).toEqual([]);
      expect(JSON.parse(message?.Body ?? "")).toMatchObject({
        ProcessingJobName: `nightly-${fired.ExecutionId}`,
        Environment: { ATTEMPT: "2" },
      });
      const attributes = Object.entries(message?.MessageAttributes ?? {}).map(([key, value]) => [
        key,
        value.StringValue,
      ]);
      expect(Object.fromEntries(attributes)).toMatchObject({
        ERROR_CODE: "AccessDeniedException",
        EXECUTION_ID: fired.ExecutionId,
        RETRY_ATTEMPTS: "1",
        SCHEDULE_ARN: `arn:aws:scheduler:us-east-1:${account}:schedule/nightly/${name}`,
        TARGET_ARN: target,
      });
      await remove(name);
    },
  );

  it("is limited by the permissions boundary of its role", async () => {
    const bound = async (PolicyName: string, statements: readonly object[]) => {
      const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: statements });
      const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName, PolicyDocument }));
      const PermissionsBoundary = Policy?.Arn;
      await iam.send(new PutRolePermissionsBoundaryCommand({ RoleName: "bounded", PermissionsBoundary }));
      return jobs.localAws.fireSchedule("bounded", "nightly");
    };
    await createRole("bounded", all);
    await put("bounded", {}, { RoleArn: roleArn("bounded") });
    expect((await bound("wide", [statement("*", "*")])).Error).toBeUndefined();
    expect((await bound("narrow", [statement("sagemaker:*", "*")])).Error).toContain("iam:PassRole");
    expect(await receive("failures")).toEqual([]);
  });

  it("sends nothing to a queue if its role has no permission", async () => {
    await createRole("no-queue", [create, addTags]);
    await put("no-queue", {}, { RoleArn: roleArn("no-queue") });
    expect((await jobs.localAws.fireSchedule("no-queue", "nightly")).Error).toContain("iam:PassRole");
    expect(await receive("failures")).toEqual([]);
  });

  it.each([
    ["a request that SageMaker rejects", { RoleArn: roleArn("nobody") }, "Could not assume role"],
    [
      "a request that violates the service model",
      { ProcessingJobName: "nightly-<aws.scheduler.scheduled-time>" },
      "regular expression pattern",
    ],
  ])("sends to its dead-letter queue %s", async (_, changes, message) => {
    const wide = { ...passRole, Resource: "*" };
    await createRole("wide", [create, addTags, wide, sendMessage]).catch(() => {});
    await put("wide", {}, { RoleArn: roleArn("wide"), Input: JSON.stringify({ ...input, ...changes }) });
    expect((await jobs.localAws.fireSchedule("wide", "nightly")).Error).toContain(message);
    expect(await receive("failures")).toHaveLength(1);
  });

  it.each([
    [
      "an expression of five fields",
      { ScheduleExpression: "cron(0 9 * * ?)" },
      "Invalid Schedule Expression cron(0 9 * * ?)",
    ],
    [
      "a day of the month and a day of the week",
      { ScheduleExpression: "cron(0 9 1 * MON *)" },
      "Invalid Schedule Expression",
    ],
    ["a unit in the singular", { ScheduleExpression: "rate(5 minute)" }, "Invalid Schedule Expression"],
    ["a unit in the plural", { ScheduleExpression: "rate(1 minutes)" }, "Invalid Schedule Expression"],
    [
      "a date that does not exist",
      { ScheduleExpression: "at(2026-02-30T10:00:00)" },
      "Invalid Schedule Expression",
    ],
    ["an unknown time zone", { ScheduleExpressionTimezone: "Europe/Atlantis" }, "Europe/Atlantis"],
    [
      "a role of another group",
      { GroupName: "default" },
      "must allow AWS EventBridge Scheduler to assume the role",
    ],
  ])("is rejected with %s", async (_, changes, message) => {
    await expect(put("refused", changes)).rejects.toThrow(message);
  });

  it("is not invoked while it is disabled", async () => {
    await put("disabled", { State: "DISABLED" });
    await expect(jobs.localAws.fireSchedule("disabled", "nightly")).rejects.toThrow("is DISABLED");
    const day = [new Date("2030-01-01T00:00:00Z"), new Date("2030-01-02T00:00:00Z")] as const;
    expect(await jobs.localAws.passTime(...day)).toEqual([]);
  });

  /** The invocation times between two days of 2030. */
  async function times(
    ScheduleExpression: string,
    zone: string,
    after: string,
    until: string,
    more: object = {},
  ) {
    await put("times", { ScheduleExpression, ScheduleExpressionTimezone: zone, ...more });
    const fired = await jobs.localAws.passTime(
      new Date(`2030-${after}T00:00:00Z`),
      new Date(`2030-${until}T00:00:00Z`),
    );
    return fired.map(({ ScheduledTime }) => ScheduledTime.slice(5, 16));
  }

  it.each([
    ["cron(30 2 * * ? *)", "UTC", "01-01", "01-03", ["01-01T02:30", "01-02T02:30"]],
    ["cron(0 9 ? * MON-FRI *)", "America/New_York", "01-04", "01-08", ["01-04T14:00", "01-07T14:00"]],
    ["cron(0/20 23 L * ? 2030)", "UTC", "01-01", "02-28", ["01-31T23:00", "01-31T23:20", "01-31T23:40"]],
    ["cron(0 8 ? * 6#2 *)", "UTC", "01-01", "02-28", ["01-11T08:00", "02-08T08:00"]],
    // 2:30 does not exist on 31 March and occurs twice on 27 October.
    ["cron(30 2 * * ? *)", "Europe/Berlin", "03-30", "04-02", ["03-30T01:30", "04-01T00:30"]],
    ["cron(30 2 * * ? *)", "Europe/Berlin", "10-26", "10-29", ["10-26T00:30", "10-27T00:30", "10-28T01:30"]],
    ["at(2030-05-01T12:00:00)", "Asia/Tokyo", "04-01", "06-01", ["05-01T03:00"]],
    ["at(2030-05-01T12:00:00)", "Asia/Tokyo", "05-02", "06-01", []],
  ])("%s in %s from %s to %s is invoked at %j", async (expression, zone, after, until, expected) => {
    expect(await times(expression, zone, after, until)).toEqual(expected);
  });

  it("with a rate is invoked from its start date to its end date", async () => {
    const seconds = (time: string) => Date.parse(`2030-${time}Z`) / 1000;
    const dates = { StartDate: seconds("01-01T06:00:00"), EndDate: seconds("01-02T07:00:00") };
    expect(await times("rate(12 hours)", "UTC", "01-01", "01-04", dates)).toEqual([
      "01-01T06:00",
      "01-01T18:00",
      "01-02T06:00",
    ]);
  });

  it("is invoked by the clock", async () => {
    const before = (await jobs.list("nightly-")).length;
    await put("clock", { ScheduleExpression: "rate(1 day)" });
    await expect.poll(async () => (await jobs.list("nightly-")).length).toBe(before + 1);
  });

  it("is deleted after a one-time invocation if ActionAfterCompletion is DELETE", async () => {
    const once = { ScheduleExpression: "at(2030-05-01T12:00:00)", ActionAfterCompletion: "DELETE" };
    await put("once", once);
    expect((await jobs.localAws.fireSchedule("once", "nightly")).Error).toBeUndefined();
    await expect(remove("once")).rejects.toThrow("does not exist");
  });

  it("is in the inventory with its group, rules, topics and queues until they are deleted", async () => {
    await put("counted");
    await events("PutRule", { Name: "counted", EventPattern: '{"source":["x"]}' });
    const mine = /^(scheduler|events) /;
    const lines = (await jobs.localAws.inventory()).filter((line) => mine.test(line));
    expect(lines).toEqual(
      expect.arrayContaining([
        "events rule counted",
        "scheduler group nightly",
        "scheduler schedule counted",
      ]),
    );
    expect(await jobs.localAws.inventory()).toEqual(
      expect.arrayContaining(["sns topic allowed", "sqs queue failures"]),
    );
    await remove("counted");
    await events("DeleteRule", { Name: "counted" });
    await scheduler("DELETE", "/schedule-groups/nightly");
    const left = (await jobs.localAws.inventory()).filter((line) => mine.test(line));
    expect(left).toEqual(["events rule words"]);
  });
});
