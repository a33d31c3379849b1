import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  AttachRolePolicyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  IAMClient,
  ListEntitiesForPolicyCommand,
  PutRolePermissionsBoundaryCommand,
} from "@aws-sdk/client-iam";
import { GetObjectCommand, GetObjectTaggingCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateAppCommand,
  CreateProcessingJobCommand,
  CreateSpaceCommand,
  DeleteAppCommand,
  DescribeModelCommand,
  ListDomainsCommand,
  SageMakerClient,
  StopTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import { CreateScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { inferenceProfilesJson } from "../../src/settings/names.ts";
import { notebook } from "../support/notebook-jobs.ts";
import type { StackFixture } from "../support/stack-fixture.ts";
import { StackWithApps } from "../support/stack-with-apps.ts";

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}
interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly status: number;
  readonly answer: string;
}

const bucket = "marimo-dev-123456789012-us-east-1";
let folder: string;
let running: StackWithApps;
let fixture: StackFixture;
let ana: Credentials;
let bo: Credentials;

async function sessionOf(role: string): Promise<Credentials> {
  const { Credentials: found } = await new STSClient(fixture.client).send(
    new AssumeRoleCommand({
      RoleArn: `arn:aws:iam::123456789012:role/${role}`,
      RoleSessionName: "SageMaker",
    }),
  );
  return {
    accessKeyId: found?.AccessKeyId ?? "",
    secretAccessKey: found?.SecretAccessKey ?? "",
    sessionToken: found?.SessionToken ?? "",
  };
}
const as = (credentials: Credentials) => ({ ...fixture.client, credentials, maxAttempts: 1 });

beforeAll(async () => {
  running = await StackWithApps.start({
    project: copyProject(
      '[{ name: "dev", userProfiles: [{ name: "ana" }, { name: "bo" }], homeFileSystemRetention: "Delete", sampleNotebooks: false, ai: { chatModel: "us.amazon.nova-pro-v1:0", costByUser: true } }]',
    ),
    iam: true,
  });
  ({ fixture, folder } = running);
  await fixture.apply();
  [ana, bo] = await Promise.all([sessionOf("marimo-dev-user-ana"), sessionOf("marimo-dev-user-bo")]);
});
afterAll(async () => {
  await running?.stop();
});

/** Records a person's requests between a command and the local AWS. */
async function recorder() {
  const seen: Recorded[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const { authorization = "" } = incoming.headers;
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).flatMap(([name, value]) =>
        ["connection", "expect", "host", "transfer-encoding", "content-length"].includes(name)
          ? []
          : [[name, String(value)] as const],
      ),
    );
    const request = { method: incoming.method ?? "", path: incoming.url ?? "/", headers };
    const body = Buffer.concat(parts);
    const { status, headers: answered, bytes } = await forward({ ...request, body });
    if (authorization !== "")
      seen.push({ ...request, body, status, answer: bytes.toString("utf8").slice(0, 2000) });
    outgoing.writeHead(status, answered).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close };
}

