import { environments } from "../../src/environments.ts";
import type { AccessSettings, BucketGrant } from "../../src/settings/access.ts";
import type { AiSettings } from "../../src/settings/ai.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import type { BudgetSettings, GuardRailSettings } from "../../src/settings/guard-rails.ts";
import type { ImageSettings } from "../../src/settings/images.ts";
import type { JobSettings } from "../../src/settings/jobs.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import type { ScheduleSettings } from "../../src/settings/schedules.ts";
import { type Synthesized, synthesize } from "./synthesize.ts";

const userProfiles = [{ name: "ana" }, { name: "bo" }];

const existing = {
  bucket: "acme-studio",
  encryptionKeyArn: "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  executionRoleArn: "arn:aws:iam::123456789012:role/studio",
};
const network = { vpcId: "vpc-0123abcd", subnetIds: ["subnet-0123abcd", "subnet-0123abce"] };
const permissionsBoundaryArn = "arn:aws:iam::123456789012:policy/boundary";

const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/warehouse-AbCdEf";
const imageUri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/image:1.0";
const budget: Required<BudgetSettings> = {
  monthlyUsd: 500,
  alertAddresses: ["team@example.com"],
  alertPercents: [50, 100],
  stopAtPercent: 100,
};
const guardRails: Required<GuardRailSettings> = {
  allowedInstanceTypes: ["ml.t3.medium", "ml.m5.large"],
  maximumSpacesPerUser: 2,
  spaceVolumeGb: { default: 10, maximum: 50 },
  requiredTags: ["Team"],
  budget,
  budgetPerUser: budget,
};
const jobs: Required<JobSettings> = {
  allowedInstanceTypes: ["ml.m5.large"],
  defaultInstanceType: "ml.m5.large",
  maximumInstances: 2,
  maximumMinutes: 60,
  volumeGb: 30,
  maximumSchedulesPerUser: 5,
  shortestScheduleMinutes: 60,
  imageUri,
  gpuImageUri: imageUri,
  secrets: [secret],
  alertAddresses: ["team@example.com"],
  notifications: { emailDomains: ["example.com"] },
};
/** `team` and `runAs` exclude one another. */
const schedule: Required<Omit<ScheduleSettings, "team">> = {
  name: "daily",
  notebook: "sample-notebooks/01_explore_data.py",
  files: ["prices.csv"],
  lock: "prices.csv",
  expression: "rate(1 day)",
  timeZone: "Europe/Berlin",
  instanceType: "ml.m5.large",
  arguments: ["--env", "prod"],
  secrets: { WAREHOUSE: secret },
  timeLimitMinutes: 10,
  enabled: true,
  runAs: "ana",
};
const bucket: Required<BucketGrant> = {
  name: "acme-lake",
  prefix: "curated/",
  write: true,
  encryptionKeyArn: "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-44cd-96ef-1234567890ab",
  account: "999988887777",
};
const access: Required<AccessSettings> = {
  buckets: [bucket, { name: "acme-raw" }],
  glueDatabases: ["sales"],
  secrets: ["warehouse", "marimo/*"],
  athena: { bytesScannedCutoffGb: 100 },
  redshift: [
    { cluster: "warehouse", database: "sales" },
    { workgroupId: "1234abcd-12ab-34cd-56ef-1234567890ab", database: "sales" },
  ],
  lakeFormation: true,
};
export const ai: Required<AiSettings> = {
  region: "us-east-1",
  chatModel: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
  editModel: "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
  autocompleteModel: "amazon.nova-lite-v1:0",
  maxTokens: 4096,
  guardrail: { id: "abcd1234efgh", version: "1" },
  allowedModels: ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/team1234abcd"],
  costByUser: true,
};
const image: Required<ImageSettings> = { name: "geo", imageUri, gpu: true };

