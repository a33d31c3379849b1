import { beforeAll, describe, expect, it } from "vitest";
import {
  boundaryOf,
  type DocumentName,
  policiesOf,
  type RoleName,
  roleDocument,
} from "../../src/github/roles.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { bucketPrefixes } from "../../src/settings/names.ts";
import { appliedIamDocuments, type IamDocument } from "../support/iam-documents.ts";
import { type PolicyDocument, type PolicyRequest, simulate } from "../support/policy-simulator.ts";
import { synthesize } from "../support/synthesize.ts";

/** Attempts by seat, each evaluated on the documents that Terraform sent. */
const settings = {
  egress: "endpoints-only",
  tags: { CostCenter: "42" },
  jobs: { maximumSchedulesPerUser: 10 },
  guardRails: {
    requiredTags: ["CostCenter"],
    budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], stopAtPercent: 100 },
  },
  userProfiles: [{ name: "ana" }, { name: "Bo" }],
  access: { buckets: [{ name: "acme-raw", prefix: "open/" }], secrets: ["marimo/*"] },
  teams: [
    {
      name: "forecasting",
      members: ["ana"],
      access: {
        buckets: [
          { name: "acme-lake", prefix: "curated/" },
          { name: "acme-out", write: true },
        ],
        glueDatabases: ["sales"],
        secrets: ["warehouse"],
        athena: { bytesScannedCutoffGb: 100 },
      },
    },
  ],
  schedules: [
    { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
    {
      name: "weekly",
      notebook: "sample-notebooks/01_explore_data.py",
      expression: "rate(7 days)",
      runAs: "ana",
    },
  ],
  deployers: ["arn:aws:iam::123456789012:role/ops/deploy"],
  ai: {
    chatModel: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    editModel: "global.amazon.nova-2-lite-v1:0",
    autocompleteModel: "amazon.nova-lite-v1:0",
    allowedModels: ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/team1234abcd"],
    guardrail: { id: "abcd1234efgh", version: "1" },
  },
} as const;

const account = "123456789012";
const region = "us-east-1";
const arn = (service: string, resource: string) => `arn:aws:${service}:${region}:${account}:${resource}`;
const role = (name: string) => `arn:aws:iam::${account}:role/marimo-dev-${name}`;
const bucket = `arn:aws:s3:::marimo-dev-${account}-${region}`;
const passedTo = (service: string) => ({ "iam:PassedToService": `${service}.amazonaws.com` });
const schedule = (group: string) => arn("scheduler", `schedule/${group}/nightly`);
const job = (name: string) => arn("sagemaker", `processing-job/${name}`);
const pipeline = (name: string) => arn("sagemaker", `pipeline/${name}`);
const payload = `${bucket}/${bucketPrefixes.payload}/current`;

interface Seat {
  /** How the addresses of its policies begin. */
  readonly policies: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
  /** The VPC endpoint that the requests come through; none if empty. @default one of the environment's */
  readonly endpoint?: string;
}
const everybody = ["aws_iam_policy.execution_", "aws_iam_policy.guard_rails_"];
const users = [...everybody, "aws_iam_policy.job_users_"];
const seats = {
  // SageMaker writes ARNs in lower case, and so is the tag of the user Bo.
  "bo's private space": { policies: users, tags: { StudioUser: "bo" } },
  "ana's private space": { policies: users, tags: { StudioUser: "ana" } },
  "ana's private space with her team": {
    policies: [...users, "aws_iam_policy.teams_forecasting_"],
    tags: { StudioUser: "ana" },
  },
  "a job of bo's": { policies: users, tags: { StudioUser: "bo" } },
  "a shared space": { policies: everybody },
  "a role without a tag": { policies: users },
  "a role with an empty tag": { policies: users, tags: { StudioUser: "" } },
  "a scheduled job": { policies: ["aws_iam_role_policy.jobs_role_"] },
  "a scheduled job with ana's rights": {
    policies: ["aws_iam_policy.execution_artifacts", "aws_iam_policy.job_users_job_runtime"],
    tags: { StudioUser: "ana" },
  },
  "the scheduler": { policies: ["aws_iam_role_policy.schedules_policy"] },
  "bo's role outside the VPC": { policies: users, tags: { StudioUser: "bo" }, endpoint: "" },
  "a scheduled job's role outside the VPC": {
    policies: ["aws_iam_role_policy.jobs_role_"],
    endpoint: "vpce-of-the-thief",
  },
  "bo with a spent budget": {
    policies: [...users, "aws_iam_policy.budget_stop_"],
    tags: { StudioUser: "bo" },
  },
  "the scheduler with a spent budget": {
    policies: ["aws_iam_role_policy.schedules_policy", "aws_iam_policy.budget_stop_"],
  },
} satisfies Readonly<Record<string, Seat>>;
type SeatName = keyof typeof seats;

type Attempt = readonly [action: string, resource: string, context?: PolicyRequest["context"]];
interface Row {
  readonly seat: SeatName;
  readonly attempt: string;
  readonly request: Attempt;
  /** The Sid of the statement that denies it. Undefined: no statement allows it. */
  readonly refusedBy?: string;
  /** What shows that the row can fail: an allowed request, by the same seat unless another is named. */
  readonly control: Attempt;
  readonly controlSeat?: SeatName;
}
const row = (
  seat: SeatName,
  attempt: string,
  request: Attempt,
  control: Attempt,
  more: Pick<Row, "controlSeat" | "refusedBy"> = {},
): Row => ({ seat, attempt, request, control, ...more });

const bo = "bo's private space";
const stopOwn: Attempt = ["sagemaker:StopProcessingJob", job("marimo-dev-bo-a-1")];
const ownSchedule: Attempt = ["scheduler:CreateSchedule", schedule("marimo-dev-user-bo")];
const passOneself: Attempt = ["iam:PassRole", role("user-bo"), passedTo("sagemaker")];
const mine = (key: string) => `${bucket}/people/bo/${key}`;
const hers = (key: string) => `${bucket}/people/ana/${key}`;
const read: Attempt = ["s3:GetObject", mine("data.csv")];
const list = (prefix?: string): Attempt => [
  "s3:ListBucket",
  bucket,
  prefix === undefined ? {} : { "s3:prefix": prefix },
];
/** The same attempt at ana's object, refused, and at the own one, allowed. */
const object = (seat: SeatName, attempt: string, action: string, key: string) =>
  row(seat, attempt, [action, hers(key)], [action, mine(key)]);
