import { beforeAll, describe, expect, it } from "vitest";
import { payloadPrefix, wheelsPrefix } from "../../src/constructs/payload.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { type Policies, type PolicyDocument, type PolicyRequest, simulate } from "../policy-simulator.ts";
import { synthesize } from "../unit/synthesize.ts";
import { appliedIamDocuments, type IamDocument } from "./iam-documents.ts";

/** The most documents that one environment has. */
const settings = {
  egress: "endpoints-only",
  packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  jobs: { allowedInstanceTypes: ["ml.m5.large", "ml.m5.xlarge"] },
  schedules: [{ name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" }],
} as const;

let documents: readonly IamDocument[];
beforeAll(async () => {
  documents = await appliedIamDocuments(synthesize(settings));
});

/** One or more documents by the beginning of their resource's address. */
function documentsOf(address: string, attribute = "policy"): readonly PolicyDocument[] {
  const found = documents.filter((one) => one.address.startsWith(address) && one.attribute === attribute);
  if (found.length === 0)
    throw new Error(`no ${attribute} of ${address}, but ${documents.map((one) => one.address).join(", ")}`);
  return found.map(({ document }) => document);
}

/** moto's own account. */
const account = "123456789012";
const region = "us-east-1";
const sagemaker = (resource: string, { of = account, at = region } = {}) =>
  `arn:aws:sagemaker:${at}:${of}:${resource}`;
const bucket = `arn:aws:s3:::marimo-dev-${account}-${region}`;
const log = (group: string) => `arn:aws:logs:${region}:${account}:log-group:${group}:log-stream:one`;
const repository = (resource: string) => `arn:aws:codeartifact:us-east-1:111122223333:${resource}`;
const role = `arn:aws:iam::${account}:role/marimo-dev-execution`;
/** Stand for what is known only when it is there: the key's ARN, the private subnets, the jobs' security group. */
const key = "KEY";
const subnets = "SUBNETS";
const group = "GROUP";

const own = { "sagemaker:OwnerUserProfileArn": sagemaker("user-profile/d-one/ana") };
const another = { "sagemaker:OwnerUserProfileArn": sagemaker("user-profile/d-one/bo") };
const shared = (type: string) => ({ "sagemaker:SpaceSharingType": type });
const mine = { ...own, ...shared("Private") };
const elsewhere = { "aws:RequestedRegion": "eu-west-1" };
const space = sagemaker("space/d-one/notes");
const app = sagemaker("app/d-one/notes/JupyterLab/default");
const foreign = { of: "444455556666" };

type Row = readonly [
  what: string,
  action: string,
  resource: string,
  /** The statement that allows it, `no` where none does, or `no: SID` where one denies it. */
  answer: string,
  context?: PolicyRequest["context"],
];

const job = sagemaker("processing-job/marimo-dev-analysis-1");
const roleNamed = (name: string) => `arn:aws:iam::${account}:role/marimo-dev-${name}`;
const [jobRole, pipelineRole, schedulerRole] = [
  roleNamed("jobs"),
  roleNamed("pipelines"),
  roleNamed("scheduler"),
];
const passedTo = (service: string) => ({ "iam:PassedToService": `${service}.amazonaws.com` });
const jobLog = (stream: string) =>
  `arn:aws:logs:${region}:${account}:log-group:/aws/sagemaker/ProcessingJobs:log-stream:${stream}`;
/** What a request of CreateProcessingJob tells IAM, as the deployment would have it, or otherwise. */
const sent = (otherwise: Readonly<Record<string, string | readonly string[] | undefined>> = {}) =>
  Object.fromEntries(
    Object.entries({
      "sagemaker:InstanceTypes": ["ml.m5.large"],
      "sagemaker:VpcSubnets": subnets,
      "sagemaker:VpcSecurityGroupIds": group,
      "sagemaker:VolumeKmsKey": key,
      "sagemaker:OutputKmsKey": key,
      "sagemaker:MaxRuntimeInSeconds": "86400",
      ...otherwise,
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
const otherKey = `arn:aws:kms:${region}:${account}:key/other`;
const refusedJobs: readonly Row[] = (
  [
    ["on another type", { "sagemaker:InstanceTypes": ["ml.p5.4xlarge"] }],
    ["in another subnet", { "sagemaker:VpcSubnets": ["subnet-other"] }],
    ["in no subnet", { "sagemaker:VpcSubnets": undefined }],
    ["in another group", { "sagemaker:VpcSecurityGroupIds": ["sg-other"] }],
    ["in no group", { "sagemaker:VpcSecurityGroupIds": undefined }],
    ["with another key for its volume", { "sagemaker:VolumeKmsKey": otherKey }],
    ["with another key for its output", { "sagemaker:OutputKmsKey": otherKey }],
    ["without a key", { "sagemaker:OutputKmsKey": undefined }],
    ["for too long", { "sagemaker:MaxRuntimeInSeconds": "86401" }],
  ] as const
).map(([how, otherwise]) => [`a job ${how}`, "sagemaker:CreateProcessingJob", job, "no", sent(otherwise)]);

/** What ana, who works in domain d-one, may do from a notebook; the execution role is everyone's. */
const rows: readonly Row[] = [
  ["a private space of one's own", "sagemaker:CreateSpace", space, "OwnSpaces", mine],
  [
    "a shared space of one's own",
    "sagemaker:CreateSpace",
    space,
    "OwnSpaces",
    { ...own, ...shared("Shared") },
  ],
  ["its settings", "sagemaker:UpdateSpace", space, "OwnSpaces", mine],
  ["its end", "sagemaker:DeleteSpace", space, "OwnSpaces", mine],
  ["a space of another kind", "sagemaker:CreateSpace", space, "no", { ...own, ...shared("Public") }],
  ["a space in another's name", "sagemaker:CreateSpace", space, "no", { ...another, ...shared("Private") }],
  ["another's settings", "sagemaker:UpdateSpace", space, "no", { ...another, ...shared("Private") }],
  ["another's space", "sagemaker:DeleteSpace", space, "no", { ...another, ...shared("Private") }],
  ["another's shared space", "sagemaker:DeleteSpace", space, "no", { ...another, ...shared("Shared") }],
  ["a space of another domain", "sagemaker:DeleteSpace", sagemaker("space/d-two/notes"), "no", mine],
  [
    "a space in another region",
    "sagemaker:DeleteSpace",
    sagemaker("space/d-one/n", { at: "eu-west-1" }),
    "no",
    mine,
  ],
  ["a space of another account", "sagemaker:DeleteSpace", sagemaker("space/d-one/n", foreign), "no", mine],
  ["a space without owner", "sagemaker:UpdateSpace", space, "SpacesWithoutOwner"],
  ["one without owner elsewhere", "sagemaker:UpdateSpace", sagemaker("space/d-two/notes"), "no"],
  ["starting one's own space", "sagemaker:CreateApp", app, "AppsOfOwnPrivateSpaces", mine],
  ["stopping one's own space", "sagemaker:DeleteApp", app, "AppsOfOwnPrivateSpaces", mine],
  ["starting another's space", "sagemaker:CreateApp", app, "no", { ...another, ...shared("Private") }],
  ["stopping another's space", "sagemaker:DeleteApp", app, "no", { ...another, ...shared("Private") }],
  ["an owned app that is shared", "sagemaker:CreateApp", app, "no", { ...own, ...shared("Shared") }],
  [
    "an app of another domain",
    "sagemaker:DeleteApp",
    sagemaker("app/d-two/n/JupyterLab/default"),
    "no",
    mine,
  ],
  ["an app without owner", "sagemaker:CreateApp", app, "AppsWithoutOwner"],
  [
    "Studio as oneself",
    "sagemaker:CreatePresignedDomainUrl",
    sagemaker("user-profile/d-one/ana"),
    "OpenStudioAsOneself",
  ],
  ["Studio as another", "sagemaker:CreatePresignedDomainUrl", sagemaker("user-profile/d-one/bo"), "no"],
  [
    "Studio of another domain",
    "sagemaker:CreatePresignedDomainUrl",
    sagemaker("user-profile/d-two/ana"),
    "no",
  ],
  ["the list of spaces", "sagemaker:ListSpaces", "*", "ListStudio"],
  ["the same in another region", "sagemaker:ListSpaces", "*", "no", elsewhere],
  ["a look at a space", "sagemaker:DescribeSpace", space, "DescribeStudio"],
  ["a look at the domain", "sagemaker:DescribeDomain", sagemaker("domain/d-one"), "DescribeStudio"],
  ["a look at another account's", "sagemaker:DescribeSpace", sagemaker("space/d-one/n", foreign), "no"],
  [
    "tags as something is made",
    "sagemaker:AddTags",
    space,
    "TagOnCreation",
    { "sagemaker:TaggingAction": "CreateSpace" },
  ],
  ["tags afterwards", "sagemaker:AddTags", space, "no"],
  ["the domain's settings", "sagemaker:UpdateDomain", sagemaker("domain/d-one"), "no"],
  ["the domain's end", "sagemaker:DeleteDomain", sagemaker("domain/d-one"), "no"],
  ["a person more", "sagemaker:CreateUserProfile", sagemaker("user-profile/d-one/eve"), "no"],
  ["another role for oneself", "sagemaker:UpdateUserProfile", sagemaker("user-profile/d-one/ana"), "no"],
  [
    "a script at everyone's start",
    "sagemaker:CreateStudioLifecycleConfig",
    sagemaker("studio-lifecycle-config/x"),
    "no",
  ],

  ["the list of jobs", "sagemaker:ListTrainingJobs", "*", "ListJobs"],
  ["the same in another region", "sagemaker:ListTrainingJobs", "*", "no", elsewhere],
  ["a look at a job", "sagemaker:DescribeTrainingJob", sagemaker("training-job/one"), "DescribeJobs"],
  [
    "a job in another region",
    "sagemaker:DescribeTrainingJob",
    sagemaker("training-job/o", { at: "eu-west-1" }),
    "no",
  ],
  ["a training job", "sagemaker:CreateTrainingJob", sagemaker("training-job/one"), "no"],
  ["a job of another name", "sagemaker:CreateProcessingJob", sagemaker("processing-job/one"), "no", sent()],
  ["a job", "sagemaker:CreateProcessingJob", job, "SendJobs", sent()],
  ...refusedJobs,
  ["the end of a job", "sagemaker:StopProcessingJob", job, "StopJobs"],
  ["the end of another's", "sagemaker:StopProcessingJob", sagemaker("processing-job/marimo-prod-a"), "no"],
  ["a job's role", "iam:PassRole", jobRole, "RolesOfJobs", passedTo("sagemaker")],
  ["the pipelines' role", "iam:PassRole", pipelineRole, "RolesOfJobs", passedTo("sagemaker")],
  ["a job's role for another service", "iam:PassRole", jobRole, "no", passedTo("lambda")],
  ["the scheduler's role", "iam:PassRole", schedulerRole, "no", passedTo("scheduler")],
  ["a sweep", "sagemaker:CreatePipeline", sagemaker("pipeline/marimo-dev-sweep-1"), "Sweeps"],
  [
    "a sweep again",
    "sagemaker:RetryPipelineExecution",
    sagemaker("pipeline/marimo-dev-s/execution/x"),
    "Sweeps",
  ],
  ["another's pipeline", "sagemaker:DeletePipeline", sagemaker("pipeline/marimo-prod-sweep"), "no"],
  ["the list of sweeps", "sagemaker:ListPipelines", "*", "ListSweeps"],
  ["the list elsewhere", "sagemaker:ListPipelines", "*", "no", elsewhere],
  ["a job's log", "logs:GetLogEvents", jobLog("marimo-dev-a/algo-1-1"), "ReadLogsOfJobs"],
  ["where it is", "logs:DescribeLogStreams", jobLog("marimo-dev-a/algo-1-1"), "FindLogsOfJobs"],
  ["another's job's log", "logs:GetLogEvents", jobLog("marimo-prod-a/algo-1-1"), "no"],
  [
    "a schedule of one's own",
    "scheduler:CreateSchedule",
    `arn:aws:scheduler:${region}:${account}:schedule/marimo-dev/x`,
    "no",
  ],
  [
    "a scheduled notebook",
    "s3:PutObject",
    `${bucket}/marimo/schedules/daily/x/a.py`,
    "no: PayloadIsReadOnly",
  ],

  ["the bucket's list", "s3:ListBucket", bucket, "ListTheBucket"],
  ["an object", "s3:GetObject", `${bucket}/data.csv`, "ReadAndWriteObjects"],
  ["a new object", "s3:PutObject", `${bucket}/data.csv`, "ReadAndWriteObjects"],
  ["an object's end", "s3:DeleteObject", `${bucket}/data.csv`, "ReadAndWriteObjects"],
  ["the end of a version", "s3:DeleteObjectVersion", `${bucket}/data.csv`, "no"],
  [
    "an object in plain HTTP",
    "s3:GetObject",
    `${bucket}/data.csv`,
    "no: TlsOnly",
    { "aws:SecureTransport": "false" },
  ],
  ["the payload", "s3:GetObject", `${bucket}/${payloadPrefix}/current`, "ReadAndWriteObjects"],
  ["a payload of one's own", "s3:PutObject", `${bucket}/${payloadPrefix}/current`, "no: PayloadIsReadOnly"],
  ["the payload's end", "s3:DeleteObject", `${bucket}/${payloadPrefix}/current`, "no: PayloadIsReadOnly"],
  ["its access list", "s3:PutObjectAcl", `${bucket}/${payloadPrefix}/current`, "no: PayloadIsReadOnly"],
  ["a wheel of one's own", "s3:PutObject", `${bucket}/${wheelsPrefix}/x.whl`, "no: PayloadIsReadOnly"],
  ["another bucket's list", "s3:ListBucket", "arn:aws:s3:::another", "no"],
  ["another bucket's object", "s3:GetObject", "arn:aws:s3:::another/data.csv", "no"],
  ["the access logs", "s3:GetObject", `${bucket}-logs/artifacts/one`, "no"],
  ["the bucket's policy", "s3:PutBucketPolicy", bucket, "no"],
  ["the bucket's versioning", "s3:PutBucketVersioning", bucket, "no"],
  ["the bucket's end", "s3:DeleteBucket", bucket, "no"],

  [
    "an object's key, by S3",
    "kms:GenerateDataKey",
    key,
    "KeyForTheBucket",
    { "kms:ViaService": "s3.us-east-1.amazonaws.com" },
  ],
  ["the same by itself", "kms:GenerateDataKey", key, "no"],
  ["a volume's key", "kms:DescribeKey", key, "KeyForTheVolumesOfSpaces"],
  ["its use by itself", "kms:Decrypt", key, "no"],
  ["its use by EC2", "kms:Decrypt", key, "no", { "kms:ViaService": "ec2.us-east-1.amazonaws.com" }],
  ["a data key for a volume", "kms:GenerateDataKeyWithoutPlaintext", key, "no"],
  ["another key", "kms:Decrypt", `arn:aws:kms:${region}:${account}:key/other`, "no"],
  [
    "a volume's grant",
    "kms:CreateGrant",
    key,
    "GrantsForTheVolumesOfSpaces",
    { "kms:GrantIsForAWSResource": "true" },
  ],
  ["a grant for oneself", "kms:CreateGrant", key, "no", { "kms:GrantIsForAWSResource": "false" }],
  ["the key's policy", "kms:PutKeyPolicy", key, "no"],
  ["the key's end", "kms:ScheduleKeyDeletion", key, "no"],

  ["Studio's log", "logs:PutLogEvents", log("/aws/sagemaker/studio"), "StudioLogs"],
  ["another log", "logs:PutLogEvents", log("/aws/lambda/one"), "no"],
  [
    "the log's end",
    "logs:DeleteLogGroup",
    `arn:aws:logs:${region}:${account}:log-group:/aws/sagemaker/studio`,
    "no",
  ],

  [
    "a token for packages",
    "codeartifact:GetAuthorizationToken",
    repository("domain/team"),
    "PackageIndexToken",
  ],
  ["another domain's token", "codeartifact:GetAuthorizationToken", repository("domain/others"), "no"],
  [
    "a package",
    "codeartifact:ReadFromRepository",
    repository("repository/team/python"),
    "ReadThePackageIndex",
  ],
  ["another repository's", "codeartifact:ReadFromRepository", repository("repository/team/other"), "no"],
  [
    "a package for others",
    "codeartifact:PublishPackageVersion",
    repository("package/team/python/pypi//x"),
    "no",
  ],
  [
    "the token itself",
    "sts:GetServiceBearerToken",
    "*",
    "BearerTokenForCodeArtifact",
    { "sts:AWSServiceName": "codeartifact.amazonaws.com" },
  ],
  [
    "another service's token",
    "sts:GetServiceBearerToken",
    "*",
    "no",
    { "sts:AWSServiceName": "ecr-public.amazonaws.com" },
  ],

  ["passing the role on", "iam:PassRole", role, "no", { "iam:PassedToService": "sagemaker.amazonaws.com" }],
  ["passing another role on", "iam:PassRole", `arn:aws:iam::${account}:role/admin`, "no"],
  ["becoming another role", "sts:AssumeRole", `arn:aws:iam::${account}:role/admin`, "no"],
  ["more rights for itself", "iam:PutRolePolicy", role, "no"],
  ["a machine", "ec2:RunInstances", `arn:aws:ec2:${region}:${account}:instance/*`, "no"],
  ["a secret", "secretsmanager:GetSecretValue", `arn:aws:secretsmanager:${region}:${account}:secret:x`, "no"],
];

type Known = Readonly<Record<string, string | readonly string[]>>;

function answer(policies: Policies, [, action, resource, , given = {}]: Row, known: Known): string {
  const context = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, known[String(value)] ?? value]),
  );
  const decision = simulate(policies, {
    action,
    resource: resource === key ? String(known[key]) : resource,
    principal: role,
    context: {
      "aws:RequestedRegion": region,
      "aws:SecureTransport": "true",
      "sagemaker:DomainId": "d-one",
      "sagemaker:UserProfileName": "ana",
      ...context,
    },
  });
  if (decision.allowed) return decision.sid ?? "a statement without name";
  return decision.sid === undefined ? "no" : `no: ${decision.sid}`;
}

describe("the execution role", () => {
  let identity: readonly PolicyDocument[];
  let bucketPolicy: readonly PolicyDocument[];
  let known: Known;
  beforeAll(() => {
    identity = documentsOf("aws_iam_role_policy.execution_");
    bucketPolicy = documentsOf("aws_s3_bucket_policy.storage_artifacts_policy");
    const ofKey = identity.flatMap(({ Statement }) => Statement).find(({ Sid }) => Sid === "KeyForTheBucket");
    const arn = [ofKey?.Resource].flat()[0] ?? "";
    const ofJobs = identity.flatMap(({ Statement }) => Statement).find(({ Sid }) => Sid === "SendJobs");
    const values = ofJobs?.Condition?.["ForAllValues:StringEquals"] ?? {};
    known = {
      [key]: arn,
      [subnets]: [values["sagemaker:VpcSubnets"] ?? []].flat() as string[],
      [group]: [values["sagemaker:VpcSecurityGroupIds"] ?? []].flat() as string[],
    };
    expect(arn).toMatch(/^arn:aws:kms:us-east-1:123456789012:key\//);
  });
  const resourceOf = (row: Row) => (row[2].startsWith(bucket) ? { resource: bucketPolicy } : {});

  it.each(rows.map((row) => ({ title: `${row[0]}: ${row[3]} (${row[1]})`, row })))("$title", ({ row }) => {
    expect(answer({ identity, ...resourceOf(row) }, row, known)).toBe(row[3]);
  });

  it("cannot lose a statement or a condition without a row that notices", () => {
    const unnoticed: string[] = [];
    const tries = (name: string, changed: readonly PolicyDocument[]) => {
      const same = rows.every(
        (row) => answer({ identity: changed, ...resourceOf(row) }, row, known) === row[3],
      );
      if (same) unnoticed.push(name);
    };
    const statements = identity.flatMap(({ Statement }) => Statement);
    for (const statement of statements) {
      const others = statements.filter((one) => one !== statement);
      tries(`${statement.Sid}`, [{ Statement: others }]);
      for (const operator of Object.keys(statement.Condition ?? {})) {
        const { [operator]: _, ...Condition } = statement.Condition ?? {};
        tries(`${statement.Sid}: ${operator}`, [{ Statement: [...others, { ...statement, Condition }] }]);
      }
    }
    expect(statements.length).toBeGreaterThan(15);
    expect(unnoticed).toEqual([]);
  });

  it.each([
    ["SageMaker, for this account", "sagemaker.amazonaws.com", account, true],
    ["SageMaker, for another account", "sagemaker.amazonaws.com", "444455556666", false],
    ["another service", "lambda.amazonaws.com", account, false],
    ["the role itself", role, account, false],
  ] as const)("may be assumed by %s: %#", (_, principal, source, allowed) => {
    const trust = documentsOf("aws_iam_role.execution_role", "assume_role_policy");
    const context = {
      "aws:SourceAccount": source,
      "aws:SourceArn": sagemaker("domain/d-one", { of: source }),
    };
    const request = { action: "sts:AssumeRole", resource: role, principal, context };
    expect(simulate({ identity: [], resource: trust }, request).allowed).toBe(allowed);
  });
});

/** What others than people may: each a role, and the documents that it has. */
const others: readonly (readonly [
  who: string,
  address: string,
  rows: readonly (readonly [string, string, string, boolean, PolicyRequest["context"]?])[],
])[] = [
  [
    "a job",
    "aws_iam_role_policy.jobs_role_",
    [
      ["reads the bucket", "s3:GetObject", `${bucket}/data.csv`, true],
      ["writes its output", "s3:PutObject", `${bucket}/marimo/jobs/one/page.html`, true],
      ["writes nothing else", "s3:PutObject", `${bucket}/data.csv`, false],
      ["writes no payload", "s3:PutObject", `${bucket}/marimo/payload/current`, false],
      ["deletes nothing", "s3:DeleteObject", `${bucket}/marimo/jobs/one/page.html`, false],
      ["writes its log", "logs:PutLogEvents", jobLog("marimo-dev-a/algo-1-1"), true],
      ["reads no log", "logs:GetLogEvents", jobLog("marimo-dev-a/algo-1-1"), false],
      ["starts no job", "sagemaker:CreateProcessingJob", job, false, sent()],
      ["opens no Studio", "sagemaker:CreatePresignedDomainUrl", sagemaker("user-profile/d-one/ana"), false],
      ["passes no role", "iam:PassRole", jobRole, false, passedTo("sagemaker")],
    ],
  ],
  [
    "a pipeline",
    "aws_iam_role_policy.jobs_pipelines",
    [
      ["passes the jobs' role", "iam:PassRole", jobRole, true, passedTo("sagemaker")],
      ["passes no other", "iam:PassRole", role, false, passedTo("sagemaker")],
      ["stops its jobs", "sagemaker:StopProcessingJob", job, true],
      ["starts none without the network", "sagemaker:CreateProcessingJob", job, false],
      ["reads nothing", "s3:GetObject", `${bucket}/data.csv`, false],
    ],
  ],
  [
    "the scheduler",
    "aws_iam_role_policy.schedules_policy",
    [
      ["starts jobs of its names", "sagemaker:CreateProcessingJob", job, true],
      ["starts no others", "sagemaker:CreateProcessingJob", sagemaker("processing-job/one"), false],
      ["passes the jobs' role", "iam:PassRole", jobRole, true, passedTo("sagemaker")],
      ["passes it to no other service", "iam:PassRole", jobRole, false, passedTo("lambda")],
      ["passes no other role", "iam:PassRole", role, false, passedTo("sagemaker")],
      [
        "reports what failed",
        "sqs:SendMessage",
        `arn:aws:sqs:${region}:${account}:marimo-dev-schedules`,
        true,
      ],
      ["writes to no other queue", "sqs:SendMessage", `arn:aws:sqs:${region}:${account}:other`, false],
      ["stops no job", "sagemaker:StopProcessingJob", job, false],
    ],
  ],
];

describe.each(others)("%s", (_, address, cases) => {
  for (const [what, action, resource, allowed, context = {}] of cases) {
    it(`${what} (${action})`, () => {
      const identity = documentsOf(address);
      expect(simulate({ identity }, { action, resource, context }).allowed).toBe(allowed);
    });
  }
});

/** parliament's findings on documents that are given as JSON by address. */
const question = `
import json
import sys
from parliament import analyze_policy_string

for address, document in json.loads(sys.argv[1]).items():
    for finding in analyze_policy_string(json.dumps(document, indent=1), filepath=address).findings:
        print(json.dumps({"address": address, "issue": finding.issue, "detail": str(finding.detail)}))
`;

interface PolicyFinding {
  readonly address: string;
  readonly issue: string;
  readonly detail: string;
}

async function lint(these: readonly IamDocument[]): Promise<readonly PolicyFinding[]> {
  const { python } = await pythonEnvironment("scan");
  const asked = Object.fromEntries(
    these.map((one) => [`${one.address}.${one.attribute}`, readable(one)] as const),
  );
  const result = await capture(python, ["-W", "ignore", "-c", question, JSON.stringify(asked)]);
  if (result?.status !== 0) throw new Error(`parliament failed:\n${result?.stderr}`);
  return result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as PolicyFinding);
}

/**
 * What parliament 1.6.4 cannot read, in words that it can. It asks each statement for a resource, and a trust policy's is
 * the role itself; and it takes the colon of a variable other than `aws:…` for one of the ARN's.
 */
function readable({ attribute, document }: IamDocument): PolicyDocument {
  const itself = attribute === "assume_role_policy" ? { Resource: role } : {};
  const statements = [document.Statement].flat().map((statement) => ({ ...statement, ...itself }));
  return JSON.parse(
    JSON.stringify({ ...document, Statement: statements }).replace(/\$\{sagemaker:\w+\}/g, "any"),
  ) as PolicyDocument;
}

/** Findings that are right to be there. */
const justified: readonly (Omit<PolicyFinding, "detail"> & {
  readonly detail: RegExp;
  readonly reason: string;
})[] = [
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "RESOURCE_STAR",
    detail: /kms:/,
    reason:
      "in a key policy the resource * is that key alone (AWS KMS Developer Guide, Creating a key policy)",
  },
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "UNKNOWN_CONDITION_FOR_ACTION",
    detail: /^Unknown condition kms:EncryptionContext:aws:logs:arn for action kms:Describe/,
    reason:
      "the CloudWatch Logs User Guide's own statement (Encrypt log data); the condition makes Describe* grant nothing",
  },
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "MISMATCHED_TYPE",
    detail: /^Type mismatch: ArnLike requires a value of type Arn but given String$/,
    reason: "the same: the value of this key is a log group's ARN, which parliament cannot know",
  },
  ...["logs", "s3", "studio"].map((name) => ({
    address: `aws_vpc_endpoint.network_${name}_endpoint.policy`,
    issue: "RESOURCE_MISMATCH",
    detail: /required_format/,
    reason:
      "an endpoint's policy grants nothing (AWS PrivateLink Guide): actions of the service that its resource does not fit " +
      "do not pass, which is wanted",
  })),
  {
    address: "aws_vpc_endpoint.network_sagemaker_api_endpoint.policy",
    issue: "RESOURCE_STAR",
    detail: /sagemaker:/,
    reason: "the same: it is held to the account's own principals, whose own policies say to which resources",
  },
];

