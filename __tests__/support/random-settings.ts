import fc from "fast-check";
import type { AccessSettings, BucketGrant } from "../../src/settings/access.ts";
import type { AiSettings, GuardrailSettings } from "../../src/settings/ai.ts";
import type { AuditSettings } from "../../src/settings/audit.ts";
import { basicDefaults } from "../../src/settings/basics.ts";
import { formatCidr, networkOf } from "../../src/settings/cidr.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import type { ExistingNetworkSettings, ExistingSettings } from "../../src/settings/existing.ts";
import type { BudgetSettings, GuardRailSettings } from "../../src/settings/guard-rails.ts";
import type { HomeBackupSettings } from "../../src/settings/home-backup.ts";
import type { ImageSettings } from "../../src/settings/images.ts";
import { type JobSettings, jobDefaults, mostJobInstanceTypes } from "../../src/settings/jobs.ts";
import { marimoDefaults, transports } from "../../src/settings/marimo.ts";
import { processingInstanceTypes } from "../../src/settings/processing.ts";
import { studioInstanceTypes } from "../../src/settings/reference/instance-types.ts";
import { providerRegions } from "../../src/settings/reference/regions.ts";
import type { RepositorySettings } from "../../src/settings/repositories.ts";
import type { ScheduleSettings } from "../../src/settings/schedules.ts";
import type { InstanceEndpointSettings, ServiceSettings } from "../../src/settings/services.ts";
import { studioDefaults, type UserProfileSettings } from "../../src/settings/studio.ts";
import type { TeamSettings } from "../../src/settings/teams.ts";
import type { S3BackendSettings } from "../../src/settings/terraform.ts";

/** A generator for each setting of an object. The compiler requires a generator for every new setting. */
type Arbitraries<T> = Readonly<Record<keyof T, fc.Arbitrary<unknown>>>;

type Settings = Record<string, unknown>;

/** Converts any value to text. `String` throws if an object has an invalid `toString`. */
const text = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

const anything = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    0,
    -1,
    1e9,
    Number.NaN,
    true,
    [],
    {},
    [null],
    { name: "x" },
    `\${x}`,
    "%{if",
  ),
  fc.string({ unit: "binary" }),
  fc.double(),
  fc.array(fc.string()),
  fc.dictionary(fc.string(), fc.string()),
);

/** Generates mostly valid values. With some forty settings, about six in ten environments are rejected. */
const mostly = (right: fc.Arbitrary<unknown>, wrong: fc.Arbitrary<unknown> = anything, weight = 140) =>
  fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: fc.oneof(wrong, anything) });

const list = (
  item: fc.Arbitrary<unknown>,
  maxLength: number,
  selector: (item: unknown) => unknown = (one) => one,
) =>
  fc.oneof(
    { weight: 140, arbitrary: fc.uniqueArray(item, { minLength: 1, maxLength, selector }) },
    { weight: 1, arbitrary: fc.array(item, { minLength: maxLength + 1, maxLength: maxLength + 2 }) },
  );

/** Generates an object with a part of its settings. */
const some = <T>(settings: Arbitraries<T>, requiredKeys: readonly (string & keyof T)[] = []) =>
  fc.record(settings as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [...requiredKeys] });

/**
 * Names from suffixes of resource names, because the name of an environment could collide with a resource of another.
 */
const name = fc.oneof(
  fc
    .array(fc.constantFrom("a", "b", "logs", "domain", "user", "budget", "vpc", "studio"), {
      minLength: 1,
      maxLength: 3,
    })
    .map((parts) => parts.join("-").slice(0, 20)),
  fc.stringMatching(/^[a-z](-?[a-z0-9]){0,9}$/),
  fc.constantFrom("a".repeat(20), `a${"-".repeat(18)}z`),
);
const instanceType = fc.constantFrom(...studioInstanceTypes);
const vpcCidr = fc
  .record({
    first: fc.constantFrom(10 * 2 ** 24, 172 * 2 ** 24 + 16 * 2 ** 16, 192 * 2 ** 24 + 168 * 2 ** 16),
    rest: fc.nat(2 ** 16 - 1),
    prefix: fc.integer({ min: 16, max: 26 }),
  })
  .map(({ first, rest, prefix }) => formatCidr(networkOf({ first: first + rest, prefix })));
const userName = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9](-?[a-zA-Z0-9]){0,7}$/),
  fc.stringMatching(/^[a-z0-9]{1,15}$/),
  // With an environment of 20 characters, 15 are allowed.
  fc.constantFrom("constructor", "a".repeat(15), "b".repeat(14)),
);
const longTag = fc.constantFrom("x".repeat(128), "=".repeat(100));
const tagText = (max: number, letters: string) =>
  fc.stringMatching(new RegExp(`^[A-Za-z0-9 _.:/=+@${letters}-]{1,${max}}$`, "u"));
const tagsOf = (letters: string) =>
  fc.dictionary(
    fc.oneof(tagText(128, letters), longTag),
    fc.oneof(tagText(256, letters), fc.constantFrom("v".repeat(256), "")),
    { maxKeys: 46 },
  );
const codeArtifact = fc
  .constantFrom("us-east-1", "eu-west-1", "us-west-2")
  .map((region) => `https://team-111122223333.d.codeartifact.${region}.amazonaws.com/pypi/python/simple/`);