const jobs: readonly SeatName[] = [bo, "a job of bo's"];
const untagged: readonly SeatName[] = ["a shared space", "a role without a tag"];
/** Attempts at objects. */
const bucketRows: readonly Row[] = [
  ...jobs.flatMap((seat) => [
    object(seat, "reads ana's data", "s3:GetObject", "data.csv"),
    object(seat, "writes ana's data", "s3:PutObject", "data.csv"),
    object(seat, "deletes ana's data", "s3:DeleteObject", "data.csv"),
    object(seat, "reads ana's results", "s3:GetObject", "jobs/marimo-dev-a-1/page.html"),
    object(seat, "changes ana's results", "s3:PutObject", "jobs/marimo-dev-a-1/page.html"),
    object(seat, "changes the code of ana's jobs", "s3:PutObject", "job-sources/0123/analysis.py"),
    object(seat, "changes ana's sweep in the bucket", "s3:PutObject", "sweeps/s-1/sweep.json"),
    object(seat, "reads the backup of ana's home", "s3:GetObject", "backup/mine/1/files/a.py"),
    object(seat, "changes the backup of ana's home", "s3:PutObject", "backup/mine/1/manifest.json"),
    object(seat, "deletes the backup of ana's home", "s3:DeleteObject", "backup/mine/1/files/a.py"),
    row(seat, "lists ana's backups", list("people/ana/backup/"), list("people/bo/backup/")),
    row(seat, "lists ana's objects", list("people/ana/"), list("people/bo/")),
    row(seat, "lists all people", list("people/"), list("people/bo/")),
    row(seat, "lists people whose names begin with bo", list("people/bo"), list("people/bo/x")),
    row(seat, "lists the whole bucket", list(), list("shared/")),
    row(seat, "lists from the root", list(""), list("shared/")),
    row(seat, "reads another object of the bucket", ["s3:GetObject", `${bucket}/data.csv`], read),
    row(seat, "reads an old version of ana's data", ["s3:GetObjectVersion", hers("data.csv")], read),
    row(
      seat,
      "forges the result of a schedule",
      ["s3:PutObject", `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`],
      ["s3:GetObject", `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`],
      { refusedBy: "ResultsOfSchedulesAreReadOnly" },
    ),
    row(
      seat,
      "deletes a scheduled notebook",
      ["s3:DeleteObject", `${bucket}/marimo/schedules/d/v/a.py`],
      read,
      {
        refusedBy: "PayloadIsReadOnly",
      },
    ),
  ]),
  ...untagged.flatMap((seat) => [
    row(seat, "reads bo's data", read, read, { controlSeat: bo }),
    row(seat, "lists bo's objects", list("people/bo/"), list("people/bo/"), { controlSeat: bo }),
    row(seat, "writes bo's data", ["s3:PutObject", mine("x")], ["s3:PutObject", mine("x")], {
      controlSeat: bo,
    }),
  ]),
  row(
    "a role with an empty tag",
    "reads an object of nobody",
    ["s3:GetObject", `${bucket}/people//x`],
    read,
    {
      controlSeat: bo,
    },
  ),
  row("a role with an empty tag", "lists all people", list("people//"), list("people/bo/"), {
    controlSeat: bo,
  }),
  row("a scheduled job", "reads bo's data", read, read, { controlSeat: bo }),
  row("a scheduled job", "lists bo's objects", list("people/bo/"), list("shared/")),
  row(
    "a scheduled job",
    "forges the result of a schedule in prod",
    ["s3:PutObject", `${bucket}/shared/jobs/marimo-prod-daily-1/page.html`],
    ["s3:PutObject", `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`],
  ),
];
const ana = "ana's private space with her team";
const ours = { "aws:ResourceAccount": account };
const granted = (action: string, path: string, context: PolicyRequest["context"] = ours): Attempt => [
  action,
  `arn:aws:s3:::${path}`,
  context,
];
const inLake = granted("s3:GetObject", "acme-lake/curated/a.csv");
const inOut = granted("s3:PutObject", "acme-out/a.csv");
const ofSales: Attempt = ["glue:GetTable", arn("glue", "table/sales/orders")];
const warehouse: Attempt = [
  "secretsmanager:GetSecretValue",
  arn("secretsmanager", "secret:warehouse-AbCdEf"),
];
const query = (user: string, action = "StartQueryExecution"): Attempt => [
  `athena:${action}`,
  arn("athena", `workgroup/marimo-dev-user-${user}`),
];
const boWithout = { controlSeat: "ana's private space with her team" } as const;
const listLake = (prefix: string) => granted("s3:ListBucket", "acme-lake", { ...ours, "s3:prefix": prefix });
const outsiders: readonly SeatName[] = [bo, "a shared space"];
/** Attempts at data that settings grant to everybody or to ana's team. */
const grantRows: readonly Row[] = [
  ...outsiders.flatMap((seat) => [
    row(seat, "reads the data of ana's team", inLake, inLake, { controlSeat: ana }),
    row(seat, "lists the data of ana's team", listLake("curated/"), listLake("curated/"), {
      controlSeat: ana,
    }),
    row(seat, "writes the data of ana's team", inOut, inOut, { controlSeat: ana }),
    row(seat, "reads the tables of ana's team", ofSales, ofSales, { controlSeat: ana }),
    row(seat, "reads the secret of ana's team", warehouse, warehouse, { controlSeat: ana }),
    row(
      seat,
      "reads beside what everybody has",
      granted("s3:GetObject", "acme-raw/closed/a.csv"),
      granted("s3:GetObject", "acme-raw/open/a.csv"),
    ),
    row(
      seat,
      "writes what everybody reads",
      granted("s3:PutObject", "acme-raw/open/a.csv"),
      granted("s3:GetObject", "acme-raw/open/a.csv"),
    ),
  ]),
  row(ana, "reads beside the prefix", granted("s3:GetObject", "acme-lake/raw/a.csv"), inLake),
  row(ana, "lists names that begin like the prefix", listLake("curated"), listLake("curated/")),
  row(ana, "writes what her team reads", granted("s3:PutObject", "acme-lake/curated/a.csv"), inLake),
  row(
    ana,
    "writes to a bucket of that name in another account",
    granted("s3:PutObject", "acme-out/a.csv", { "aws:ResourceAccount": "999988887777" }),
    inOut,
  ),
  row(
    ana,
    "reads the tables of another database",
    ["glue:GetTable", arn("glue", "table/people/salaries")],
    ofSales,
  ),
  row(ana, "changes a table of her team", ["glue:UpdateTable", arn("glue", "table/sales/orders")], ofSales),
  row(
    ana,
    "reads a secret whose name begins the same",
    ["secretsmanager:GetSecretValue", arn("secretsmanager", "secret:warehouse-admin-AbCdEf")],
    warehouse,
  ),
];
/** Attempts at queries: ana's team has them, bo and shared spaces have not. */
const queryRows: readonly Row[] = [
  row(ana, "queries in bo's workgroup", query("bo"), query("ana")),
  row(ana, "reads bo's results by Athena", query("bo", "GetQueryResults"), query("ana", "GetQueryResults")),
  row(ana, "stops bo's query", query("bo", "StopQueryExecution"), query("ana", "StopQueryExecution")),
  row(ana, "lifts her own limit", query("ana", "UpdateWorkGroup"), query("ana", "GetWorkGroup")),
  row(
    ana,
    "queries in the account's own workgroup",
    ["athena:StartQueryExecution", arn("athena", "workgroup/primary")],
    query("ana"),
  ),
  row(
    ana,
    "reads bo's results in the bucket",
    ["s3:GetObject", mine("athena/1.csv")],
    ["s3:GetObject", hers("athena/1.csv")],
  ),
  row(bo, "queries without a grant", query("bo"), query("ana"), boWithout),
  row(bo, "queries in ana's workgroup", query("ana"), query("ana"), boWithout),
  row("a shared space", "queries in ana's workgroup", query("ana"), query("ana"), boWithout),
  row("bo's role outside the VPC", "queries", query("bo"), query("ana"), {
    ...boWithout,
    refusedBy: "OnlyThroughTheVpc",
  }),
  row("bo with a spent budget", "queries", query("bo"), query("ana"), {
    ...boWithout,
    refusedBy: "BudgetIsSpent",
  }),
];
const costs = { "aws:RequestTag/Environment": "dev", "aws:RequestTag/CostCenter": "42" };
/** Placeholders for what the documents name: see `known`. */
const [subnets, group, key] = ["SUBNETS", "GROUP", "KEY"];
const jobRequest = {
  ...costs,
  "sagemaker:InstanceTypes": ["ml.m5.large"],
  "sagemaker:VpcSubnets": subnets,
  "sagemaker:VpcSecurityGroupIds": group,
  "sagemaker:VolumeKmsKey": key,
  "sagemaker:OutputKmsKey": key,
  "sagemaker:MaxRuntimeInSeconds": "3600",
};
const send = (changes: Readonly<Record<string, string | readonly string[]>> = {}): Attempt => [
  "sagemaker:CreateProcessingJob",
  job("marimo-dev-bo-a-1"),
  { ...jobRequest, ...changes },
];
const without = ([action, resource, context = {}]: Attempt, name: string): Attempt => [
  action,
  resource,
  Object.fromEntries(Object.entries(context).filter(([one]) => one !== name)),
];
const sweep = (context: PolicyRequest["context"]): Attempt => [
  "sagemaker:CreatePipeline",
  pipeline("marimo-dev-bo-s-1"),
  context ?? {},
];
const inDomain = { "sagemaker:DomainId": "d-one", "sagemaker:UserProfileName": "bo" };
const app = (domain: string, context: PolicyRequest["context"] = {}): Attempt => [
  "sagemaker:CreateApp",
  arn("sagemaker", `app/${domain}/notes/jupyterlab/default`),
  { ...inDomain, "sagemaker:InstanceTypes": ["ml.t3.medium"], ...context },
];
const describeSpace = (domain: string): Attempt => [
  "sagemaker:DescribeSpace",
  arn("sagemaker", `space/${domain}/notes`),
  inDomain,
];
const tagJob = (context: PolicyRequest["context"]): Attempt => [
  "sagemaker:AddTags",
  job("marimo-dev-bo-a-1"),
  context ?? {},
];
const note = tagJob({ "aws:TagKeys": ["note"], "aws:RequestTag/note": "x" });
const describeJob = (name: string): Attempt => ["sagemaker:DescribeProcessingJob", job(name)];
const describeSweep = (name: string): Attempt => ["sagemaker:DescribePipeline", pipeline(name)];
const stream = (name: string) =>
  arn("logs", `log-group:/aws/sagemaker/ProcessingJobs:log-stream:${name}/algo-1-1`);