describe("parliament", () => {
  const excuses = (finding: PolicyFinding) => (one: (typeof justified)[number]) =>
    one.address === finding.address && one.issue === finding.issue && one.detail.test(finding.detail);

  it("finds nothing in any IAM document but what has a reason here, and every reason is used", async () => {
    const findings = await lint(documents);
    expect(findings.filter((finding) => !justified.some(excuses(finding)))).toEqual([]);
    expect(justified.filter((one) => !findings.some((finding) => excuses(finding)(one)))).toEqual([]);
    const kinds = documents.map(({ address }) => address.split(".")[0]);
    expect(kinds).toEqual(
      expect.arrayContaining(["aws_iam_role", "aws_iam_role_policy", "aws_kms_key", "aws_s3_bucket_policy"]),
    );
  });

  it.each([
    ["an action that is none", { Action: "s3:GetObjects" }, "UNKNOWN_ACTION"],
    ["a resource that the action has not", { Resource: "arn:aws:s3:::bucket" }, "RESOURCE_MISMATCH"],
    ["a resource left open", { Resource: "*" }, "RESOURCE_STAR"],
    [
      "a condition that is none",
      { Condition: { StringEquals: { "s3:none": "x" } } },
      "UNKNOWN_CONDITION_FOR_ACTION",
    ],
  ])("refuses %s", async (_, change, issue) => {
    const statement = { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" };
    const document = (one: PolicyDocument["Statement"]) => [
      {
        address: "aws_iam_role_policy.x",
        attribute: "policy",
        document: { Version: "2012-10-17", Statement: one },
      },
    ];
    expect(await lint(document([statement]))).toEqual([]);
    expect((await lint(document([{ ...statement, ...change }]))).map((one) => one.issue)).toEqual([issue]);
  });
});