async function forward(one: Pick<Recorded, "method" | "path" | "headers" | "body">) {
  const hasBody = one.method !== "GET" && one.method !== "HEAD";
  const response = await fetch(fixture.localAws.endpoint + one.path, {
    method: one.method,
    headers: one.headers,
    ...(hasBody ? { body: one.body } : {}),
  });
  const names = ["content-type", "etag", "last-modified", "x-amzn-requestid", "x-amzn-errortype"];
  const headers = Object.fromEntries(
    names.flatMap((name) => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    }),
  );
  const length = one.method === "HEAD" ? response.headers.get("content-length") : null;
  return {
    status: response.status,
    headers: length === null ? headers : { ...headers, "content-length": length },
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

/** The same request with another access key. The local AWS reads the key, and no signature. */
const signedBy = (one: Recorded, { accessKeyId, sessionToken }: Credentials) =>
  forward({
    ...one,
    headers: {
      ...one.headers,
      authorization: (one.headers.authorization ?? "").replace(
        /Credential=[^/]+/,
        `Credential=${accessKeyId}`,
      ),
      "x-amz-security-token": sessionToken,
    },
  });

async function marimoJob(
  who: string,
  credentials: Credentials,
  endpoint: string,
  ...args: readonly string[]
) {
  const { python, prefix } = await pythonEnvironment("image");
  const home = join(folder, who);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "analysis.py"), notebook("import marimo as mo", 'mo.md("all is well")'));
  const script = join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/command.py");
  const child = spawn(python, ["-B", script, ...args], {
    cwd: home,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${join(prefix, "bin")}:${process.env.PATH}`,
      ...networkSettings(process.env),
      ...{ HOME: home, MARIMO_BUCKET: bucket, MARIMO_USER: who, AWS_REGION: "us-east-1" },
      ...{ AWS_ENDPOINT_URL: endpoint, AWS_EC2_METADATA_DISABLED: "true" },
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_SESSION_TOKEN: credentials.sessionToken,
    },
  });
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

const isDenied = ({ status, answer }: { status: number; answer: string }) =>
  status === 403 || (status === 400 && /AccessDenied/.test(answer));
const operation = ({ method, path, headers }: Recorded) =>
  headers["x-amz-target"]?.split(".").at(-1) ?? `${method} ${path.split("?")[0]}`;

it("lists all roles that have a policy, beyond moto's first hundred", async () => {
  const iam = new IAMClient(fixture.client);
  const { Policy } = await iam.send(
    new CreatePolicyCommand({
      PolicyName: "of-many",
      PolicyDocument: JSON.stringify({
        Version: "2012-10-17",
        Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }],
      }),
    }),
  );
  const names = Array.from({ length: 120 }, (_, index) => `one-of-many-${index}`);
  for (const RoleName of names) {
    await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: "{}" }));
    await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: Policy?.Arn }));
  }
  const { PolicyRoles } = await iam.send(new ListEntitiesForPolicyCommand({ PolicyArn: Policy?.Arn }));
  expect(PolicyRoles?.map(({ RoleName }) => RoleName).toSorted()).toEqual(names.toSorted());
});

describe("--iam", () => {
  it("allows a person's day, and refuses the same requests to another person", async () => {
    const recording = await recorder();
    const { endpoint, seen } = recording;
    const day = (...args: string[]) => marimoJob("ana", ana, endpoint, ...args);
    const run = await day("run", "analysis.py");
    expect(run.code, run.output).toBe(0);
    const [name = ""] = /marimo-dev-ana-analysis-[\w-]+/.exec(run.output) ?? [];
    for (const args of [["list"], ["status", name], ["logs", name], ["open", name]])
      expect(await day(...args)).toMatchObject({ code: 0 });
    recording.close();
    expect(seen.filter(isDenied).map(operation)).toEqual([]);
    const refused = new Set<string>();
    const shared = new Set<string>();
    for (const one of seen) {
      const { status, bytes } = await signedBy(one, bo);
      const isRefused = isDenied({ status, answer: bytes.toString() });
      // What bo is refused is ana's by name, by prefix or by tag, and what he is allowed is everybody's.
      // The names of all streams of a log group are everybody's: IAM has no smaller resource for that.
      const isHers =
        operation(one) !== "DescribeLogStreams" &&
        /people\/ana|people%2Fana|marimo-dev-ana-/.test(`${one.path}${one.body}`);
      expect([operation(one), isRefused]).toEqual([operation(one), isHers]);
      (isRefused ? refused : shared).add(operation(one).replace(/\/.*\//, "…/"));
    }
    expect([...refused].join(" ")).toMatch(/CreateProcessingJob/);
    expect([...refused].join(" ")).toMatch(/DescribeProcessingJob/);
    expect([...refused].join(" ")).toMatch(/GetLogEvents/);
    expect([...refused].join(" ")).toMatch(/PUT/);
    // Control: bo is refused only what is hers.
    expect([...shared].join(" ")).toMatch(/ListProcessingJobs/);
  });

  it("knows who asks", async () => {
    const { Arn } = await new STSClient(as(ana)).send(new GetCallerIdentityCommand());
    expect(Arn).toBe("arn:aws:sts::123456789012:assumed-role/marimo-dev-user-ana/SageMaker");
    // The rehearsal's own key is an administrator's.
    await new SageMakerClient(fixture.client).send(new ListDomainsCommand());
  });

  it("names the statement that denies, or the one that comes closest", async () => {
    const [s3, sagemaker] = [new S3Client(as(bo)), new SageMakerClient(as(bo))];
    const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
    await put("people/bo/x.txt");
    await expect(put("marimo/payload/current")).rejects.toThrow(
      "User: arn:aws:sts::123456789012:assumed-role/marimo-dev-user-bo/SageMaker is not authorized to perform: " +
        `s3:PutObject on resource: arn:aws:s3:::${bucket}/marimo/payload/current with an explicit deny in an ` +
        "identity-based policy (statement PayloadIsReadOnly of marimo-dev-artifacts)",
    );
    await expect(put("people/ana/x.txt")).rejects.toThrow(
      /because no identity-based policy allows the s3:PutObject action \(.*statement OwnObjects of marimo-dev-artifacts allows it on /,
    );
    const job = {
      ProcessingJobName: "marimo-dev-bo-x",
      RoleArn: "arn:aws:iam::123456789012:role/marimo-dev-user-bo",
      AppSpecification: { ImageUri: "image" },
      ProcessingResources: {
        ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large" as const, VolumeSizeInGB: 30 },
      },
    };
    await expect(sagemaker.send(new CreateProcessingJobCommand(job))).rejects.toThrow(
      /\(statement SendJobs of marimo-dev-jobs does so, but not with .*StringEquals aws:RequestTag\/Environment = null/,
    );
    const tags = new GetObjectTaggingCommand({ Bucket: bucket, Key: "people/bo/x.txt" });
    await expect(s3.send(tags)).rejects.toThrow(
      /\(no statement of marimo-dev-\S+, .* names s3:GetObjectTagging\)/,
    );
    await expect(sagemaker.send(new DescribeModelCommand({ ModelName: "m" }))).rejects.toThrow(
      /sagemaker:DescribeModel on resource: arn:aws:sagemaker:us-east-1:123456789012:model\/m .*\(statement OwnServices of marimo-dev-services allows it on /,
    );
  });

  it("lets a user call a model only through the user's own inference profile", async () => {
    const model = "us.amazon.nova-pro-v1:0";
    const { Body } = await new S3Client(as(ana)).send(
      new GetObjectCommand({ Bucket: bucket, Key: inferenceProfilesJson }),
    );
    const listed = JSON.parse((await Body?.transformToString()) ?? "") as Record<
      string,
      { readonly shared: string; readonly users: Readonly<Record<string, string>> }
    >;
    const { shared = "", users = {} } = listed[model] ?? {};
    expect(Object.keys(users)).toEqual(["ana", "bo"]);
    const { python } = await pythonEnvironment("aws");
    const script = `
import json, sys
import boto3
client = boto3.client("bedrock-runtime", region_name="us-east-1")
for model in sys.argv[1:]:
    try:
        client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "x"}]}])
        print("answered")
    except client.exceptions.ClientError as error:
        print(error.response["Error"]["Code"])