const studioStream = arn("logs", "log-group:/aws/sagemaker/studio:log-stream:d-one/notes/jupyterlab/default");
const inPerimeter: Attempt = ["s3:GetObject", `${bucket}/shared/data.csv`];
const throughS3: Attempt = ["kms:Decrypt", key, { "kms:ViaService": `s3.${region}.amazonaws.com` }];
const perimeter = { refusedBy: "OnlyThroughTheVpc" } as const;
const outside = "bo's role outside the VPC";
const prodBucket = `arn:aws:s3:::marimo-prod-${account}-${region}`;
const anasSchedule = "a scheduled job with ana's rights";
const anasResult: Attempt = ["s3:PutObject", `${bucket}/people/ana/jobs/marimo-dev-weekly-1/page.html`];
/** In Studio, SageMaker gives a session these keys. */
const studioOf = (user: string) => ({ "sagemaker:DomainId": "d-1", "sagemaker:UserProfileName": user });
const presigned = (user: string): Attempt => [
  "sagemaker:CreatePresignedDomainUrl",
  arn("sagemaker", `user-profile/d-1/${user}`),
  studioOf("bo"),
];

const guarded = { "bedrock:GuardrailIdentifier": arn("bedrock", "guardrail/abcd1234efgh:1") };
/** `through` is the inference profile that leads to a model. */
const ask = (resource: string, through?: string): Attempt => [
  "bedrock:InvokeModelWithResponseStream",
  resource,
  { ...guarded, ...(through === undefined ? {} : { "bedrock:InferenceProfileArn": through }) },
];
const model = (of: string, id: string) => `arn:aws:bedrock:${of}::foundation-model/${id}`;
const claude = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const profile = (id: string) => arn("bedrock", `inference-profile/${id}`);
const teamProfile = arn("bedrock", "application-inference-profile/team1234abcd");
const askNova = ask(model(region, "amazon.nova-lite-v1:0"));
const askClaude = ask(model("us-west-2", claude), profile(`us.${claude}`));
const otherGuardrail = { "bedrock:GuardrailIdentifier": arn("bedrock", "guardrail/abcd1234efgh:2") };
const guardrail = { refusedBy: "OnlyWithTheGuardrail" } as const;
/** Attempts at models of Amazon Bedrock. */
const aiRows: readonly Row[] = [
  row(bo, "calls another model", ask(model(region, "amazon.nova-premier-v1:0")), askNova),
  row(bo, "calls its model elsewhere", ask(model("eu-west-1", "amazon.nova-lite-v1:0")), askNova),
  row(bo, "calls another profile", ask(profile(`eu.${claude}`)), ask(profile(`us.${claude}`))),
  row(bo, "calls a profile's model directly", ask(model(region, claude)), askClaude),
  row(
    bo,
    "reaches another model through a profile",
    ask(model("us-west-2", "anthropic.claude-opus-4-1-20250805-v1:0"), profile(`us.${claude}`)),
    askClaude,
  ),
  row(
    bo,
    "reaches a global profile's model directly",
    ask(model("", "amazon.nova-2-lite-v1:0")),
    ask(model("", "amazon.nova-2-lite-v1:0"), profile("global.amazon.nova-2-lite-v1:0")),
  ),
  row(
    bo,
    "calls another team's application profile",
    ask(arn("bedrock", "application-inference-profile/other1234abc")),
    ask(teamProfile),
  ),
  row(
    bo,
    "reaches a model through it",
    ask(
      model("us-east-2", "amazon.nova-pro-v1:0"),
      arn("bedrock", "application-inference-profile/other1234abc"),
    ),
    ask(model("us-east-2", "amazon.nova-pro-v1:0"), teamProfile),
  ),
  row(bo, "calls without the guardrail", without(askNova, "bedrock:GuardrailIdentifier"), askNova, guardrail),
  row(bo, "calls with another version of it", [askNova[0], askNova[1], otherGuardrail], askNova, guardrail),
  row("a shared space", "calls without the guardrail", [askNova[0], askNova[1]], askNova, guardrail),
  row(
    bo,
    "makes a guardrail of its own",
    ["bedrock:CreateGuardrail", "*"],
    ["bedrock:ApplyGuardrail", arn("bedrock", "guardrail/abcd1234efgh")],
  ),
  row(outside, "calls a model", askNova, askNova, { controlSeat: bo, ...perimeter }),
  row("bo with a spent budget", "calls a model", askNova, askNova, {
    controlSeat: bo,
    refusedBy: "BudgetIsSpent",
  }),
];