/** Every setting that does not name an existing resource. The compiler requires each new setting here. */
export const everything: Required<Omit<EnvironmentSettings, "existing">> = {
  name: "all",
  deployers: ["arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:user/ana"],
  audit: {
    retentionDays: 730,
    alertAddresses: ["security@example.com"],
  },
  homeBackup: {
    intervalMinutes: 60,
    include: ["marimo-notebooks"],
    exclude: ["*.parquet"],
    maximumSizeGb: 20,
  },
  region: "us-east-1",
  tags: { Team: "a" },
  vpcCidr: "10.0.0.0/16",
  availabilityZones: ["us-east-1a", "us-east-1b"],
  egress: "nat-per-zone",
  dataPerimeter: false,
  userProfiles: [{ name: "ana", defaultInstanceType: "ml.m5.large" }, { name: "bo" }],
  authentication: "IAM",
  defaultInstanceType: "ml.t3.medium",
  idleTimeoutMinutes: 60,
  repositories: [{ repositoryUrl: "https://github.com/acme/private", secretArn: secret }],
  images: [image],
  marimoVersion: marimoDefaults.marimoVersion,
  extraPackages: [],
  packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  transport: "auto",
  sampleNotebooks: true,
  appsFolder: "apps",
  runOnOpen: true,
  ai,
  guardRails,
  jobs,
  services: {
    serverlessEndpoints: true,
    featureStore: true,
    mlflowArn: "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team",
    instanceEndpoints: { timeoutHours: 12, allowedInstanceTypes: ["ml.m5.large"] },
  },
  schedules: [
    schedule,
    {
      name: "weekly",
      notebook: "sample-notebooks/01_explore_data.py",
      expression: "rate(7 days)",
      team: "forecasting",
    },
    { name: "monthly", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(30 days)" },
  ],
  access,
  teams: [
    { name: "forecasting", members: ["ana", "bo"], access, allowedInstanceTypes: ["ml.g5.12xlarge"] },
    { name: "vision", members: ["bo"], access: { glueDatabases: ["images"] } },
  ],
  permissionsBoundaryArn,
  account: "123456789012",
  awsProviderVersion: "~> 5.100",
  backend: { type: "s3", bucket: "acme-terraform" },
  homeFileSystemRetention: "Delete",
  removalProtection: false,
  bucketForceDestroy: true,
};

/**
 * Environments for scanners: those in the settings, each egress with each authentication, and all optional resources.
 */
export const everyEnvironment: readonly EnvironmentSettings[] = [
  ...environments,
  ...(["nat", "nat-per-zone", "endpoints-only"] as const).flatMap((egress) =>
    (["IAM", "SSO"] as const).map((authentication) => ({
      name: `${egress}-${authentication.toLowerCase()}`,
      egress,
      authentication,
      userProfiles:
        authentication === "SSO"
          ? userProfiles.map(({ name }) => ({ name, ssoUserName: `${name}@example.com` }))
          : userProfiles,
    })),
  ),
  {
    name: "packages",
    egress: "endpoints-only",
    services: {
      featureStore: true,
      mlflowArn: "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team",
    },
    packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
  },
  {
    name: "ai",
    egress: "endpoints-only",
    userProfiles,
    ai: { chatModel: "eu.amazon.nova-pro-v1:0" },
    region: "eu-west-1",
  },
  {
    name: "repositories",
    repositories: [
      "https://github.com/acme/models",
      {
        repositoryUrl: "https://github.com/acme/private",
        secretArn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/git-AbCdEf",
      },
    ],
  },
  {
    name: "images",
    images: [
      { name: "geo", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0" },
      { name: "torch", imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/torch:1.0", gpu: true },
    ],
  },
  { name: "china", region: "cn-north-1", userProfiles: [] },
  { name: "existing", userProfiles, access: { athena: access.athena }, existing: { ...existing, network } },
  { name: "bounded", permissionsBoundaryArn },
  {
    name: "scheduled",
    schedules: [
      { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
    ],
    jobs: {
      alertAddresses: ["team@example.com"],
      allowedInstanceTypes: ["ml.m5.large"],
      secrets: ["arn:aws:secretsmanager:us-east-1:123456789012:secret:marimo/warehouse-AbCdEf"],
    },
  },
  everything,
  { name: "unrecorded", audit: false },
  { name: "attached", existing: { ...existing, bucket: "acme-attached", domainId: "d-0123456789ab" } },
];

export const synthesizeEvery = (): ReadonlyMap<string, Synthesized> =>
  new Map(everyEnvironment.map((settings) => [settings.name, synthesize(settings)]));