`;
    const ask = async (who: Credentials) => {
      const env = {
        ...process.env,
        ...{ AWS_ENDPOINT_URL: fixture.localAws.endpoint, AWS_ACCESS_KEY_ID: who.accessKeyId },
        ...{ AWS_SECRET_ACCESS_KEY: who.secretAccessKey, AWS_SESSION_TOKEN: who.sessionToken },
      };
      const models = [users.ana ?? "", users.bo ?? "", shared, model];
      const ended = await capture(python, ["-c", script, ...models], { env });
      expect(ended?.status, ended?.stderr).toBe(0);
      return ended?.stdout.trim().split("\n");
    };
    const no = "AccessDeniedException";
    expect(await ask(ana)).toEqual(["answered", no, no, no]);
    expect(await ask(bo)).toEqual([no, "answered", no, no]);
    expect(await ask(await sessionOf("marimo-dev-execution"))).toEqual([no, no, "answered", no]);
  });

  it("refuses an operation that its tables do not know", async () => {
    const sagemaker = new SageMakerClient(as(bo));
    await expect(sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: "t" }))).rejects.toThrow(
      /sagemaker:StopTrainingJob/,
    );
    await expect(new CloudWatchLogsClient(as(bo)).send(new DescribeLogGroupsCommand())).rejects.toThrow(
      /logs:DescribeLogGroups on resource: \*/,
    );
  });

  it("holds a role to its permissions boundary", async () => {
    const iam = new IAMClient(fixture.client);
    const { Policy } = await iam.send(
      new CreatePolicyCommand({
        PolicyName: "boundary",
        PolicyDocument: JSON.stringify({
          Version: "2012-10-17",
          Statement: { Effect: "Allow", Action: "s3:GetObject", Resource: "*" },
        }),
      }),
    );
    const RoleName = "marimo-dev-user-bo";
    await iam.send(new PutRolePermissionsBoundaryCommand({ RoleName, PermissionsBoundary: Policy?.Arn }));
    const own = { Bucket: bucket, Key: "people/bo/y.txt", Body: "y" };
    await expect(new S3Client(as(bo)).send(new PutObjectCommand(own))).rejects.toThrow(
      "because no permissions boundary allows the s3:PutObject action",
    );
    await iam.send(new DeleteRolePermissionsBoundaryCommand({ RoleName }));
    // Control.
    await new S3Client(as(bo)).send(new PutObjectCommand(own));
    await new S3Client(as(bo)).send(new GetObjectCommand({ Bucket: bucket, Key: own.Key }));
  });

  it("lets a person make schedules in the own group only", async () => {
    const schedule = (GroupName: string, RoleArn: string) =>
      new CreateScheduleCommand({
        ...{ Name: "daily", GroupName, ScheduleExpression: "rate(1 day)" },
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { Arn: "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob", RoleArn, Input: "{}" },
      });
    const [own, hers] = ["bo", "ana"].map((user) => `marimo-dev-user-${user}`) as [string, string];
    const roleArn = (name: string) => `arn:aws:iam::123456789012:role/${name}`;
    const scheduler = new SchedulerClient(as(bo));
    await expect(scheduler.send(schedule(hers, roleArn(own)))).rejects.toThrow(
      /scheduler:CreateSchedule on resource: \S+schedule\/marimo-dev-user-ana\/daily /,
    );
    await expect(scheduler.send(schedule(own, roleArn(hers)))).rejects.toThrow(
      /iam:PassRole on resource: \S+role\/marimo-dev-user-ana /,
    );
    // Control.
    await scheduler.send(schedule(own, roleArn(own)));
  });

  it("lets a person start and stop own spaces only", async () => {
    const administrator = new SageMakerClient(fixture.client);
    const { Domains } = await administrator.send(new ListDomainsCommand());
    const DomainId = Domains?.[0]?.DomainId ?? "";
    const space = (SpaceName: string, OwnerUserProfileName: string) => ({
      ...{ DomainId, SpaceName, OwnershipSettings: { OwnerUserProfileName } },
      SpaceSharingSettings: { SharingType: "Private" as const },
      SpaceSettings: { AppType: "JupyterLab" as const },
    });
    await administrator.send(new CreateSpaceCommand(space("hers", "ana")));
    const app = { DomainId, SpaceName: "hers", AppType: "JupyterLab" as const, AppName: "default" };
    const sagemaker = new SageMakerClient(as(bo));
    // Outside a space, a request has no domain: statements with that variable match nothing.
    await expect(sagemaker.send(new CreateAppCommand(app))).rejects.toThrow(/sagemaker:CreateApp/);
    await expect(sagemaker.send(new DeleteAppCommand(app))).rejects.toThrow(/sagemaker:DeleteApp/);
  });
});