const rows: readonly Row[] = [
  ...grantRows,
  ...queryRows,
  ...aiRows,
  row(bo, "stops ana's job", ["sagemaker:StopProcessingJob", job("marimo-dev-ana-a-1")], stopOwn),
  row(bo, "stops a scheduled job", ["sagemaker:StopProcessingJob", job("marimo-dev-daily-1")], stopOwn),
  row(bo, "stops a job of bob's", ["sagemaker:StopProcessingJob", job("marimo-dev-bob-a-1")], stopOwn),
  row(bo, "stops a job in prod", ["sagemaker:StopProcessingJob", job("marimo-prod-bo-a-1")], stopOwn),
  row(
    bo,
    "tags ana's job",
    ["sagemaker:AddTags", job("marimo-dev-ana-a-1"), { "aws:TagKeys": ["note"] }],
    note,
  ),
  row(
    bo,
    "starts ana's sweep",
    ["sagemaker:StartPipelineExecution", pipeline("marimo-dev-ana-s-1")],
    ["sagemaker:StartPipelineExecution", pipeline("marimo-dev-bo-s-1")],
  ),
  row(
    bo,
    "changes ana's sweep",
    ["sagemaker:UpdatePipeline", pipeline("marimo-dev-ana-s-1")],
    ["sagemaker:UpdatePipeline", pipeline("marimo-dev-bo-s-1")],
  ),
  row(
    bo,
    "stops a row of ana's sweep",
    ["sagemaker:StopPipelineExecution", pipeline("marimo-dev-ana-s-1/execution/x")],
    ["sagemaker:StopPipelineExecution", pipeline("marimo-dev-bo-s-1/execution/x")],
  ),
  row(bo, "runs a job as ana", ["iam:PassRole", role("user-ana"), passedTo("sagemaker")], passOneself),
  row(bo, "runs a job as everybody", ["iam:PassRole", role("execution"), passedTo("sagemaker")], passOneself),
  row(bo, "runs a job as a schedule", ["iam:PassRole", role("jobs"), passedTo("sagemaker")], passOneself),
  row(bo, "gives its role to a function", ["iam:PassRole", role("user-bo"), passedTo("lambda")], passOneself),
  row(bo, "gives its role to nobody in particular", ["iam:PassRole", role("user-bo")], passOneself),
  row(bo, "becomes ana", ["sts:AssumeRole", role("user-ana")], passOneself),
  row(
    bo,
    "makes a schedule in ana's group",
    ["scheduler:CreateSchedule", schedule("marimo-dev-user-ana")],
    ownSchedule,
  ),
  row(
    bo,
    "makes a schedule in the team's group",
    ["scheduler:CreateSchedule", schedule("marimo-dev")],
    ownSchedule,
  ),
  row(
    bo,
    "makes a schedule in the default group",
    ["scheduler:CreateSchedule", schedule("default")],
    ownSchedule,
  ),
  row(
    bo,
    "deletes ana's schedule",
    ["scheduler:DeleteSchedule", schedule("marimo-dev-user-ana")],
    ["scheduler:DeleteSchedule", schedule("marimo-dev-user-bo")],
  ),
  row(
    bo,
    "makes a schedule group",
    ["scheduler:CreateScheduleGroup", arn("scheduler", "schedule-group/marimo-dev-user-bo")],
    ownSchedule,
  ),
  row(bo, "tags its role as ana", ["iam:TagRole", role("user-bo")], passOneself),
  row(
    bo,
    "writes a policy",
    ["iam:CreatePolicyVersion", `arn:aws:iam::${account}:policy/marimo-dev-jobs`],
    passOneself,
  ),
  row(bo, "changes what everybody runs", ["s3:PutObject", payload], ["s3:PutObject", mine("x")], {
    refusedBy: "PayloadIsReadOnly",
  }),
  row(
    "a job of bo's",
    "changes what everybody runs",
    ["s3:PutObject", payload],
    ["s3:PutObject", mine("x")],
    {
      refusedBy: "PayloadIsReadOnly",
    },
  ),
  row(
    "a job of bo's",
    "stops ana's job",
    ["sagemaker:StopProcessingJob", job("marimo-dev-ana-a-1")],
    stopOwn,
  ),
  row("a shared space", "stops bo's job", stopOwn, stopOwn, { controlSeat: bo }),
  row("a shared space", "makes a schedule", ownSchedule, ownSchedule, { controlSeat: bo }),
  row("a shared space", "runs a job as bo", passOneself, passOneself, { controlSeat: bo }),
  row(
    "a shared space",
    "changes what everybody runs",
    ["s3:PutObject", payload],
    ["s3:PutObject", `${bucket}/shared/x`],
    {
      refusedBy: "PayloadIsReadOnly",
    },
  ),
  row("a role without a tag", "stops bo's job", stopOwn, stopOwn, { controlSeat: bo }),
  row("a role without a tag", "runs a job as bo", passOneself, passOneself, { controlSeat: bo }),
  row(
    "a role with an empty tag",
    "stops a job whose name fits no user",
    ["sagemaker:StopProcessingJob", job("marimo-dev--1")],
    stopOwn,
    { controlSeat: bo },
  ),
  row(
    "a role with an empty tag",
    "passes a role whose name fits no user",
    ["iam:PassRole", role("user-"), passedTo("sagemaker")],
    passOneself,
    { controlSeat: bo },
  ),
  row("a scheduled job", "stops bo's job", stopOwn, stopOwn, { controlSeat: bo }),
  row("a scheduled job", "runs a job as bo", passOneself, passOneself, { controlSeat: bo }),
  row(
    "a scheduled job",
    "writes other objects than its output",
    ["s3:PutObject", `${bucket}/shared/data.csv`],
    ["s3:PutObject", `${bucket}/${bucketPrefixes.scheduledJobs}/marimo-dev-daily-1/page.html`],
  ),
  row(
    bo,
    "runs a job as ana's schedules",
    ["iam:PassRole", role("schedules-ana"), passedTo("sagemaker")],
    passOneself,
  ),
  row(
    "ana's private space",
    "runs a job as the schedules with her rights",
    ["iam:PassRole", role("schedules-ana"), passedTo("sagemaker")],
    ["iam:PassRole", role("user-ana"), passedTo("sagemaker")],
  ),
  row(
    anasSchedule,
    "opens Studio as ana",
    ["sagemaker:CreatePresignedDomainUrl", arn("sagemaker", "user-profile/d-1/ana"), studioOf("ana")],
    ["sagemaker:CreatePresignedDomainUrl", arn("sagemaker", "user-profile/d-1/ana"), studioOf("ana")],
    { controlSeat: "ana's private space" },
  ),
  row(anasSchedule, "sends jobs", ["sagemaker:AddTags", job("marimo-dev-ana-a-1")], anasResult),
  row(
    anasSchedule,
    "runs a job as ana",
    ["iam:PassRole", role("user-ana"), passedTo("sagemaker")],
    anasResult,
  ),
  row(
    anasSchedule,
    "runs a job as itself",
    ["iam:PassRole", role("schedules-ana"), passedTo("sagemaker")],
    anasResult,
  ),
  row(
    anasSchedule,
    "makes a schedule",
    ["scheduler:CreateSchedule", schedule("marimo-dev-user-ana")],
    anasResult,
  ),
  row(anasSchedule, "changes what everybody runs", ["s3:PutObject", payload], anasResult, {
    refusedBy: "PayloadIsReadOnly",
  }),
  row("a scheduled job", "writes results of ana's", anasResult, anasResult, { controlSeat: anasSchedule }),
  row(
    "the scheduler",
    "runs a job as ana",
    ["iam:PassRole", role("user-ana"), passedTo("sagemaker")],
    ["iam:PassRole", role("schedules-ana"), passedTo("sagemaker")],
  ),
  row(
    "the scheduler",
    "passes ana's rights to a function",
    ["iam:PassRole", role("schedules-ana"), passedTo("lambda")],
    ["iam:PassRole", role("schedules-ana"), passedTo("sagemaker")],
  ),
  row(
    bo,
    "reads the bucket of another environment",
    ["s3:GetObject", `${prodBucket}/people/bo/data.csv`],
    ["s3:GetObject", `${bucket}/people/bo/data.csv`],
  ),
  row(
    bo,
    "writes what another environment runs",
    ["s3:PutObject", `${prodBucket}/${bucketPrefixes.payload}/current`],
    ["s3:PutObject", `${bucket}/people/bo/data.csv`],
  ),
  row(
    bo,
    "makes a schedule in another environment",
    ["scheduler:CreateSchedule", schedule("marimo-prod-user-bo")],
    ownSchedule,
  ),
  row(
    bo,
    "runs a job as bo of another environment",
    ["iam:PassRole", `arn:aws:iam::${account}:role/marimo-prod-user-bo`, passedTo("sagemaker")],
    passOneself,
  ),
  row(bo, "opens Studio as ana", presigned("ana"), presigned("bo")),
  row("the scheduler", "runs a job as bo", passOneself, [
    "iam:PassRole",
    role("jobs"),
    passedTo("sagemaker"),
  ]),
  row("the scheduler", "reads the bucket", read, read, { controlSeat: bo }),
  ...bucketRows,

  row(bo, "starts an app in another domain", app("d-two"), app("d-one")),
  row("a shared space", "starts an app in another domain", app("d-two"), app("d-one")),
  row(bo, "describes a space of another domain", describeSpace("d-two"), describeSpace("d-one")),
  row("a job of bo's", "starts an app", without(app("d-one"), "sagemaker:DomainId"), app("d-one")),
  row(
    bo,
    "starts an app with eight GPUs",
    app("d-one", { "sagemaker:InstanceTypes": ["ml.p4d.24xlarge"] }),
    app("d-one"),
    {
      refusedBy: "OtherInstanceTypes",
    },
  ),
  row(bo, "starts a job with eight GPUs", send({ "sagemaker:InstanceTypes": ["ml.p3.16xlarge"] }), send(), {
    refusedBy: "OtherInstanceTypesOfJobs",
  }),
  row(
    bo,
    "reads ana's environment variables",
    describeJob("marimo-dev-ana-a-1"),
    describeJob("marimo-dev-bo-a-1"),
  ),
  row(bo, "reads those of a job of another team", describeJob("churn-1"), describeJob("marimo-dev-bo-a-1")),
  row(
    "a shared space",
    "reads bo's environment variables",
    describeJob("marimo-dev-bo-a-1"),
    describeJob("marimo-dev-bo-a-1"),
    {
      controlSeat: bo,
    },
  ),
  row(bo, "reads ana's sweep", describeSweep("marimo-dev-ana-s-1"), describeSweep("marimo-dev-bo-s-1")),
  row(
    bo,
    "reads the log of ana's job",
    ["logs:GetLogEvents", stream("marimo-dev-ana-a-1")],
    ["logs:GetLogEvents", stream("marimo-dev-bo-a-1")],
  ),
  row(
    bo,
    "writes into the log of ana's job",
    ["logs:PutLogEvents", stream("marimo-dev-ana-a-1")],
    ["logs:PutLogEvents", stream("marimo-dev-bo-a-1")],
  ),
  row(bo, "reads Studio's logs", ["logs:GetLogEvents", studioStream], ["logs:PutLogEvents", studioStream]),
  row(bo, "sends a job that no budget counts", without(send(), "aws:RequestTag/Environment"), send()),
  row(bo, "sends a job on prod's budget", send({ "aws:RequestTag/Environment": "prod" }), send()),
  row(bo, "sends a job without a cost centre", without(send(), "aws:RequestTag/CostCenter"), send()),
  row(bo, "sends a job on another cost centre", send({ "aws:RequestTag/CostCenter": "43" }), send(), {
    refusedBy: "OtherTagValue1",
  }),
  row(bo, "creates a sweep that no budget counts", sweep({}), sweep(costs)),
  row(
    "the scheduler",
    "starts a job that no budget counts",
    ["sagemaker:CreateProcessingJob", job("marimo-dev-daily-1")],
    ["sagemaker:CreateProcessingJob", job("marimo-dev-daily-1"), costs],
  ),
  row(
    bo,
    "moves a job to prod's budget",
    tagJob({ "aws:TagKeys": ["Environment"], "aws:RequestTag/Environment": "prod" }),
    note,
  ),
  row(
    bo,
    "makes a job look like ana's",
    tagJob({ "aws:TagKeys": ["note", "sagemaker:user-profile-arn"] }),
    note,
  ),
  row(
    bo,
    "starts an app on prod's budget",
    [
      "sagemaker:AddTags",
      app("d-one")[1],
      { "sagemaker:TaggingAction": "CreateApp", "aws:RequestTag/Environment": "prod" },
    ],
    [
      "sagemaker:AddTags",
      app("d-one")[1],
      { "sagemaker:TaggingAction": "CreateApp", "aws:RequestTag/Environment": "dev" },
    ],
  ),
  row(
    bo,
    "makes ana pay for a job",
    tagJob({ "aws:TagKeys": ["StudioUser"], "aws:RequestTag/StudioUser": "ana" }),
    tagJob({ "aws:TagKeys": ["StudioUser"], "aws:RequestTag/StudioUser": "bo" }),
    { refusedBy: "OtherUsersTag" },
  ),
  ...untagged.map((seat) =>
    row(
      seat,
      "makes ana pay for an app",
      [
        "sagemaker:AddTags",
        app("d-one")[1],
        { "sagemaker:TaggingAction": "CreateApp", "aws:RequestTag/StudioUser": "ana" },
      ],
      ["sagemaker:AddTags", app("d-one")[1], { "sagemaker:TaggingAction": "CreateApp" }],
      { refusedBy: "OtherUsersTag" },
    ),
  ),
  row("bo with a spent budget", "starts an app", app("d-one"), app("d-one"), {
    controlSeat: bo,
    refusedBy: "BudgetIsSpent",
  }),
  row("bo with a spent budget", "sends a job", send(), send(), {
    controlSeat: bo,
    refusedBy: "BudgetIsSpent",
  }),
  row(
    "bo with a spent budget",
    "starts a sweep",
    ["sagemaker:StartPipelineExecution", pipeline("marimo-dev-bo-s-1")],
    ["sagemaker:StopPipelineExecution", pipeline("marimo-dev-bo-s-1")],
    { refusedBy: "BudgetIsSpent" },
  ),
  row(
    "the scheduler with a spent budget",
    "starts a job",
    ["sagemaker:CreateProcessingJob", job("marimo-dev-daily-1"), costs],
    ["sagemaker:CreateProcessingJob", job("marimo-dev-daily-1"), costs],
    {
      controlSeat: "the scheduler",
      refusedBy: "BudgetIsSpent",
    },
  ),

  row(outside, "reads the bucket", inPerimeter, inPerimeter, { controlSeat: bo, ...perimeter }),
  row(outside, "writes to the bucket", ["s3:PutObject", read[1]], ["s3:PutObject", read[1]], {
    controlSeat: bo,
    ...perimeter,
  }),
  row(
    outside,
    "lists the jobs",
    ["sagemaker:ListProcessingJobs", "*"],
    ["sagemaker:ListProcessingJobs", "*"],
    { controlSeat: bo, ...perimeter },
  ),
  row(outside, "reads its sweep", describeSweep("marimo-dev-bo-s-1"), describeSweep("marimo-dev-bo-s-1"), {
    controlSeat: bo,
    ...perimeter,
  }),
  row(
    outside,
    "decrypts by itself",
    throughS3,
    [throughS3[0], throughS3[1], { ...throughS3[2], "aws:ViaAWSService": "true" }],
    perimeter,
  ),
  row(outside, "starts an app", without(app("d-one"), "sagemaker:DomainId"), app("d-one"), {
    controlSeat: bo,
  }),
  row("a scheduled job's role outside the VPC", "reads the bucket", inPerimeter, inPerimeter, {
    controlSeat: "a scheduled job",
    ...perimeter,
  }),
];