/** The test has a lock file for each combination of a version and a list. */
export const locked = {
  marimoVersion: [marimoDefaults.marimoVersion, "0.24.0", "1.0.0"],
  extraPackages: [[], ["polars==1.30.0"], ["numpy==2.3.1", 'torch==2.7.0; python_version >= "3.12"']],
} as const;

/**
 * `REGION` is replaced with the Region of the environment. The provider requires a UUID, which AWS's example is not.
 */
const keyArn = fc
  .constant("1234abcd-12ab-44cd-96ef-1234567890ab")
  .map((id) => `arn:aws:kms:REGION:111122223333:key/${id}`);
const bucketName = mostly(
  fc.stringMatching(/^[a-z0-9]{3,63}$/),
  fc.constantFrom("Upper", "a..b", "10.0.0.1", "xn--a-b"),
);

const userProfile: Arbitraries<UserProfileSettings> = {
  name: mostly(userName, fc.constantFrom("-a", "a.b", "a".repeat(64), "ana smith")),
  // Rejected without `authentication: "SSO"`.
  ssoUserName: mostly(
    fc.oneof(fc.emailAddress(), fc.stringMatching(/^[a-z0-9ñß+$=.,@-]{1,128}$/u)),
    fc.constantFrom("ana smith", "", "$" + "{a}", "a".repeat(129)),
  ),
  defaultInstanceType: mostly(instanceType, fc.constant("ml.t3.nano")),
};

const repositoryUrl = fc.stringMatching(
  /^https:\/\/[a-z]{1,9}\.org(\/[A-Za-z0-9_][A-Za-z0-9._-]{0,9}x){1,3}$/,
);
const repository: Arbitraries<RepositorySettings> = {
  repositoryUrl,
  secretArn: mostly(
    fc.constant("arn:aws:secretsmanager:REGION:123456789012:secret:marimo/git-AbCdEf"),
    fc.constant("arn:aws:secretsmanager:us-north-9:123456789012:secret:marimo/git-AbCdEf"),
  ),
};

const image: Arbitraries<ImageSettings> = {
  name: mostly(
    fc.oneof(
      fc.stringMatching(/^[a-z0-9](-?[a-z0-9]){0,9}$/),
      fc.constantFrom("constructor", "a".repeat(26)),
    ),
    fc.constantFrom("A", "a--b", "a.b", "a".repeat(55)),
  ),
  imageUri: mostly(
    fc.constantFrom(
      "123456789012.dkr.ecr.REGION.amazonaws.com/team/image:1.0",
      `123456789012.dkr.ecr.REGION.amazonaws.com/image@sha256:${"a".repeat(64)}`,
    ),
    fc.constantFrom("image", "123456789012.dkr.ecr.us-north-9.amazonaws.com/image"),
  ),
  gpu: mostly(fc.boolean(), fc.constant("yes")),
};

