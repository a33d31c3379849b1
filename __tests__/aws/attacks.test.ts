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
  userProfiles: [{ name: "ana" }, { name: "Bo" }],
  schedules: [
    { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
    {
      name: "weekly",
      notebook: "sample-notebooks/01_explore_data.py",
      expression: "rate(7 days)",
      runAs: "ana",
    },
  ],
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
}
const everybody = ["aws_iam_policy.execution_"];
const users = [...everybody, "aws_iam_policy.job_users_"];
const seats = {
  // SageMaker writes ARNs in lower case, and so is the tag of the user Bo.
  "bo's private space": { policies: users, tags: { StudioUser: "bo" } },
  "ana's private space": { policies: users, tags: { StudioUser: "ana" } },
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
const read: Attempt = ["s3:GetObject", `${bucket}/data.csv`];
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

const rows: readonly Row[] = [
  row(bo, "stops ana's job", ["sagemaker:StopProcessingJob", job("marimo-dev-ana-a-1")], stopOwn),
  row(bo, "stops a scheduled job", ["sagemaker:StopProcessingJob", job("marimo-dev-daily-1")], stopOwn),
  row(bo, "stops a job of bob's", ["sagemaker:StopProcessingJob", job("marimo-dev-bob-a-1")], stopOwn),
  row(bo, "stops a job in prod", ["sagemaker:StopProcessingJob", job("marimo-prod-bo-a-1")], stopOwn),
  row(
    bo,
    "tags ana's job",
    ["sagemaker:AddTags", job("marimo-dev-ana-a-1")],
    ["sagemaker:AddTags", stopOwn[1]],
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
  row(bo, "changes what everybody runs", ["s3:PutObject", payload], ["s3:PutObject", read[1]], {
    refusedBy: "PayloadIsReadOnly",
  }),
  row("a job of bo's", "changes what everybody runs", ["s3:PutObject", payload], ["s3:PutObject", read[1]], {
    refusedBy: "PayloadIsReadOnly",
  }),
  row(
    "a job of bo's",
    "stops ana's job",
    ["sagemaker:StopProcessingJob", job("marimo-dev-ana-a-1")],
    stopOwn,
  ),
  row("a shared space", "stops bo's job", stopOwn, stopOwn, { controlSeat: bo }),
  row("a shared space", "makes a schedule", ownSchedule, ownSchedule, { controlSeat: bo }),
  row("a shared space", "runs a job as bo", passOneself, passOneself, { controlSeat: bo }),
  row("a shared space", "changes what everybody runs", ["s3:PutObject", payload], ["s3:PutObject", read[1]], {
    refusedBy: "PayloadIsReadOnly",
  }),
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
    ["s3:PutObject", `${bucket}/data.csv`],
    ["s3:PutObject", `${bucket}/${bucketPrefixes.jobs}/one/page.html`],
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
];

let documents: readonly IamDocument[];
beforeAll(async () => {
  documents = await appliedIamDocuments(synthesize(settings));
});

const documentsOf = (addresses: readonly string[], attribute = "policy"): readonly PolicyDocument[] => {
  const found = documents.filter(
    (one) => one.attribute === attribute && addresses.some((address) => one.address.startsWith(address)),
  );
  if (found.length < addresses.length) throw new Error(`no ${attribute} of ${addresses.join(", ")}`);
  return found.map(({ document }) => document);
};

function decide(seat: SeatName, [action, resource, context = {}]: Attempt) {
  const { policies, tags }: Seat = seats[seat];
  const request = {
    action,
    resource,
    tags: tags ?? {},
    context: { "aws:RequestedRegion": region, ...context },
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
    ["sagemaker:AddTags", job(own("analysis-1"))],
    ["sagemaker:StopProcessingJob", job(own("analysis-1"))],
    ["iam:PassRole", role(`user-${user}`), passedTo("sagemaker")],
    ...["Create", "Update", "Delete"].map(
      (verb): Attempt => [`sagemaker:${verb}Pipeline`, pipeline(own("sweep-1"))],
    ),
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
    "sagemaker:OutputKmsKey": valuesOf("ArnEquals", "OutputKmsKey"),
    "sagemaker:VolumeKmsKey": valuesOf("ArnEquals", "OutputKmsKey"),
    "sagemaker:MaxRuntimeInSeconds": "3600",
    "sagemaker:InstanceTypes": ["ml.m5.large"],
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