let documents: readonly IamDocument[];
/** What is known only after the apply: subnets and group of jobs, the key, and the endpoints. */
let known: Readonly<Record<string, readonly string[]>>;
beforeAll(async () => {
  documents = await appliedIamDocuments(synthesize(settings));
  const conditions = (sid: string, operator: string) =>
    documents.flatMap(({ document }) => document.Statement).find(({ Sid }) => Sid === sid)?.Condition?.[
      operator
    ] ?? {};
  const list = (value: unknown) => [value ?? []].flat().map(String);
  const ofJobs = conditions("SendJobs", "ForAllValues:StringEquals");
  known = {
    [subnets]: list(ofJobs["sagemaker:VpcSubnets"]),
    [group]: list(ofJobs["sagemaker:VpcSecurityGroupIds"]),
    [key]: list(conditions("SendJobs", "ArnEqualsIfExists")["sagemaker:OutputKmsKey"]),
    ENDPOINT: list(conditions("OnlyThroughTheVpc", "StringNotEquals")["aws:SourceVpce"]),
  };
  expect(Object.values(known).every(([one]) => one)).toBe(true);
  expect(known.ENDPOINT).toHaveLength(6);
});

const documentsOf = (addresses: readonly string[], attribute = "policy"): readonly PolicyDocument[] => {
  const found = documents.filter(
    (one) => one.attribute === attribute && addresses.some((address) => one.address.startsWith(address)),
  );
  if (found.length < addresses.length) throw new Error(`no ${attribute} of ${addresses.join(", ")}`);
  return found.map(({ document }) => document);
};