const s3Backend: Arbitraries<S3BackendSettings> = {
  type: mostly(fc.constant("s3"), fc.constant("S3")),
  bucket: bucketName,
  key: mostly(
    fc.stringMatching(/^[A-Za-z0-9._-]{3,20}(\/[A-Za-z0-9!'()*-]{3,20}){0,3}$/),
    fc.constantFrom("/a", "a/", "a/../b", `\${x}`, "k".repeat(1018)),
  ),
  region: mostly(fc.constantFrom(...providerRegions), fc.constant("us-east-9")),
  kmsKeyId: mostly(keyArn, fc.constant("alias/state")),
};

const existingNetwork: Arbitraries<ExistingNetworkSettings> = {
  // Few environments have an existing network, so more of its values are invalid.
  vpcId: mostly(fc.stringMatching(/^vpc-[0-9a-f]{17}$/), fc.constant("vpc-1"), 10),
  subnetIds: mostly(
    fc.uniqueArray(fc.stringMatching(/^subnet-[0-9a-f]{17}$/), { minLength: 2, maxLength: 16 }),
    fc.constantFrom(["subnet-12345678"], ["subnet-12345678", "subnet-12345678"], ["a", "b"]),
    10,
  ),
};

const existing: Arbitraries<ExistingSettings> = {
  encryptionKeyArn: mostly(keyArn, fc.constant("alias/studio")),
  bucket: bucketName,
  executionRoleArn: mostly(
    fc.stringMatching(/^arn:aws:iam::[0-9]{12}:role\/([a-z]{1,9}\/){0,2}[A-Za-z0-9+=,.@_-]{1,64}$/),
    fc.constant("arn:aws:iam::111122223333:user/ana"),
  ),
  network: mostly(some(existingNetwork, ["vpcId", "subnetIds"]), fc.constant({ vpcId: "vpc-12345678" })),
  domainId: mostly(fc.stringMatching(/^d-[a-z0-9]{12}$/), fc.constant("domain-1")),
};

const budget: Arbitraries<BudgetSettings> = {
  monthlyUsd: mostly(
    fc.oneof(fc.integer({ min: 1, max: 1e9 }), fc.double({ min: 1, max: 1e9, noNaN: true })),
    fc.constantFrom(0.99, 1e9 + 1),
  ),
  alertAddresses: mostly(
    list(
      fc.stringMatching(/^[a-z!#$%&'*+=?^|~-]{1,9}@[a-z.-]{1,8}\.com$/).filter((one) => !one.includes("..")),
      10,
    ),
    fc.constantFrom(["a b@example.com"], ["a@b"], [], [`\${x}@example.com`], ["%{if}@example.com"]),
  ),
  alertPercents: mostly(list(fc.integer({ min: 1, max: 1000 }), 10), fc.constantFrom([0], [1001], [1.5])),
  stopAtPercent: mostly(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(0, 1001)),
};

const spaceVolumeGb: Arbitraries<NonNullable<GuardRailSettings["spaceVolumeGb"]>> = {
  default: mostly(fc.integer({ min: 5, max: 100 }), fc.constantFrom(4, 16_385)),
  maximum: mostly(fc.integer({ min: 100, max: 16_384 }), fc.constantFrom(4, 16_385)),
};

const guardRails: Arbitraries<GuardRailSettings> = {
  // Also all types, for which the IAM policy must not become too long.
  allowedInstanceTypes: mostly(
    fc.oneof(list(instanceType, 30), fc.shuffledSubarray([...studioInstanceTypes]), fc.constant("any")),
    fc.constantFrom([], ["ml.none"]),
  ),
  maximumSpacesPerUser: mostly(fc.integer({ min: 1, max: 40 }), fc.constantFrom(0, 41, 1.5)),
  spaceVolumeGb: mostly(some(spaceVolumeGb), fc.constant({ default: 9, maximum: 8 })),
  requiredTags: mostly(list(fc.nat(20), 6), fc.constantFrom([], ["NotThere"])),
  budget: mostly(some(budget, ["monthlyUsd", "alertAddresses"])),
  budgetPerUser: mostly(some(budget, ["monthlyUsd", "alertAddresses"])),
};

/** The maximum number of the longest types, for which the IAM policy must not become too long. */
const jobTypes = [
  ...new Set([
    jobDefaults.defaultInstanceType,
    ...processingInstanceTypes.toSorted((one, other) => other.length - one.length),
  ]),
].slice(0, mostJobInstanceTypes);
const jobType = fc.constantFrom(...jobTypes);
/** Generates a value in one of five cases, for settings that exclude many others. */
const sometimes = (arbitrary: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 1, arbitrary }, { weight: 4, arbitrary: fc.constant(undefined) });

const jobs: Arbitraries<JobSettings> = {
  allowedInstanceTypes: mostly(
    fc.constantFrom<unknown>(jobTypes, "any"),
    fc.constantFrom([], ["ml.t3.micro"], [...processingInstanceTypes]),
  ),
  defaultInstanceType: mostly(jobType, fc.constant("ml.p4d.24xlarge")),
  maximumInstances: mostly(
    fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant<unknown>("any")),
    fc.constantFrom<unknown>(0, 101, "all"),
  ),
  maximumMinutes: mostly(fc.integer({ min: 60, max: 12_960 }), fc.constantFrom(0, 12_961, 1.5)),
  volumeGb: mostly(fc.integer({ min: 1, max: 16_384 }), fc.constantFrom(0, 16_385)),
  maximumSchedulesPerUser: mostly(fc.integer({ min: 0, max: 100 }), fc.constantFrom(-1, 101)),
  shortestScheduleMinutes: mostly(fc.integer({ min: 1, max: 1440 }), fc.constantFrom(0, 1441)),
  imageUri: mostly(
    fc.constant("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/image:1.0"),
    fc.constantFrom("image", "x".repeat(256)),
  ),
  gpuImageUri: mostly(
    fc.constant("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/gpu-image:1.0"),
    fc.constantFrom("image", "x".repeat(256)),
  ),
  secrets: mostly(
    fc.constant(["arn:aws:secretsmanager:REGION:123456789012:secret:marimo/warehouse-AbCdEf"]),
    fc.constantFrom([], ["marimo/warehouse"]),
  ),
  // Rejected where there are no roles of users.
  notifications: sometimes(
    mostly(
      fc.constantFrom<unknown>(
        { emailDomains: ["example.com"] },
        { emailDomains: ["a.example.com", "b-c.org"] },
      ),
      fc.constantFrom<unknown>(true, {}, { emailDomains: ["*"] }),
    ),
  ),
  // Rejected without schedules.
  alertAddresses: sometimes(
    mostly(
      fc.constantFrom(["a@example.org"], ["a@example.org", "b.c@example.co.uk"]),
      fc.constantFrom([], ["a@b"], [`\${x}@example.org`]),
    ),
  ),
};
const schedule: Arbitraries<ScheduleSettings> = {
  name: mostly(fc.stringMatching(/^[a-z](-?[a-z0-9]){0,5}$/), fc.constantFrom("A", "a-", "a".repeat(30))),
  notebook: mostly(
    fc.constant("sample-notebooks/01_explore_data.py"),
    fc.constantFrom("../../x.py", "sample-notebooks/none.py", "sample-notebooks/prices.csv"),
  ),
  files: mostly(fc.constant(["prices.csv"]), fc.constantFrom([], ["none.csv"], ["../package.json"])),
  lock: mostly(fc.constant("prices.csv"), fc.constant("none.lock")),
  expression: mostly(
    fc.constantFrom(
      "rate(1 day)",
      "rate(30 minutes)",
      "cron(0 7 ? * MON-FRI *)",
      "cron(15 10 L * ? 2026-2030)",
    ),
    fc.constantFrom("rate(1 days)", "cron(0 7 * * *)", "cron(60 7 ? * 1 *)", "at(2026-01-01T00:00:00)"),
  ),
  timeZone: mostly(fc.constantFrom("UTC", "Europe/Berlin"), fc.constantFrom("Mars/Olympus", "+02:00")),
  instanceType: mostly(jobType, fc.constant("ml.none")),
  arguments: mostly(
    fc.array(
      fc.string({ maxLength: 200 }).filter((one) => !/[$%]\{|<aws\./.test(one)),
      { minLength: 1, maxLength: 9 },
    ),
    fc.constantFrom([], ["x".repeat(257)], [`\${x}`], ["<aws.scheduler.execution-id>"]),
  ),
  // Rejected if `jobs.secrets` does not have it.
  secrets: sometimes(
    mostly(
      fc.constant({
        WAREHOUSE: "arn:aws:secretsmanager:REGION:123456789012:secret:marimo/warehouse-AbCdEf",
      }),
      fc.constantFrom({}, { "a-b": "" }),
    ),
  ),
  timeLimitMinutes: mostly(fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 12_961)),
  enabled: mostly(fc.boolean(), fc.constant("no")),
  // The index of a user.
  runAs: sometimes(mostly(fc.nat(20), fc.constantFrom("nobody", "ana-b"))),
  // The index of a team.
  team: sometimes(mostly(fc.nat(20), fc.constant("nobody"))),
};

const bucketGrant: Arbitraries<BucketGrant> = {
  name: mostly(fc.stringMatching(/^[a-z0-9]{3,63}$/), fc.constantFrom("Upper", "a..b")),
  prefix: mostly(
    fc.stringMatching(/^([A-Za-z0-9._-]{1,20}\/){1,3}$/),
    fc.constantFrom("/", "a", "a*/", `\${x}/`, "p".repeat(513)),
  ),
  write: mostly(fc.boolean(), fc.constant("yes")),
  encryptionKeyArn: mostly(keyArn, fc.constant("alias/lake")),
  account: mostly(fc.stringMatching(/^[0-9]{12}$/), fc.constantFrom("1", "lake")),
};
const redshiftDatabase = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,20}$/);
const access: Arbitraries<AccessSettings> = {
  buckets: mostly(
    fc.uniqueArray(some(bucketGrant, ["name"]), {
      minLength: 1,
      maxLength: 4,
      selector: (one) => text((one as Settings).name),
    }),
    fc.constantFrom([], [{}], ["acme"]),
  ),
  glueDatabases: mostly(list(fc.stringMatching(/^[a-z0-9_-]{1,40}$/), 10), fc.constantFrom([], ["A"], ["*"])),
  secrets: mostly(
    list(fc.stringMatching(/^[A-Za-z0-9_+=.@-]{1,20}(\/[A-Za-z0-9_+=.@-]{1,9}){0,2}(\/\*)?$/), 10),
    fc.constantFrom([], ["*"], ["a b"]),
  ),
  athena: mostly(
    fc.integer({ min: 1, max: 1_000_000 }).map((bytesScannedCutoffGb) => ({ bytesScannedCutoffGb })),
    fc.constantFrom({}, true, { bytesScannedCutoffGb: 0 }, { bytesScannedCutoffGb: 1.5 }),
  ),
  redshift: mostly(
    fc.uniqueArray(
      fc.oneof(
        fc.record({ cluster: fc.stringMatching(/^[a-z](-?[a-z0-9]){0,20}$/), database: redshiftDatabase }),
        fc.record({ workgroupId: fc.uuid(), database: redshiftDatabase }),
      ),
      { minLength: 1, maxLength: 2, selector: (one) => JSON.stringify(one) },
    ),
    fc.constantFrom<unknown>([], [{}], [{ cluster: "A", database: "a" }], "warehouse"),
  ),
  lakeFormation: mostly(fc.boolean(), fc.constant("yes")),
};
const team: Arbitraries<TeamSettings> = {
  name: mostly(fc.stringMatching(/^[a-z](-?[a-z0-9]){0,9}$/), fc.constantFrom("A", "a--b", "a".repeat(21))),
  // The indexes of users.
  members: mostly(
    fc.uniqueArray(fc.nat(20), { minLength: 1, maxLength: 4 }),
    fc.constantFrom([], ["nobody"]),
  ),
  access: mostly(some(access)),
  allowedInstanceTypes: sometimes(
    mostly(list(fc.constantFrom(...processingInstanceTypes), 3), fc.constantFrom([], ["ml.none"], "any")),
  ),
};

const audit: Arbitraries<AuditSettings> = {
  retentionDays: mostly(fc.integer({ min: 1, max: 3653 }), fc.constantFrom(0, 3654, 1.5)),
  alertAddresses: mostly(fc.constant(["a@example.org"]), fc.constantFrom([], ["a@b"])),
};

const homePath = fc.stringMatching(/^[a-z.]{1,9}[a-z](\/[A-Za-z0-9 _+@=,~-]{1,9}){0,3}$/);
const homeBackup: Arbitraries<HomeBackupSettings> = {
  intervalMinutes: mostly(fc.integer({ min: 5, max: 1440 }), fc.constantFrom(4, 1441, 7.5)),
  include: mostly(list(homePath, 5), fc.constantFrom([], ["/a"], ["a/../b"], ["*"])),
  exclude: mostly(
    list(
      homePath.map((path) => `*${path}`),
      5,
    ),
    fc.constantFrom([], ["/a"], [`\${a}`], "a"),
  ),
  maximumSizeGb: mostly(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(0, 1001, 0.5)),
};

const services: Arbitraries<ServiceSettings> = {
  serverlessEndpoints: mostly(fc.constant(false), fc.constantFrom(true, "yes")),
  featureStore: mostly(fc.boolean(), fc.constant("yes")),
  mlflowArn: mostly(
    fc.constantFrom(
      "arn:aws:sagemaker:REGION:123456789012:mlflow-tracking-server/team",
      "arn:aws:sagemaker:REGION:123456789012:mlflow-app/app-0123",
    ),
    fc.constantFrom("team", "arn:aws:sagemaker:REGION:123456789012:model/team"),
  ),
  instanceEndpoints: some({
    timeoutHours: mostly(fc.integer({ min: 1, max: 8760 }), fc.constantFrom(0, 8761, 1.5)),
    allowedInstanceTypes: mostly(
      fc.constantFrom(["ml.m5.large"], ["ml.t2.medium", "ml.g4dn.xlarge"]),
      fc.constantFrom([], ["ml.t3.medium"]),
    ),
  } satisfies Arbitraries<InstanceEndpointSettings>),
};
const model = mostly(
  fc.oneof(
    fc.constantFrom("amazon.nova-lite-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    fc.stringMatching(/^(global\.)?[a-z0-9]{1,9}\.[a-z0-9-]{1,20}(:[0-9])?$/),
    fc.constant("arn:aws:bedrock:REGION:123456789012:application-inference-profile/team1234abcd"),
  ),
  fc.constantFrom("bedrock/amazon.nova-lite-v1:0", "claude", "*"),
);
const guardrail: Arbitraries<GuardrailSettings> = {
  id: mostly(fc.stringMatching(/^[a-z0-9]{1,12}$/), fc.constant("A-b")),
  version: mostly(fc.constantFrom("1", "12", "DRAFT"), fc.constantFrom("0", "draft")),
};
const ai: Arbitraries<AiSettings> = {
  region: fc.constant(undefined),
  chatModel: model,
  editModel: model,
  autocompleteModel: model,
  maxTokens: mostly(fc.integer({ min: 1, max: 128_000 }), fc.constantFrom(0, 1.5)),
  guardrail: mostly(some(guardrail, ["id", "version"]), fc.constantFrom("x", {})),
  allowedModels: mostly(list(model, 10), fc.constant([])),
  // True goes only with the environment's Region, roles of users, and a name that Bedrock takes.
  costByUser: mostly(fc.constantFrom(false, false, false, true), fc.constant("yes")),
};

const environment: Arbitraries<EnvironmentSettings> = {
  name: mostly(name, fc.constantFrom("a".repeat(21), "A", "a-", "1a", "constructor", undefined)),
  region: mostly(fc.constantFrom(...providerRegions), fc.constantFrom("us-east-9", "ap-southeast-6", 1)),
  vpcCidr: mostly(
    vpcCidr,
    fc.constantFrom("10.0.0.0/15", "10.0.0.0/27", "8.8.0.0/16", "10.0.0.1/16", "172.17.0.0/16"),
  ),
  availabilityZones: mostly(
    fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 2, maxLength: 2 }),
    fc.constantFrom(["a"], ["a", "a"], ["a", "b", "c"], ["1a", "-bos-1a"]),
  ),
  egress: mostly(fc.constantFrom("nat", "nat-per-zone", "endpoints-only"), fc.constant("none")),
  // Rejected without endpoints.
  dataPerimeter: mostly(fc.boolean(), fc.constant("yes")),
  userProfiles: mostly(
    fc.uniqueArray(some(userProfile, ["name"]), {
      selector: (user) => text((user as Settings).name).toLowerCase(),
      maxLength: 8,
    }),
    fc.constantFrom([{ name: "ana" }, { name: "Ana" }], [{}], ["ana"]),
  ),
  authentication: mostly(fc.constantFrom("IAM", "SSO"), fc.constant("sso")),
  defaultInstanceType: mostly(instanceType, fc.constantFrom("system", "ml.none", 3)),
  idleTimeoutMinutes: mostly(fc.integer({ min: 60, max: 525_600 }), fc.constantFrom(59, 525_601, 60.5, "60")),
  repositories: mostly(
    fc.uniqueArray(fc.oneof(repositoryUrl, some(repository, ["repositoryUrl"])), {
      selector: (one) => text(isSettings(one) ? one.repositoryUrl : one).replace(/^.*\//, ""),
      maxLength: 10,
    }),
    fc.constantFrom(
      ["https://x.org"],
      ["http://x.org/a"],
      ["https://me:word@x.org/a"],
      ["https://x.org/.a"],
      [{}],
      [{ repositoryUrl: "https://x.org/a", secretArn: "a" }],
      "a",
    ),
  ),
  images: sometimes(
    mostly(
      fc.uniqueArray(some(image, ["name", "imageUri"]), {
        selector: (one) => text((one as Settings).name),
        maxLength: 3,
      }),
      fc.constantFrom([{}], ["image"]),
    ),
  ),
  marimoVersion: mostly(
    fc.constantFrom(...locked.marimoVersion),
    fc.constantFrom("0.23.13", "latest", "0.25.1"),
  ),
  extraPackages: mostly(
    fc.constantFrom(...locked.extraPackages),
    fc.constantFrom(["polars>=1"], ["marimo==1.0"], ["-r x"], ["not-locked==1.0"], ["a==1", "A==1"]),
  ),
  packageIndexUrl: mostly(
    fc.oneof(
      fc.stringMatching(
        /^https:\/\/[a-z]{1,9}(\.[a-z]{1,9}){0,3}(:8443)?(\/[A-Za-z0-9._~%+-]{1,9}){0,3}\/?$/,
      ),
      codeArtifact,
    ),
    fc.constantFrom("http://example.org/simple/", "https://me:word@example.org/simple/", `https://x/\${y}`),
  ),
  transport: mostly(fc.constantFrom(...transports), fc.constant("http")),
  sampleNotebooks: mostly(fc.boolean(), fc.constant("yes")),
  runOnOpen: mostly(fc.boolean(), fc.constant("yes")),
  appsFolder: mostly(
    fc.constantFrom("apps", "team.apps_2", "a".repeat(64)),
    fc.constantFrom("../apps", "", "a".repeat(65)),
  ),
  tags: mostly(
    fc.oneof(tagsOf("é"), tagsOf("éж字𝒌")),
    fc.constantFrom(
      { "aws:x": "" },
      { Project: "x" },
      { a: "", A: "" },
      { a: `\${x}` },
      { a: 1 },
      { "😀": "" },
    ),
  ),
  guardRails: mostly(some(guardRails)),
  jobs: sometimes(mostly(some(jobs))),
  schedules: fc.oneof(
    {
      weight: 1,
      arbitrary: mostly(
        fc.uniqueArray(some(schedule, ["name", "notebook", "expression"]), {
          selector: (one) => text((one as Settings).name),
          maxLength: 3,
        }),
        fc.constantFrom([{}], ["daily"]),
      ),
    },
    { weight: 4, arbitrary: fc.constant(undefined) },
  ),
  deployers: mostly(
    list(
      fc
        .stringMatching(/^(role|user)\/([a-z]{1,9}\/){0,2}[A-Za-z0-9+=,.@_-]{1,64}$/)
        .map((name) => `arn:aws:iam::111122223333:${name}`),
      5,
    ),
    fc.constantFrom([], ["deploy"], ["arn:aws:iam::111122223333:group/x"]),
  ),
  services: sometimes(mostly(some(services, []), fc.constant(true))),
  access: sometimes(mostly(some(access))),
  teams: sometimes(
    mostly(
      fc.uniqueArray(some(team, ["name", "members", "access"]), {
        minLength: 1,
        maxLength: 3,
        selector: (one) => text((one as Settings).name),
      }),
      fc.constantFrom([], [{}], ["team"]),
    ),
  ),
  ai: mostly(some(ai, ["chatModel"]), fc.constantFrom({}, true)),
  homeBackup: sometimes(mostly(some(homeBackup, []), fc.constant(true))),
  audit: mostly(fc.oneof(fc.constant(false), some(audit, [])), fc.constant(true)),
  // Terraform validates a sample of the stacks with 5.100.0.
  awsProviderVersion: mostly(
    fc.constantFrom("~> 5.100", "5.100.0", ">= 5.100.0, < 7.0.0"),
    fc.constantFrom("~> 5.0", ">= 5.100", "7.0.0", "latest", 5),
  ),
  // The account of the local AWS.
  account: mostly(fc.constant("123456789012"), fc.constantFrom("12345678901", 123456789012)),
  backend: mostly(
    fc.oneof(fc.constant({ type: "local" }), some(s3Backend, ["type", "bucket"])),
    fc.constantFrom({ type: "gcs" }, { type: "local", bucket: "x" }, { type: "s3" }),
  ),
  // In one of three cases, because it excludes many other settings.
  existing: fc.oneof(
    { weight: 1, arbitrary: mostly(some(existing)) },
    { weight: 2, arbitrary: fc.constant(undefined) },
  ),
  permissionsBoundaryArn: mostly(
    fc.stringMatching(/^arn:aws:iam::([0-9]{12}|aws):policy\/([a-z]{1,9}\/){0,2}[A-Za-z0-9+=,.@_-]{1,128}$/),
    fc.constant("arn:aws:iam::111122223333:role/x"),
  ),
  homeFileSystemRetention: mostly(fc.constantFrom("Retain", "Delete"), fc.constant("Keep")),
  removalProtection: mostly(fc.boolean(), fc.constant("yes")),
  bucketForceDestroy: mostly(fc.boolean(), fc.constant("no")),
};

const isSettings = (value: unknown): value is Settings =>
  Object.prototype.toString.call(value) === "[object Object]";

/** Makes dependent settings consistent, as a person would. It is skipped in one of twenty cases. */
function agreeing(settings: Settings): Settings {
  const agreed: Settings = { ...settings };
  const region = text(settings.region ?? basicDefaults.region);
  if (Array.isArray(agreed.availabilityZones)) {
    agreed.availabilityZones = agreed.availabilityZones.map((zone) => `${region}${zone}`);
  }
  if (isSettings(agreed.backend) && typeof agreed.backend.kmsKeyId === "string") {
    const of = text(agreed.backend.region ?? region);
    agreed.backend = { ...agreed.backend, kmsKeyId: agreed.backend.kmsKeyId.replace("REGION", of) };
  }
  if (isSettings(agreed.existing)) agreeWithExisting(agreed, agreed.existing, region);
  if (agreed.egress === "endpoints-only") delete agreed.repositories;
  else delete agreed.dataPerimeter;
  // The generated types of schedules are among the rare ones.
  if (agreed.schedules !== undefined)
    agreed.jobs = { allowedInstanceTypes: "any", ...(isSettings(agreed.jobs) ? agreed.jobs : {}) };
  if (text(agreed.name).includes("--")) {
    delete agreed.images;
    agreed.audit = false;
  }
  for (const key of ["ai", "repositories", "images", "jobs", "services", "schedules", "access", "teams"]) {
    if (agreed[key] === undefined) continue;
    agreed[key] = JSON.parse(JSON.stringify(agreed[key]), (_, value: unknown) =>
      typeof value === "string" ? value.replace("REGION", () => region) : value,
    ) as unknown;
  }
  if (Array.isArray(agreed.userProfiles) && agreed.authentication !== "SSO")
    agreed.userProfiles = agreed.userProfiles.map((one: unknown) => {
      if (!isSettings(one)) return one;
      const { ssoUserName: _, ...others } = one;
      return others;
    });
  if (agreed.bucketForceDestroy === true) agreed.removalProtection = false;
  const index = text(agreed.packageIndexUrl);
  if (
    agreed.egress === "endpoints-only" &&
    index.includes("codeartifact") &&
    !index.includes(`.${region}.`)
  ) {
    delete agreed.packageIndexUrl;
  }
  if (Array.isArray(agreed.teams)) agreed.teams = agreeingTeams(agreed.teams, agreed);
  if (agreed.teams === undefined) delete agreed.teams;
  if (Array.isArray(agreed.schedules)) {
    agreed.schedules = agreed.schedules.map((one) => agreeingTeam(agreeingRunAs(one, agreed), agreed));
  }
  if (isSettings(agreed.guardRails))
    agreed.guardRails = agreeingGuardRails(agreed.guardRails, agreed, region);
  return agreed;
}

/** Replaces the index of a user by the name. */
function agreeingRunAs(schedule: unknown, settings: Settings): unknown {
  if (!isSettings(schedule) || typeof schedule.runAs !== "number") return schedule;
  const { runAs, ...rest } = schedule;
  const users = (settings.userProfiles ?? studioDefaults.userProfiles) as readonly unknown[];
  const user = Array.isArray(users) ? users[Number(runAs) % users.length] : undefined;
  const haveRoles = !isSettings(settings.existing) || settings.existing.executionRoleArn === undefined;
  return isSettings(user) && haveRoles ? { ...rest, runAs: user.name } : rest;
}

/** Puts users' names in the place of their indexes. Removes the teams if users have no roles of their own. */
function agreeingTeams(teams: readonly unknown[], settings: Settings): readonly unknown[] | undefined {
  const users: unknown = settings.userProfiles ?? studioDefaults.userProfiles;
  const names = (Array.isArray(users) ? users : []).flatMap((one) =>
    isSettings(one) && typeof one.name === "string" ? [one.name] : [],
  );
  const { executionRoleArn, domainId } = isSettings(settings.existing) ? settings.existing : {};
  if (names.length === 0 || executionRoleArn !== undefined || domainId !== undefined) return undefined;
  return teams.map((one) => {
    if (!isSettings(one) || !Array.isArray(one.members)) return one;
    const members = one.members.map((index) =>
      typeof index === "number" ? names[index % names.length] : index,
    );
    const { allowedInstanceTypes, ...rest } = one;
    const tags = isSettings(settings.tags) ? Object.keys(settings.tags).length : 0;
    const hasAny = isSettings(settings.jobs) && settings.jobs.allowedInstanceTypes === "any";
    const types = hasAny || tags > 30 || allowedInstanceTypes === undefined ? {} : { allowedInstanceTypes };
    return { ...rest, ...types, members: [...new Set(members)] };
  });
}

/** Replaces the index of a team by its name, unless the schedule has a user's access. */
function agreeingTeam(schedule: unknown, { teams }: Settings): unknown {
  if (!isSettings(schedule) || typeof schedule.team !== "number") return schedule;
  const { team, ...rest } = schedule;
  const one: unknown = Array.isArray(teams) ? teams[Number(team) % teams.length] : undefined;
  return isSettings(one) && rest.runAs === undefined ? { ...rest, team: one.name } : rest;
}

/** Removes the settings that the existing resources exclude. */
function agreeWithExisting(agreed: Settings, given: Settings, region: string): void {
  const resources = { ...given };
  agreed.existing = resources;
  if (typeof resources.encryptionKeyArn === "string") {
    resources.encryptionKeyArn = resources.encryptionKeyArn.replace("REGION", region);
  }
  const ofNetwork = ["vpcCidr", "availabilityZones", "egress"];
  const ofDomain = [
    "authentication",
    "defaultInstanceType",
    "idleTimeoutMinutes",
    "images",
    "guardRails",
    "jobs",
  ];
  const excluded = [
    ...(resources.bucket === undefined ? [] : ["bucketForceDestroy"]),
    ...(resources.network === undefined ? [] : ofNetwork),
    ...(resources.domainId === undefined
      ? []
      : [...ofNetwork, ...ofDomain, "userProfiles", "homeFileSystemRetention"]),
  ];
  if (resources.domainId !== undefined) delete resources.network;
  if (resources.domainId !== undefined || resources.executionRoleArn !== undefined) delete agreed.homeBackup;
  for (const setting of excluded) delete agreed[setting];
}

function agreeingGuardRails(guardRails: Settings, settings: Settings, region: string): Settings {
  const agreed = { ...guardRails };
  const profiles = (Array.isArray(settings.userProfiles) ? settings.userProfiles : []).filter(isSettings);
  if (Array.isArray(agreed.allowedInstanceTypes)) {
    const started = [settings.defaultInstanceType ?? studioDefaults.defaultInstanceType];
    const own = profiles.flatMap(({ defaultInstanceType }) => defaultInstanceType ?? []);
    agreed.allowedInstanceTypes = [...new Set([...agreed.allowedInstanceTypes, ...started, ...own])];
  }
  const fits = profiles.every(({ name }) => /^[a-z0-9-]{1,60}$/.test(text(name)));
  if (!fits) delete agreed.maximumSpacesPerUser;
  const tags = isSettings(settings.tags) ? Object.entries(settings.tags) : [];
  const keys = tags.filter((tag) => /^[ -ÿ]*$/.test(tag.map(text).join(""))).map(([key]) => key);
  if (Array.isArray(agreed.requiredTags)) {
    // The generated numbers are indexes of tags.
    const chosen = agreed.requiredTags.map((tag) =>
      typeof tag === "number" ? keys[tag % keys.length] : tag,
    );
    if (keys.length === 0) delete agreed.requiredTags;
    else agreed.requiredTags = [...new Set(chosen)];
  }
  for (const key of ["budget", "budgetPerUser"] as const) {
    const given = agreed[key];
    if (isSettings(given) && isSettings(settings.existing) && settings.existing.executionRoleArn) {
      const { stopAtPercent: _, ...alerts } = given;
      agreed[key] = alerts;
    }
    if (!/^(us-(east|west)|eu-(west|north|south|central)|ap|ca|sa|me|il|af|mx)-/.test(region))
      delete agreed[key];
  }
  return agreed;
}

const oneEnvironment = fc
  .record({ settings: some(environment, ["name"]), agree: fc.integer({ min: 1, max: 20 }) })
  .map(({ settings, agree }) => (agree > 1 ? agreeing(settings) : settings));

/** Generates a settings file with one environment, or sometimes with two that must not collide. */
export const randomEnvironments = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(oneEnvironment) },
  { weight: 1, arbitrary: fc.tuple(oneEnvironment, oneEnvironment) },
);

