import { beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { bucketPrefixes } from "../../src/settings/names.ts";
import { appliedIamDocuments, type IamDocument } from "../support/iam-documents.ts";
import {
  type Policies,
  type PolicyDocument,
  type PolicyRequest,
  simulate,
} from "../support/policy-simulator.ts";
import { synthesize } from "../support/synthesize.ts";

/** Settings with all IAM documents of the stack. */
const settings = {
  egress: "endpoints-only",
  packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  images: [{ name: "geo", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0" }],
  jobs: { allowedInstanceTypes: ["ml.m5.large", "ml.m5.xlarge"], maximumSchedulesPerUser: 10 },
  schedules: [{ name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" }],
} as const;

let documents: readonly IamDocument[];
beforeAll(async () => {
  documents = await appliedIamDocuments(synthesize(settings));
});

/** The documents whose resource address has this prefix. */
function documentsOf(address: string, attribute = "policy"): readonly PolicyDocument[] {
  const found = documents.filter((one) => one.address.startsWith(address) && one.attribute === attribute);
  if (found.length === 0)
    throw new Error(`no ${attribute} of ${address}, but ${documents.map((one) => one.address).join(", ")}`);
  return found.map(({ document }) => document);
}

/** moto's account ID. */
const account = "123456789012";
const region = "us-east-1";
const sagemaker = (resource: string, { of = account, at = region } = {}) =>
  `arn:aws:sagemaker:${at}:${of}:${resource}`;
const bucket = `arn:aws:s3:::marimo-dev-${account}-${region}`;
const log = (group: string) => `arn:aws:logs:${region}:${account}:log-group:${group}:log-stream:one`;
const repository = (resource: string) => `arn:aws:codeartifact:us-east-1:111122223333:${resource}`;
const images = (name: string) => `arn:aws:ecr:${region}:${account}:repository/${name}`;
const role = `arn:aws:iam::${account}:role/marimo-dev-user-ana`;
/**
 * Placeholders for values that are known only after the deployment: key ARN, private subnets, security group of jobs.
 */
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
  /** The Sid of the statement that allows it, `no` if none does, or `no: SID` if a statement denies it. */
  answer: string,
  context?: PolicyRequest["context"],
];

const job = sagemaker("processing-job/marimo-dev-ana-analysis-1");
const roleNamed = (name: string) => `arn:aws:iam::${account}:role/marimo-dev-${name}`;
const [ownRole, jobRole, schedulerRole] = [roleNamed("user-ana"), roleNamed("jobs"), roleNamed("scheduler")];
const schedule = (group: string) => `arn:aws:scheduler:${region}:${account}:schedule/${group}/x`;
const passedTo = (service: string) => ({ "iam:PassedToService": `${service}.amazonaws.com` });
const jobLogs = `arn:aws:logs:${region}:${account}:log-group:/aws/sagemaker/ProcessingJobs`;
const jobLog = (stream: string) => `${jobLogs}:log-stream:${stream}`;
/** The condition keys of a valid CreateProcessingJob request, with optional changes. */
const requestKeys = (changes: Readonly<Record<string, string | readonly string[] | undefined>> = {}) =>
  Object.fromEntries(
    Object.entries({
      "sagemaker:InstanceTypes": ["ml.m5.large"],
      "sagemaker:VpcSubnets": subnets,
      "sagemaker:VpcSecurityGroupIds": group,
      "sagemaker:VolumeKmsKey": key,
      "sagemaker:OutputKmsKey": key,
      "sagemaker:MaxRuntimeInSeconds": "86400",
      "aws:RequestTag/Environment": "dev",
      ...changes,
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
const otherKey = `arn:aws:kms:${region}:${account}:key/other`;
const refusedJobs: readonly Row[] = (
  [
    [
      "on another instance type",
      { "sagemaker:InstanceTypes": ["ml.p5.4xlarge"] },
      "no: OtherInstanceTypesOfJobs",
    ],
    ["on no instance type", { "sagemaker:InstanceTypes": undefined }],
    ["in another subnet", { "sagemaker:VpcSubnets": ["subnet-other"] }],
    ["in no subnet", { "sagemaker:VpcSubnets": undefined }],
    ["in another security group", { "sagemaker:VpcSecurityGroupIds": ["sg-other"] }],
    ["in no security group", { "sagemaker:VpcSecurityGroupIds": undefined }],
    ["with another key for its volume", { "sagemaker:VolumeKmsKey": otherKey }],
    ["with another key for its output", { "sagemaker:OutputKmsKey": otherKey }],
    ["for too long", { "sagemaker:MaxRuntimeInSeconds": "86401" }],
    ["that no budget counts", { "aws:RequestTag/Environment": undefined }],
  ] as const
).map(([how, changes, answer = "no"]) => [
  `create a job ${how}`,
  "sagemaker:CreateProcessingJob",
  job,
  answer,
  requestKeys(changes),
]);

/** What the user ana of domain d-one can do in a notebook. Other users have the same policies on their roles. */
const rows: readonly Row[] = [
  ["create an own private space", "sagemaker:CreateSpace", space, "OwnSpaces", mine],
  [
    "create an own shared space",
    "sagemaker:CreateSpace",
    space,
    "OwnSpaces",
    { ...own, ...shared("Shared") },
  ],
  ["update an own space", "sagemaker:UpdateSpace", space, "OwnSpaces", mine],
  ["delete an own space", "sagemaker:DeleteSpace", space, "OwnSpaces", mine],
  [
    "create a space of another sharing type",
    "sagemaker:CreateSpace",
    space,
    "no",
    { ...own, ...shared("Public") },
  ],
  [
    "create a space for another user",
    "sagemaker:CreateSpace",
    space,
    "no",
    { ...another, ...shared("Private") },
  ],
  ["update another user's space", "sagemaker:UpdateSpace", space, "no", { ...another, ...shared("Private") }],
  ["delete another user's space", "sagemaker:DeleteSpace", space, "no", { ...another, ...shared("Private") }],
  [
    "delete another user's shared space",
    "sagemaker:DeleteSpace",
    space,
    "no",
    { ...another, ...shared("Shared") },
  ],
  ["delete a space of another domain", "sagemaker:DeleteSpace", sagemaker("space/d-two/notes"), "no", mine],
  [
    "delete a space in another region",
    "sagemaker:DeleteSpace",
    sagemaker("space/d-one/n", { at: "eu-west-1" }),
    "no",
    mine,
  ],
  [
    "delete a space of another account",
    "sagemaker:DeleteSpace",
    sagemaker("space/d-one/n", foreign),
    "no",
    mine,
  ],
  ["update a space without owner", "sagemaker:UpdateSpace", space, "SpacesWithoutOwner"],
  [
    "update a space without owner in another domain",
    "sagemaker:UpdateSpace",
    sagemaker("space/d-two/notes"),
    "no",
  ],
  ["start an own space", "sagemaker:CreateApp", app, "AppsOfOwnPrivateSpaces", mine],
  ["stop an own space", "sagemaker:DeleteApp", app, "AppsOfOwnPrivateSpaces", mine],
  ["start another user's space", "sagemaker:CreateApp", app, "no", { ...another, ...shared("Private") }],
  ["stop another user's space", "sagemaker:DeleteApp", app, "no", { ...another, ...shared("Private") }],
  ["start an own shared space", "sagemaker:CreateApp", app, "no", { ...own, ...shared("Shared") }],
  [
    "stop a space of another domain",
    "sagemaker:DeleteApp",
    sagemaker("app/d-two/n/JupyterLab/default"),
    "no",
    mine,
  ],
  ["start a space without owner", "sagemaker:CreateApp", app, "AppsWithoutOwner"],
  [
    "start a space without owner in another domain",
    "sagemaker:CreateApp",
    sagemaker("app/d-two/notes/JupyterLab/default"),
    "no",
  ],
  [
    "open Studio with the own profile",
    "sagemaker:CreatePresignedDomainUrl",
    sagemaker("user-profile/d-one/ana"),
    "OpenStudioAsOneself",
  ],
  [
    "open Studio with another profile",
    "sagemaker:CreatePresignedDomainUrl",
    sagemaker("user-profile/d-one/bo"),
    "no",
  ],
  [
    "open Studio in another domain",
    "sagemaker:CreatePresignedDomainUrl",
    sagemaker("user-profile/d-two/ana"),
    "no",
  ],
  ["list spaces", "sagemaker:ListSpaces", "*", "ListStudio"],
  ["list spaces in another region", "sagemaker:ListSpaces", "*", "no", elsewhere],
  ["describe a space", "sagemaker:DescribeSpace", space, "DescribeStudio"],
  ["describe the domain", "sagemaker:DescribeDomain", sagemaker("domain/d-one"), "DescribeStudio"],
  [
    "describe a space of another account",
    "sagemaker:DescribeSpace",
    sagemaker("space/d-one/n", foreign),
    "no",
  ],
  [
    "add tags while creating a space",
    "sagemaker:AddTags",
    space,
    "TagOnCreation",
    { "sagemaker:TaggingAction": "CreateSpace" },
  ],
  [
    "create a space on another budget",
    "sagemaker:AddTags",
    space,
    "no",
    { "sagemaker:TaggingAction": "CreateSpace", "aws:RequestTag/Environment": "prod" },
  ],
  ["add tags later", "sagemaker:AddTags", space, "no"],
  ["tag a job", "sagemaker:AddTags", job, "TagJobs", { "aws:TagKeys": ["note"] }],
  ["tag a job with nothing", "sagemaker:AddTags", job, "no"],
  ["tag a job as another's", "sagemaker:AddTags", job, "no", { "aws:TagKeys": ["sagemaker:space-arn"] }],
  [
    "tag a job on another budget",
    "sagemaker:AddTags",
    job,
    "no",
    { "aws:TagKeys": ["Environment"], "aws:RequestTag/Environment": "prod" },
  ],
  [
    "tag a job with the own name",
    "sagemaker:AddTags",
    job,
    "TagJobs",
    { "aws:TagKeys": ["StudioUser"], "aws:RequestTag/StudioUser": "ana" },
  ],
  [
    "tag a job with another's name",
    "sagemaker:AddTags",
    job,
    "no: OtherUsersTag",
    { "aws:TagKeys": ["StudioUser"], "aws:RequestTag/StudioUser": "bo" },
  ],
  ["update the domain", "sagemaker:UpdateDomain", sagemaker("domain/d-one"), "no"],
  ["delete the domain", "sagemaker:DeleteDomain", sagemaker("domain/d-one"), "no"],
  ["create a user profile", "sagemaker:CreateUserProfile", sagemaker("user-profile/d-one/eve"), "no"],
  ["change the own user profile", "sagemaker:UpdateUserProfile", sagemaker("user-profile/d-one/ana"), "no"],
  [
    "create a lifecycle configuration",
    "sagemaker:CreateStudioLifecycleConfig",
    sagemaker("studio-lifecycle-config/x"),
    "no",
  ],

  ["describe an image", "sagemaker:DescribeImage", sagemaker("image/marimo-dev-geo"), "DescribeImages"],
  ["describe another image", "sagemaker:DescribeImage", sagemaker("image/marimo-prod-geo"), "no"],
  ["change an image", "sagemaker:CreateImageVersion", sagemaker("image/marimo-dev-geo"), "no"],
  ["pull an image", "ecr:BatchGetImage", images("team/geo"), "no"],

  ["list jobs", "sagemaker:ListTrainingJobs", "*", "ListJobs"],
  ["list jobs in another region", "sagemaker:ListTrainingJobs", "*", "no", elsewhere],
  ["describe a job", "sagemaker:DescribeProcessingJob", job, "OwnJobsAndSweeps"],
  ["describe another team's job", "sagemaker:DescribeTrainingJob", sagemaker("training-job/one"), "no"],
  ["create a training job", "sagemaker:CreateTrainingJob", sagemaker("training-job/one"), "no"],
  [
    "create a job with another name prefix",
    "sagemaker:CreateProcessingJob",
    sagemaker("processing-job/one"),
    "no",
    requestKeys(),
  ],
  ["create a job", "sagemaker:CreateProcessingJob", job, "SendJobs", requestKeys()],
  [
    "create a job without outputs or a time limit",
    "sagemaker:CreateProcessingJob",
    job,
    "SendJobs",
    requestKeys({ "sagemaker:OutputKmsKey": undefined, "sagemaker:MaxRuntimeInSeconds": undefined }),
  ],
  [
    "create a job on local storage, which has no key of its own",
    "sagemaker:CreateProcessingJob",
    job,
    "SendJobs",
    requestKeys({ "sagemaker:VolumeKmsKey": undefined }),
  ],
  ...refusedJobs,
  ["stop a job", "sagemaker:StopProcessingJob", job, "OwnJobsAndSweeps"],
  [
    "stop a job of another environment",
    "sagemaker:StopProcessingJob",
    sagemaker("processing-job/marimo-prod-a"),
    "no",
  ],
  ["run a job as oneself", "iam:PassRole", ownRole, "RunAsOneself", passedTo("sagemaker")],
  ["run a schedule as oneself", "iam:PassRole", ownRole, "RunAsOneself", passedTo("scheduler")],
  ["pass the own role to another service", "iam:PassRole", ownRole, "no", passedTo("lambda")],
  ["pass the role of scheduled jobs", "iam:PassRole", jobRole, "no", passedTo("sagemaker")],
  ["pass the role of the scheduler", "iam:PassRole", schedulerRole, "no", passedTo("scheduler")],
  [
    "create a sweep",
    "sagemaker:CreatePipeline",
    sagemaker("pipeline/marimo-dev-ana-sweep-1"),
    "CreateSweeps",
    { "aws:RequestTag/Environment": "dev" },
  ],
  [
    "create a sweep without a tag",
    "sagemaker:CreatePipeline",
    sagemaker("pipeline/marimo-dev-ana-sweep-1"),
    "no",
  ],
  [
    "retry a sweep",
    "sagemaker:RetryPipelineExecution",
    sagemaker("pipeline/marimo-dev-ana-s/execution/x"),
    "OwnJobsAndSweeps",
  ],
  ["see another user's sweep", "sagemaker:DescribePipeline", sagemaker("pipeline/marimo-dev-bo-s"), "no"],
  ["see a sweep in prod", "sagemaker:DescribePipeline", sagemaker("pipeline/marimo-prod-bo-s"), "no"],
  [
    "delete a pipeline of another environment",
    "sagemaker:DeletePipeline",
    sagemaker("pipeline/marimo-prod-sweep"),
    "no",
  ],
  ["list sweeps", "sagemaker:ListPipelines", "*", "ListSweeps"],
  ["list sweeps in another region", "sagemaker:ListPipelines", "*", "no", elsewhere],
  ["read the log of a job", "logs:GetLogEvents", jobLog("marimo-dev-ana-a/algo-1-1"), "ReadLogsOfJobs"],
  ["read the log of another user's job", "logs:GetLogEvents", jobLog("marimo-dev-bo-a/algo-1-1"), "no"],
  ["find the log of a job", "logs:DescribeLogStreams", jobLogs, "FindLogsOfJobs"],
  ["read the log of another environment's job", "logs:GetLogEvents", jobLog("marimo-prod-a/algo-1-1"), "no"],
  ["create a schedule", "scheduler:CreateSchedule", schedule("marimo-dev-user-ana"), "OwnSchedules"],
  ["create a schedule of another user", "scheduler:CreateSchedule", schedule("marimo-dev-user-bo"), "no"],
  [
    "start a pipeline outside the VPC, as EventBridge Scheduler does",
    "sagemaker:StartPipelineExecution",
    sagemaker("pipeline/marimo-dev-ana-schedule-a"),
    "OwnJobsAndSweeps",
    { "aws:SourceVpce": "vpce-other" },
  ],
  [
    "change a pipeline outside the VPC",
    "sagemaker:UpdatePipeline",
    sagemaker("pipeline/marimo-dev-ana-schedule-a"),
    "no: OnlyThroughTheVpc",
    { "aws:SourceVpce": "vpce-other" },
  ],
  ["create a schedule of the team", "scheduler:CreateSchedule", schedule("marimo-dev"), "no"],
  ["list schedules", "scheduler:ListSchedules", "*", "ListSchedules"],
  ["list schedules in another region", "scheduler:ListSchedules", "*", "no", elsewhere],
  [
    "change a scheduled notebook",
    "s3:PutObject",
    `${bucket}/marimo/schedules/daily/x/a.py`,
    "no: PayloadIsReadOnly",
  ],

  ["locate the bucket", "s3:GetBucketLocation", bucket, "LocateTheBucket"],
  ["list the bucket", "s3:ListBucket", bucket, "no"],
  ["list what is shared", "s3:ListBucket", bucket, "ListObjects", { "s3:prefix": "shared/" }],
  ["list the payload", "s3:ListBucket", bucket, "ListObjects", { "s3:prefix": "marimo/payload/x/" }],
  ["list own objects", "s3:ListBucket", bucket, "ListOwnObjects", { "s3:prefix": "people/ana/" }],
  ["list ana and ana2", "s3:ListBucket", bucket, "no", { "s3:prefix": "people/ana" }],
  ["read a shared object", "s3:GetObject", `${bucket}/shared/data.csv`, "ReadObjects"],
  ["read an own object", "s3:GetObject", `${bucket}/people/ana/data.csv`, "OwnObjects"],
  ["read any other object", "s3:GetObject", `${bucket}/data.csv`, "no"],
  ["write a shared object", "s3:PutObject", `${bucket}/shared/data.csv`, "ChangeObjects"],
  ["delete an own object", "s3:DeleteObject", `${bucket}/people/ana/data.csv`, "OwnObjects"],
  [
    "write the result of a schedule",
    "s3:PutObject",
    `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`,
    "no: ResultsOfSchedulesAreReadOnly",
  ],
  ["delete an object version", "s3:DeleteObjectVersion", `${bucket}/shared/data.csv`, "no"],
  [
    "read an object outside the VPC",
    "s3:GetObject",
    `${bucket}/shared/data.csv`,
    "no: OnlyThroughTheVpc",
    { "aws:SourceVpce": "vpce-other" },
  ],
  [
    "use the key through S3 outside the VPC, which S3 does by itself",
    "kms:Decrypt",
    key,
    "KeyForTheBucket",
    {
      "kms:ViaService": "s3.us-east-1.amazonaws.com",
      "aws:ViaAWSService": "true",
      "aws:SourceVpce": "vpce-other",
    },
  ],
  [
    "read an object without TLS",
    "s3:GetObject",
    `${bucket}/shared/data.csv`,
    "no: TlsOnly",
    { "aws:SecureTransport": "false" },
  ],
  ["read the payload", "s3:GetObject", `${bucket}/${bucketPrefixes.payload}/current`, "ReadObjects"],
  [
    "write the payload",
    "s3:PutObject",
    `${bucket}/${bucketPrefixes.payload}/current`,
    "no: PayloadIsReadOnly",
  ],
  [
    "delete the payload",
    "s3:DeleteObject",
    `${bucket}/${bucketPrefixes.payload}/current`,
    "no: PayloadIsReadOnly",
  ],
  [
    "change the payload's ACL",
    "s3:PutObjectAcl",
    `${bucket}/${bucketPrefixes.payload}/current`,
    "no: PayloadIsReadOnly",
  ],
  ["write a wheel", "s3:PutObject", `${bucket}/${bucketPrefixes.wheels}/x.whl`, "no: PayloadIsReadOnly"],
  ["list another bucket", "s3:ListBucket", "arn:aws:s3:::another", "no"],
  ["read an object of another bucket", "s3:GetObject", "arn:aws:s3:::another/data.csv", "no"],
  ["read the access logs", "s3:GetObject", `${bucket}-logs/artifacts/one`, "no"],
  ["change the bucket policy", "s3:PutBucketPolicy", bucket, "no"],
  ["change the bucket's versioning", "s3:PutBucketVersioning", bucket, "no"],
  ["delete the bucket", "s3:DeleteBucket", bucket, "no"],

  [
    "use the key through S3",
    "kms:GenerateDataKey",
    key,
    "KeyForTheBucket",
    { "kms:ViaService": "s3.us-east-1.amazonaws.com" },
  ],
  ["generate a data key directly", "kms:GenerateDataKey", key, "no"],
  ["describe the key for a volume", "kms:DescribeKey", key, "KeyForTheVolumesOfSpaces"],
  ["decrypt directly", "kms:Decrypt", key, "no"],
  ["decrypt through EC2", "kms:Decrypt", key, "no", { "kms:ViaService": "ec2.us-east-1.amazonaws.com" }],
  ["generate a data key for a volume", "kms:GenerateDataKeyWithoutPlaintext", key, "no"],
  ["use another key", "kms:Decrypt", `arn:aws:kms:${region}:${account}:key/other`, "no"],
  [
    "create a grant for a volume",
    "kms:CreateGrant",
    key,
    "GrantsForTheVolumesOfSpaces",
    { "kms:GrantIsForAWSResource": "true" },
  ],
  ["create a grant for another use", "kms:CreateGrant", key, "no", { "kms:GrantIsForAWSResource": "false" }],
  ["change the key policy", "kms:PutKeyPolicy", key, "no"],
  ["delete the key", "kms:ScheduleKeyDeletion", key, "no"],

  ["write Studio's log", "logs:PutLogEvents", log("/aws/sagemaker/studio"), "StudioLogs"],
  ["write another log", "logs:PutLogEvents", log("/aws/lambda/one"), "no"],
  [
    "delete Studio's log",
    "logs:DeleteLogGroup",
    `arn:aws:logs:${region}:${account}:log-group:/aws/sagemaker/studio`,
    "no",
  ],

  [
    "get a token for the package index",
    "codeartifact:GetAuthorizationToken",
    repository("domain/team"),
    "PackageIndexToken",
  ],
  [
    "get a token of another CodeArtifact domain",
    "codeartifact:GetAuthorizationToken",
    repository("domain/others"),
    "no",
  ],
  [
    "read a package",
    "codeartifact:ReadFromRepository",
    repository("repository/team/python"),
    "ReadThePackageIndex",
  ],
  [
    "read a package of another repository",
    "codeartifact:ReadFromRepository",
    repository("repository/team/other"),
    "no",
  ],
  [
    "publish a package",
    "codeartifact:PublishPackageVersion",
    repository("package/team/python/pypi//x"),
    "no",
  ],
  [
    "get a bearer token for CodeArtifact",
    "sts:GetServiceBearerToken",
    "*",
    "BearerTokenForCodeArtifact",
    { "sts:AWSServiceName": "codeartifact.amazonaws.com" },
  ],
  [
    "get a bearer token for another service",
    "sts:GetServiceBearerToken",
    "*",
    "no",
    { "sts:AWSServiceName": "ecr-public.amazonaws.com" },
  ],

  ["pass the execution role", "iam:PassRole", roleNamed("execution"), "no", passedTo("sagemaker")],
  ["pass another role", "iam:PassRole", `arn:aws:iam::${account}:role/admin`, "no"],
  ["assume another role", "sts:AssumeRole", `arn:aws:iam::${account}:role/admin`, "no"],
  ["change the own role's policies", "iam:PutRolePolicy", role, "no"],
  ["start an EC2 instance", "ec2:RunInstances", `arn:aws:ec2:${region}:${account}:instance/*`, "no"],
  [
    "read a secret",
    "secretsmanager:GetSecretValue",
    `arn:aws:secretsmanager:${region}:${account}:secret:x`,
    "no",
  ],
];

/** The statements of the policy for running jobs that are for the user. */
const followed = /^(ListSweeps|FindLogsOfJobs|ReadLogsOfJobs|OwnSchedules|ListSchedules)$/;

type Known = Readonly<Record<string, string | readonly string[]>>;

function answer(policies: Policies, [, action, resource, , given = {}]: Row, known: Known): string {
  const context = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, known[String(value)] ?? value]),
  );
  const decision = simulate(policies, {
    action,
    resource: resource === key ? String(known[key]) : resource,
    principal: role,
    tags: { StudioUser: "ana" },
    context: {
      "aws:RequestedRegion": region,
      "aws:SecureTransport": "true",
      "sagemaker:DomainId": "d-one",
      "sagemaker:UserProfileName": "ana",
      "aws:ViaAWSService": "false",
      "aws:SourceVpce": String(known.ENDPOINT ?? ""),
      ...context,
    },
  });
  if (decision.allowed) return decision.sid ?? "a statement without Sid";
  return decision.sid === undefined ? "no" : `no: ${decision.sid}`;
}

describe("a user's role", () => {
  let identity: readonly PolicyDocument[];
  let bucketPolicy: readonly PolicyDocument[];
  let known: Known;
  beforeAll(() => {
    identity = [
      ...documentsOf("aws_iam_policy.execution_"),
      ...documentsOf("aws_iam_policy.job_users_jobs_"),
      ...documentsOf("aws_iam_policy.job_users_job_runtime_").map(({ Statement }) => ({
        // What SageMaker needs to run a job: "what a user's job needs".
        Statement: [Statement].flat().filter(({ Sid = "" }) => followed.test(Sid)),
      })),
    ];
    bucketPolicy = documentsOf("aws_s3_bucket_policy.storage_artifacts_policy");
    const ofKey = identity.flatMap(({ Statement }) => Statement).find(({ Sid }) => Sid === "KeyForTheBucket");
    const arn = [ofKey?.Resource].flat()[0] ?? "";
    const ofJobs = identity.flatMap(({ Statement }) => Statement).find(({ Sid }) => Sid === "SendJobs");
    const ofPerimeter = identity
      .flatMap(({ Statement }) => Statement)
      .find(({ Sid }) => Sid === "OnlyThroughTheVpc");
    const values = ofJobs?.Condition?.["ForAllValues:StringEquals"] ?? {};
    known = {
      [key]: arn,
      [subnets]: [values["sagemaker:VpcSubnets"] ?? []].flat() as string[],
      [group]: [values["sagemaker:VpcSecurityGroupIds"] ?? []].flat() as string[],
      ENDPOINT: String([ofPerimeter?.Condition?.StringNotEquals?.["aws:SourceVpce"]].flat()[0]),
    };
    expect(arn).toMatch(/^arn:aws:kms:us-east-1:123456789012:key\//);
  });
  const resourceOf = (row: Row) => (row[2].startsWith(bucket) ? { resource: bucketPolicy } : {});

  it.each(rows.map((row) => ({ title: `${row[0]}: ${row[3]} (${row[1]})`, row })))("$title", ({ row }) => {
    expect(answer({ identity, ...resourceOf(row) }, row, known)).toBe(row[3]);
  });

  it("has a failing row for each removed statement or condition", () => {
    const untested: string[] = [];
    const test = (name: string, changed: readonly PolicyDocument[]) => {
      const same = rows.every(
        (row) => answer({ identity: changed, ...resourceOf(row) }, row, known) === row[3],
      );
      if (same) untested.push(name);
    };
    const statements = identity.flatMap(({ Statement }) => Statement);
    for (const statement of statements) {
      const others = statements.filter((one) => one !== statement);
      test(`${statement.Sid}`, [{ Statement: others }]);
      for (const operator of Object.keys(statement.Condition ?? {})) {
        const { [operator]: condition = {}, ...Condition } = statement.Condition ?? {};
        // The guard against an empty tag: attacks.test.ts has rows for it.
        if (Object.keys(condition).every((name) => name.startsWith("aws:PrincipalTag/"))) continue;
        test(`${statement.Sid}: ${operator}`, [{ Statement: [...others, { ...statement, Condition }] }]);
      }
    }
    expect(statements.length).toBeGreaterThan(15);
    expect(untested).toEqual([]);
  });

  it.each([
    ["SageMaker, for this account", "sagemaker.amazonaws.com", account, true],
    ["SageMaker, for another account", "sagemaker.amazonaws.com", "444455556666", false],
    ["another service", "lambda.amazonaws.com", account, false],
    ["the role itself", role, account, false],
  ] as const)("trust policy allows or denies %s: %#", (_, principal, source, allowed) => {
    const trust = documentsOf("aws_iam_role.execution_role", "assume_role_policy"); // of a user: attacks.test.ts
    const context = {
      "aws:SourceAccount": source,
      "aws:SourceArn": sagemaker("domain/d-one", { of: source }),
    };
    const request = { action: "sts:AssumeRole", resource: role, principal, context };
    expect(simulate({ identity: [], resource: trust }, request).allowed).toBe(allowed);
  });
});

/** Permissions of the other roles. */
const otherRoles: readonly (readonly [
  who: string,
  address: string,
  rows: readonly (readonly [string, string, string, boolean, PolicyRequest["context"]?])[],
])[] = [
  [
    "a scheduled job",
    "aws_iam_role_policy.jobs_role_",
    [
      ["reads what is shared", "s3:GetObject", `${bucket}/shared/data.csv`, true],
      ["cannot read a user's object", "s3:GetObject", `${bucket}/people/ana/data.csv`, false],
      ["writes its output", "s3:PutObject", `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`, true],
      ["cannot write other objects", "s3:PutObject", `${bucket}/shared/data.csv`, false],
      ["cannot write the payload", "s3:PutObject", `${bucket}/marimo/payload/current`, false],
      [
        "cannot delete its output",
        "s3:DeleteObject",
        `${bucket}/shared/jobs/marimo-dev-daily-1/page.html`,
        false,
      ],
      ["writes its log", "logs:PutLogEvents", jobLog("marimo-dev-a/algo-1-1"), true],
      ["cannot read logs", "logs:GetLogEvents", jobLog("marimo-dev-a/algo-1-1"), false],
      ["cannot start a job", "sagemaker:CreateProcessingJob", job, false, requestKeys()],
      [
        "cannot open Studio",
        "sagemaker:CreatePresignedDomainUrl",
        sagemaker("user-profile/d-one/ana"),
        false,
      ],
      ["cannot pass a role", "iam:PassRole", jobRole, false, passedTo("sagemaker")],
    ],
  ],
  [
    "a custom image",
    "aws_iam_role_policy.images_pull",
    [
      ["pulls its repository", "ecr:BatchGetImage", images("team/geo"), true],
      ["cannot pull another repository", "ecr:BatchGetImage", images("team/geo-2"), false],
      ["cannot push", "ecr:PutImage", images("team/geo"), false],
      [
        "gets a token in its Region",
        "ecr:GetAuthorizationToken",
        "*",
        true,
        { "aws:RequestedRegion": region },
      ],
      ["gets none elsewhere", "ecr:GetAuthorizationToken", "*", false, elsewhere],
      ["cannot read the bucket", "s3:GetObject", `${bucket}/data.csv`, false],
    ],
  ],
  [
    "what a user's job needs",
    "aws_iam_policy.job_users_job_runtime",
    [
      ["writes its log", "logs:PutLogEvents", jobLog("marimo-dev-ana-a/algo-1-1"), true],
      ["cannot write another user's log", "logs:PutLogEvents", jobLog("marimo-dev-bo-a/algo-1-1"), false],
      ["cannot write another log", "logs:PutLogEvents", log("/aws/lambda/one"), false],
      ["describes the network", "ec2:DescribeSubnets", "*", true, { "aws:RequestedRegion": region }],
      ["describes no network elsewhere", "ec2:DescribeSubnets", "*", false, elsewhere],
      ["cannot create a subnet", "ec2:CreateSubnet", `arn:aws:ec2:${region}:${account}:subnet/*`, false],
    ],
  ],
  [
    "the scheduler",
    "aws_iam_role_policy.schedules_policy",
    [
      ["starts jobs with the name prefix", "sagemaker:CreateProcessingJob", job, true, requestKeys()],
      ["cannot start a job that no budget counts", "sagemaker:CreateProcessingJob", job, false],
      ["cannot start other jobs", "sagemaker:CreateProcessingJob", sagemaker("processing-job/one"), false],
      ["passes the jobs' role", "iam:PassRole", jobRole, true, passedTo("sagemaker")],
      ["cannot pass the jobs' role to another service", "iam:PassRole", jobRole, false, passedTo("lambda")],
      ["cannot pass another role", "iam:PassRole", role, false, passedTo("sagemaker")],
      [
        "writes to the dead-letter queue",
        "sqs:SendMessage",
        `arn:aws:sqs:${region}:${account}:marimo-dev-schedules`,
        true,
      ],
      ["cannot write to another queue", "sqs:SendMessage", `arn:aws:sqs:${region}:${account}:other`, false],
      ["cannot stop a job", "sagemaker:StopProcessingJob", job, false],
    ],
  ],
];

describe.each(otherRoles)("%s", (_, address, cases) => {
  for (const [what, action, resource, allowed, context = {}] of cases) {
    it(`${what} (${action})`, () => {
      const identity = documentsOf(address);
      const vpce = documents
        .flatMap(({ document }) => document.Statement)
        .find(({ Sid }) => Sid === "OnlyThroughTheVpc")?.Condition?.StringNotEquals?.["aws:SourceVpce"];
      const inside = { "aws:SourceVpce": String([vpce].flat()[0]), "aws:ViaAWSService": "false" };
      const request = { action, resource, tags: { StudioUser: "ana" }, context: { ...inside, ...context } };
      expect(simulate({ identity }, request).allowed).toBe(allowed);
    });
  }
});

/** Python code that prints parliament's findings for documents, which are passed as JSON by address. */
const program = `
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
  const byAddress = Object.fromEntries(
    these.map((one) => [`${one.address}.${one.attribute}`, readable(one)] as const),
  );
  const result = await capture(python, ["-W", "ignore", "-c", program, JSON.stringify(byAddress)]);
  if (result?.status !== 0) throw new Error(`parliament failed:\n${result?.stderr}`);
  return result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as PolicyFinding);
}

/**
 * Works around two limits of parliament 1.6.4. It requires a Resource in each statement, which a trust policy does not
 * have. It takes the colon in a variable other than `aws:…` for a colon of the ARN.
 */
function readable({ attribute, document }: IamDocument): PolicyDocument {
  const itself = attribute === "assume_role_policy" ? { Resource: role } : {};
  const statements = [document.Statement].flat().map((statement) => ({ ...statement, ...itself }));
  return JSON.parse(
    JSON.stringify({ ...document, Statement: statements }).replace(/\$\{sagemaker:\w+\}/g, "any"),
  ) as PolicyDocument;
}

/** Accepted findings with their reasons. */
const justified: readonly (Omit<PolicyFinding, "detail"> & {
  readonly detail: RegExp;
  readonly reason: string;
})[] = [
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "RESOURCE_STAR",
    detail: /kms:/,
    reason:
      "in a key policy, the resource * is only that key (AWS KMS Developer Guide, Creating a key policy)",
  },
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "UNKNOWN_CONDITION_FOR_ACTION",
    detail: /^Unknown condition kms:EncryptionContext:aws:logs:arn for action kms:Describe/,
    reason:
      "the statement is from the CloudWatch Logs User Guide (Encrypt log data). The condition makes Describe* grant nothing",
  },
  {
    address: "aws_kms_key.encryption_key.policy",
    issue: "MISMATCHED_TYPE",
    detail: /^Type mismatch: ArnLike requires a value of type Arn but given String$/,
    reason:
      "the same statement: the value of this key is a log group's ARN, which parliament does not recognize",
  },
  ...["aws_iam_policy.execution_artifacts_policy", "aws_iam_role_policy.jobs_role_artifacts"].map(
    (address) => ({
      address: `${address}.policy`,
      issue: "UNKNOWN_CONDITION_FOR_ACTION",
      detail: /^Unknown condition aws:ViaAWSService for action/,
      reason: "parliament 1.6.4 does not know this global condition key (IAM User Guide)",
    }),
  ),
  {
    address: "aws_iam_policy.job_users_services_policy.policy",
    issue: "RESOURCE_MISMATCH",
    detail: /required_format/,
    reason: "one pattern for all kinds, because a policy has 6,144 characters: the actions name the kinds",
  },
  {
    address: "aws_iam_policy.job_users_services_policy.policy",
    issue: "UNKNOWN_CONDITION_FOR_ACTION",
    detail:
      /^Unknown condition sagemaker:KeepAlivePeriod for action sagemaker:CreateHyperParameterTuningJob$/,
    reason: "…IfExists: a tuning job has no warm pool, and its statement is that of training jobs",
  },
  {
    address: "aws_iam_policy.job_users_jobs_policy.policy",
    issue: "UNKNOWN_CONDITION_FOR_ACTION",
    detail: /^Unknown condition sagemaker:InstanceTypes for action sagemaker:Create\w+Job$/,
    reason: "a Deny: it names the jobs that are allowed by one pattern, and no statement allows the others",
  },
  ...["logs", "s3", "studio"].map((name) => ({
    address: `aws_vpc_endpoint.network_${name}_endpoint.policy`,
    issue: "RESOURCE_MISMATCH",
    detail: /required_format/,
    reason:
      "an endpoint policy grants no permissions (AWS PrivateLink Guide). It intentionally blocks actions that do not match " +
      "its resource",
  })),
  ...["sagemaker_api", "scheduler"].map((name) => ({
    address: `aws_vpc_endpoint.network_${name}_endpoint.policy`,
    issue: "RESOURCE_STAR",
    detail: /sagemaker:|scheduler:/,
    reason: "the same: it allows only principals of this account, whose own policies restrict the resources",
  })),
];

describe("parliament", () => {
  const accepts = (finding: PolicyFinding) => (one: (typeof justified)[number]) =>
    one.address === finding.address && one.issue === finding.issue && one.detail.test(finding.detail);

  it("has only accepted findings, and every accepted finding occurs", async () => {
    const findings = await lint(documents);
    expect(findings.filter((finding) => !justified.some(accepts(finding)))).toEqual([]);
    expect(justified.filter((one) => !findings.some((finding) => accepts(finding)(one)))).toEqual([]);
    const kinds = documents.map(({ address }) => address.split(".")[0]);
    expect(kinds).toEqual(
      expect.arrayContaining([
        ...["aws_iam_role", "aws_iam_role_policy", "aws_iam_policy", "aws_kms_key", "aws_s3_bucket_policy"],
      ]),
    );
  });

  it.each([
    ["an unknown action", { Action: "s3:GetObjects" }, "UNKNOWN_ACTION"],
    ["a resource that does not match the action", { Resource: "arn:aws:s3:::bucket" }, "RESOURCE_MISMATCH"],
    ["an unrestricted resource", { Resource: "*" }, "RESOURCE_STAR"],
    [
      "an unknown condition key",
      { Condition: { StringEquals: { "s3:none": "x" } } },
      "UNKNOWN_CONDITION_FOR_ACTION",
    ],
  ])("reports %s", async (_, change, issue) => {
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