function decide(seat: SeatName, [action, resource, context = {}]: Attempt) {
  const { endpoint, policies, tags }: Seat = seats[seat];
  const values = Object.entries(context).map(([name, value]) => [name, known[String(value)] ?? value]);
  const sourceVpce = endpoint ?? known.ENDPOINT?.[0] ?? "";
  const request = {
    action,
    resource: known[resource]?.[0] ?? resource,
    tags: tags ?? {},
    context: {
      "aws:RequestedRegion": region,
      "aws:ViaAWSService": "false",
      ...(sourceVpce === "" ? {} : { "aws:SourceVpce": sourceVpce }),
      ...Object.fromEntries(values),
    },
  };
  return simulate({ identity: documentsOf(policies) }, request);
}

describe("attacks", () => {
  it.each(rows.map((one) => ({ title: `${one.seat}: ${one.attempt}`, one })))("$title", ({ one }) => {
    expect(decide(one.seat, one.request)).toEqual({ allowed: false, sid: one.refusedBy });
    // Control.
    expect(decide(one.controlSeat ?? one.seat, one.control).allowed).toBe(true);
  });

  it("have another seat or another request as their control", () => {
    for (const one of rows)
      expect([one.controlSeat ?? one.seat, one.control]).not.toEqual([one.seat, one.request]);
  });
});