/** The paths of all generated settings. */
export const variedSettings: readonly string[] = [
  ...Object.keys(environment),
  ...Object.keys(userProfile).map((key) => `userProfiles.${key}`),
  ...Object.keys(guardRails).map((key) => `guardRails.${key}`),
  ...Object.keys(spaceVolumeGb).map((key) => `guardRails.spaceVolumeGb.${key}`),
  ...["budget", "budgetPerUser"].flatMap((one) =>
    Object.keys(budget).map((key) => `guardRails.${one}.${key}`),
  ),
  ...Object.keys(services).map((key) => `services.${key}`),
  ...Object.keys(access).map((key) => `access.${key}`),
  ...Object.keys(ai).map((key) => `ai.${key}`),
  ...Object.keys(guardrail).map((key) => `ai.guardrail.${key}`),
  ...Object.keys(audit).map((key) => `audit.${key}`),
  ...Object.keys(homeBackup).map((key) => `homeBackup.${key}`),
  ...Object.keys(s3Backend).map((key) => `backend.${key}`),
  ...Object.keys(existing).map((key) => `existing.${key}`),
  ...Object.keys(existingNetwork).map((key) => `existing.network.${key}`),
];

/** Returns the values of an environment's settings, by path. */
export function givenValues(settings: unknown, path = ""): readonly (readonly [string, unknown])[] {
  if (!isSettings(settings)) return [];
  return Object.entries(settings).flatMap(([key, value]) => {
    const at = path === "" ? key : `${path}.${key}`;
    const below = at === "userProfiles" && Array.isArray(value) ? value : [value];
    return [[at, value] as const, ...below.flatMap((one) => givenValues(one, at))];
  });
}