describe("the bucket's policy with `deployers`", () => {
  const administrator = { Effect: "Allow", Action: "*", Resource: "*" };
  const decideAs = (principalArn: string, action: string, resource: string) =>
    simulate(
      {
        identity: [{ Statement: administrator }],
        resource: documentsOf(["aws_s3_bucket_policy.storage_artifacts_policy"]),
      },
      { action, resource, principal: principalArn, context: { "aws:PrincipalArn": principalArn } },
    );
  const deployer = `arn:aws:iam::${account}:role/ops/deploy`;
  const refused = { allowed: false, sid: "OnlyDeployersWritePayload" };

  it.each(["payload", "wheels", "schedules"] as const)("refuses an administrator's write of %s", (part) => {
    const object = `${bucket}/${bucketPrefixes[part]}/x`;
    for (const action of ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]) {
      expect(decideAs(role("admin"), action, object)).toEqual(refused);
      // Controls: the deployer, the workflow's role.
      expect(decideAs(deployer, action, object).allowed).toBe(true);
      expect(decideAs(`arn:aws:iam::${account}:role/github/marimo-dev-apply`, action, object).allowed).toBe(
        true,
      );
    }
    expect(decideAs(`arn:aws:iam::${account}:role/deploy`, "s3:PutObject", object)).toEqual(refused);
  });

  it("refuses nothing else, so that an administrator can remove it", () => {
    for (const [action, resource] of [
      ["s3:PutBucketPolicy", bucket],
      ["s3:DeleteBucketPolicy", bucket],
      ["s3:GetObject", payload],
      ["s3:PutObject", `${bucket}/shared/x`],
    ] as const)
      expect(decideAs(role("admin"), action, resource).allowed, action).toBe(true);
  });
});

describe("the trust of a user's role", () => {
  const trusts = (user: string, source: string, principal: string) =>
    simulate(
      { identity: [], resource: documentsOf([`aws_iam_role.users_role["${user}"]`], "assume_role_policy") },
      {
        action: "sts:AssumeRole",
        resource: role(`user-${user.toLowerCase()}`),
        principal: `${principal}.amazonaws.com`,
        context: { "aws:SourceAccount": account, "aws:SourceArn": source },
      },
    ).allowed;
  const group = (name: string) => arn("scheduler", `schedule-group/marimo-dev${name}`);

  it.each([
    ["the user's schedule group", "Bo", group("-user-bo"), "scheduler", true],
    ["another user's", "Bo", group("-user-ana"), "scheduler", false],
    ["one that begins with it", "Bo", group("-user-bob"), "scheduler", false],
    ["the team's", "Bo", group(""), "scheduler", false],
    ["SageMaker in this account", "ana", arn("sagemaker", "domain/d-1"), "sagemaker", true],
    ["SageMaker for a schedule group", "ana", group("-user-ana"), "sagemaker", false],
    ["another service", "ana", group("-user-ana"), "lambda", false],
  ] as const)("admits or refuses %s", (_, user, source, principal, allowed) => {
    expect(trusts(user, source, principal)).toBe(allowed);
  });
});

describe("the trust of the role of schedules with ana's rights", () => {
  const source = arn("sagemaker", "processing-job/marimo-dev-weekly-1");
  const group = arn("scheduler", "schedule-group/marimo-dev-user-ana");
  it.each([
    ["SageMaker", "sagemaker", source, account, true],
    ["SageMaker for another account", "sagemaker", source, "999999999999", false],
    ["EventBridge Scheduler", "scheduler", group, account, false],
  ] as const)("admits or refuses %s", (_, service, sourceArn, owner, allowed) => {
    const resource = documentsOf([`aws_iam_role.schedule_roles_role["ana"]`], "assume_role_policy");
    const request = {
      action: "sts:AssumeRole",
      resource: role("schedules-ana"),
      principal: `${service}.amazonaws.com`,
      context: { "aws:SourceAccount": owner, "aws:SourceArn": sourceArn },
    };
    expect(simulate({ identity: [], resource }, request).allowed).toBe(allowed);
  });
});

/** What a user's role does in a day with `marimo-job` and with a schedule of their own. */
const day = (user: string): readonly Attempt[] => {
  const own = (name: string) => `marimo-dev-${user}-${name}`;
  const group = `schedule/marimo-dev-user-${user}/nightly`;
  return [
    ["sagemaker:CreateProcessingJob", job(own("analysis-1")), jobKeys()],
    [
      "sagemaker:AddTags",
      job(own("analysis-1")),
      {
        ...{ ...costs, "aws:RequestTag/StudioUser": user },
        "aws:TagKeys": ["CostCenter", "Environment", "StudioUser"],
      },
    ],
    ["sagemaker:StopProcessingJob", job(own("analysis-1"))],
    ["sagemaker:DescribeProcessingJob", job(own("analysis-1"))],
    ["logs:GetLogEvents", stream(own("analysis-1"))],
    ["s3:PutObject", `${bucket}/people/${user}/job-sources/0123/analysis.py`],
    ["s3:GetObject", `${bucket}/people/${user}/jobs/${own("analysis-1")}/page.html`],
    ["s3:ListBucket", bucket, { "s3:prefix": `people/${user}/jobs/` }],
    ["iam:PassRole", role(`user-${user}`), passedTo("sagemaker")],
    ["sagemaker:CreatePipeline", pipeline(own("sweep-1")), costs],
    ...["Update", "Delete"].map((verb): Attempt => [`sagemaker:${verb}Pipeline`, pipeline(own("sweep-1"))]),
    ["sagemaker:StartPipelineExecution", pipeline(own("sweep-1"))],
    ["sagemaker:StopPipelineExecution", pipeline(own("sweep-1/execution/x"))],
    ["sagemaker:RetryPipelineExecution", pipeline(own("sweep-1/execution/x"))],
    ["iam:PassRole", role(`user-${user}`), passedTo("scheduler")],
    ...["Create", "Get", "Update", "Delete"].map(
      (verb): Attempt => [`scheduler:${verb}Schedule`, arn("scheduler", group)],
    ),
  ];
};

/** The condition keys of a job as `marimo-job` sends it: its network and key are those that the policy names. */
function jobKeys() {
  const { Condition = {} } = statementOf("SendJobs");
  const valuesOf = (operator: string, key: string) =>
    Condition[operator]?.[`sagemaker:${key}`] as string | string[];
  return {
    "sagemaker:VpcSubnets": valuesOf("ForAllValues:StringEquals", "VpcSubnets"),
    "sagemaker:VpcSecurityGroupIds": valuesOf("ForAllValues:StringEquals", "VpcSecurityGroupIds"),
    "sagemaker:OutputKmsKey": valuesOf("ArnEqualsIfExists", "OutputKmsKey"),
    "sagemaker:VolumeKmsKey": valuesOf("ArnEqualsIfExists", "OutputKmsKey"),
    "sagemaker:MaxRuntimeInSeconds": "3600",
    "sagemaker:InstanceTypes": ["ml.m5.large"],
    ...costs,
  };
}

const statementOf = (sid: string) => {
  const found = documents.flatMap(({ document }) => document.Statement).find(({ Sid }) => Sid === sid);
  if (found === undefined) throw new Error(`no statement ${sid}`);
  return found;
};

describe("two people", () => {
  const refused = (seat: SeatName, user: string) =>
    day(user).filter((attempt) => !decide(seat, attempt).allowed);

  it("each have their day", () => {
    expect(refused("ana's private space", "ana")).toEqual([]);
    expect(refused(bo, "bo")).toEqual([]);
  });

  it("have nothing of the other's", () => {
    expect(refused(bo, "ana")).toEqual(day("ana"));
    expect(refused("ana's private space", "bo")).toEqual(day("bo"));
  });
});

/** Seats at GitHub: the trusts and policies of `npm run github-roles`, which Terraform does not send. */
describe("attacks through GitHub", () => {
  const issuer = "token.actions.githubusercontent.com";
  const workflow = "our/team/.github/workflows/environment.yml";
  const environment = resolveEnvironment({ name: "dev", backend: { type: "s3", bucket: "our-state" } });
  const document = (name: DocumentName) =>
    roleDocument(name, { environment, account, repository: "our/team" }) as PolicyDocument;

  /** Whether a token of this subject and workflow gets the role. */
  const assumes = (name: "plan" | "apply", [sub, ref, aud = "sts.amazonaws.com"]: Token) =>
    simulate(
      { identity: [], resource: [document(`${name}-trust`)] },
      {
        action: "sts:AssumeRoleWithWebIdentity",
        resource: `arn:aws:iam::${account}:role/github/marimo-dev-${name}`,
        principal: `arn:aws:iam::${account}:oidc-provider/${issuer}`,
        context: { [`${issuer}:sub`]: sub, [`${issuer}:aud`]: aud, [`${issuer}:job_workflow_ref`]: ref },
      },
    ).allowed;
  type Token = readonly [sub: string, ref: string, aud?: string];
  const onMain: Token = ["repo:our/team:environment:dev", `${workflow}@refs/heads/main`];
  const pullRequest: Token = ["repo:our/team:pull_request", `${workflow}@refs/pull/7/merge`];
  const own = "our/team/.github/workflows/own.yml";

  it.each([
    ["branch author", "applies from a branch", "apply", [onMain[0], `${workflow}@refs/heads/x`], onMain],
    [
      "branch author",
      "applies by a workflow of their own",
      "apply",
      [onMain[0], `${own}@refs/heads/main`],
      onMain,
    ],
    [
      "branch author",
      "applies without the environment",
      "apply",
      ["repo:our/team:ref:refs/heads/main", onMain[1]],
      onMain,
    ],
    [
      "branch author",
      "plans by a workflow of their own",
      "plan",
      [pullRequest[0], `${own}@refs/pull/7/merge`],
      pullRequest,
    ],
    ["branch author", "applies from a pull request", "apply", pullRequest, onMain],
    [
      "branch author",
      "uses a token for another service",
      "apply",
      [onMain[0], onMain[1], "https://github.com/our"],
      onMain,
    ],
    [
      "other environment",
      "applies dev from prod's job",
      "apply",
      ["repo:our/team:environment:prod", onMain[1]],
      onMain,
    ],
    ["fork", "plans", "plan", ["repo:evil/team:pull_request", pullRequest[1]], pullRequest],
    [
      "fork",
      "applies",
      "apply",
      ["repo:evil/team:environment:dev", "evil/team/.github/workflows/environment.yml@refs/heads/main"],
      onMain,
    ],
    ["fork", "calls the workflow", "apply", ["repo:evil/team:environment:dev", onMain[1]], onMain],
  ] as const)("%s: %s", (_seat, _attempt, name, token: Token, control: Token) => {
    expect(assumes(name, token)).toBe(false);
    // Control.
    expect(assumes(name, control)).toBe(true);
  });

  const tagged = (name: string) => ({
    "aws:ResourceTag/Environment": name,
    "aws:RequestTag/Environment": name,
    "iam:PermissionsBoundary": boundaryOf({ environment, account }),
  });
  const allowed = (name: RoleName, [action, resource, context = {}]: Attempt) =>
    simulate(
      { identity: policiesOf[name].map(document) },
      { action, resource, context: { "aws:RequestedRegion": region, ...context } },
    ).allowed;
  const domain = arn("sagemaker", "domain/d-1");
  const state = "arn:aws:s3:::our-state/sagemaker-marimo";

  it.each([
    [
      "apply",
      "destroys prod's domain",
      ["sagemaker:DeleteDomain", domain, tagged("prod")],
      ["sagemaker:DeleteDomain", domain, tagged("dev")],
    ],
    [
      "apply",
      "changes a role of prod",
      ["iam:PutRolePolicy", `arn:aws:iam::${account}:role/marimo-prod-execution`, tagged("prod")],
      ["iam:PutRolePolicy", role("execution"), tagged("dev")],
    ],
    [
      "apply",
      "writes prod's payload",
      ["s3:PutObject", `${prodBucket}/marimo/payload/current`],
      ["s3:PutObject", `${bucket}/marimo/payload/current`],
    ],
    [
      "apply",
      "writes prod's state",
      ["s3:PutObject", `${state}/prod.tfstate`],
      ["s3:PutObject", `${state}/dev.tfstate`],
    ],
    [
      "apply",
      "makes a role without the boundary",
      ["iam:CreateRole", role("x"), { "aws:RequestTag/Environment": "dev" }],
      ["iam:CreateRole", role("x"), tagged("dev")],
    ],
    [
      "apply",
      "makes a role of another name",
      ["iam:CreateRole", `arn:aws:iam::${account}:role/admin`, tagged("dev")],
      ["iam:CreateRole", role("x"), tagged("dev")],
    ],
    [
      "plan",
      "changes a role",
      ["iam:PutRolePolicy", role("execution"), tagged("dev")],
      ["iam:GetRolePolicy", role("execution")],
    ],
    [
      "plan",
      "writes the payload",
      ["s3:PutObject", `${bucket}/marimo/payload/current`],
      ["s3:GetObject", `${bucket}/marimo/payload/current`],
    ],
    [
      "plan",
      "writes the state",
      ["s3:PutObject", `${state}/dev.tfstate`],
      ["s3:GetObject", `${state}/dev.tfstate`],
    ],
    [
      "plan",
      "replaces a kept plan",
      ["s3:PutObject", `${state}/dev.tfstate.plans/x`],
      ["s3:PutObject", `${state}/dev.tfstate.plans/x`, { "s3:if-none-match": "*" }],
    ],
    [
      "plan",
      "reads people's data",
      ["s3:GetObject", `${bucket}/people/ana/data.csv`],
      ["s3:GetObject", `${bucket}/marimo/payload/current`],
    ],
    [
      "plan",
      "runs a job as ana",
      ["iam:PassRole", role("user-ana"), passedTo("sagemaker")],
      ["iam:GetRole", role("user-ana")],
    ],
  ] as const)("with the %s role: %s", (name, _attempt, attempt: Attempt, control: Attempt) => {
    expect(allowed(name, attempt)).toBe(false);
    // Control.
    expect(allowed(name, control)).toBe(true);
  });
});
