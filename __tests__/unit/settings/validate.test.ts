import { describe, expect, it } from "vitest";
import { environments } from "../../../src/environments.ts";
import { marimoDefaults } from "../../../src/settings/marimo.ts";
import { studioInstanceTypes } from "../../../src/settings/reference/instance-types.ts";
import { sagemakerRegions } from "../../../src/settings/reference/regions.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";

/** What messages say, where more than one row expects it. */
const says = {
  noNetwork: "is not an IPv4 network",
  publicRange: "is not a private range",
  localZone: "local zone",
  noList: "must be a list",
  noString: "must be a string",
  serverSentEvents: "server-sent events",
  noRelease: "is not an exact release",
  notPinned: "is not pinned",
  pipOption: "option of pip",
  urlOrPath: "URL or a path",
  marker: "environment marker",
  marimoItself: "is marimo itself",
  noRepository: "names no repository of CodeArtifact",
  noTags: "is not an object with tags",
  ownTags: "the stack's own tags",
  twice: "listed twice",
};

type Settings = Record<string, unknown>;

/** The problems of one environment, "dev" unless the settings say otherwise. */
const problemsOf = (settings: Settings): string[] => validateEnvironments([{ name: "dev", ...settings }]);
const codeArtifact = (region: string, path: string, suffix = "") =>
  `https://team-123456789012.d.codeartifact.${region}.amazonaws.com${suffix}/${path}`;
const s3 = (fields: Settings): Settings => ({ backend: { type: "s3", bucket: "acme-terraform", ...fields } });
const tags = (count: number): Settings => ({
  tags: Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, "value"])),
});
const users = (count: number): Settings => ({
  userProfiles: Array.from({ length: count }, (_, index) => ({ name: `user-${index}` })),
});
const ssoUsers = (...userProfiles: readonly Settings[]): Settings => ({
  authentication: "SSO",
  userProfiles,
});
const gitSecret = (region = "us-east-1") =>
  `arn:aws:secretsmanager:${region}:123456789012:secret:marimo/git-AbCdEf`;
const repositories = (count: number) =>
  Array.from({ length: count }, (_, index) => `https://github.com/acme/repository-${index}`);
const imageUri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0";
const euImageUri = imageUri.replace("us-east-1", "eu-west-1");
const image = (fields: Settings = {}, others: Settings = {}): Settings => ({
  images: [{ name: "geo", imageUri, ...fields }],
  ...others,
});
const images = (count: number): Settings => ({
  images: Array.from({ length: count }, (_, index) => ({ name: `i${index}`, imageUri })),
});
const schedule = (name: string) => ({
  name,
  notebook: "sample-notebooks/01_explore_data.py",
  expression: "rate(1 day)",
});
const nova = "amazon.nova-lite-v1:0";
const teamProfile = (region = "us-east-1") =>
  `arn:aws:bedrock:${region}:123456789012:application-inference-profile/team1234abcd`;
const ai = (fields: Settings, others: Settings = {}): Settings => ({
  ai: { chatModel: nova, ...fields },
  ...others,
});
const guardRails = (fields: Settings, others: Settings = {}): Settings => ({ guardRails: fields, ...others });
const budget = (fields: Settings, others: Settings = {}): Settings =>
  guardRails({ budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], ...fields } }, others);
const audit = (fields: Settings): Settings => ({ deployers: [deployer("role")], audit: fields });
const alertAddresses = ["security@example.com"];
/** The ARN of a role or user, of so many characters. */
const deployer = (kind: string, length = 40) => {
  const start = `arn:aws:iam::123456789012:${kind}/`;
  return `${start}${"p".repeat(Math.max(0, length - start.length - 7))}/deploy`;
};
const kmsKey = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

const sharedRole = { existing: { executionRoleArn: "arn:aws:iam::123456789012:role/studio" } };

/** Each is fine: the negative control of what follows, with the allowed side of every boundary. */
const fine: readonly (readonly [string, Settings])[] = [
  ["nothing but a name", {}],
  ["undefined for a setting left out", { region: undefined, tags: undefined }],
  ["a name of 1 character", { name: "a" }],
  ["a name of 20 characters", { name: "a2345678901234567890" }],
  ["a name with inner hyphens, two in a row without a trail", { name: "team-a--2", audit: false }],
  ["another region and its zones", { region: "eu-west-1", availabilityZones: ["eu-west-1c", "eu-west-1a"] }],
  [
    "a region of AWS GovCloud",
    { region: "us-gov-west-1", availabilityZones: ["us-gov-west-1a", "us-gov-west-1c"] },
  ],
  ["a VPC of /16", { vpcCidr: "172.31.0.0/16" }],
  ["a VPC of /26", { vpcCidr: "192.168.255.192/26" }],
  ["the range before Docker's", { vpcCidr: "172.16.0.0/16" }],
  ["the range after Docker's", { vpcCidr: "172.18.0.0/16" }],
  ["5 users in a /26", { vpcCidr: "10.0.0.0/26", ...users(5) }],
  ["12285 users in a /16", { vpcCidr: "10.0.0.0/16", ...users(12_285) }],
  ["39 users and the endpoints in a /24", { vpcCidr: "10.0.0.0/24", egress: "endpoints-only", ...users(39) }],
  ["one NAT gateway a zone", { egress: "nat-per-zone" }],
  ["a data perimeter of endpoints", { egress: "endpoints-only", dataPerimeter: true }],
  ["no data perimeter", { dataPerimeter: false, ...sharedRole }],
  ["any instance type", guardRails({ allowedInstanceTypes: "any" })],
  ["no users", { userProfiles: [] }],
  ["a user of 1 character", { userProfiles: [{ name: "a" }] }],
  ["a user of the longest name beside dev", { userProfiles: [{ name: "A".repeat(32) }] }],
  [
    "a user of the longest name beside an existing role",
    { userProfiles: [{ name: "A".repeat(63) }], ...sharedRole },
  ],
  ["the default user in the longest environment", { name: "a".repeat(20) }],
  ["users that begin alike", { userProfiles: [{ name: "ana" }, { name: "anab" }, { name: "an-a" }] }],
  [
    "a user that begins with another's, with one role",
    { userProfiles: [{ name: "ana" }, { name: "ana-b" }], ...sharedRole },
  ],
  ["a user's own instance type", { userProfiles: [{ name: "ana", defaultInstanceType: "ml.g5.xlarge" }] }],
  ["users that differ", { userProfiles: [{ name: "ana" }, { name: "Anna" }] }],
  ["IAM Identity Center", { authentication: "SSO" }],
  [
    "user names of IAM Identity Center",
    ssoUsers(
      { name: "ana", ssoUserName: "ana.núñez+lab$@example.com" },
      { name: "bo", ssoUserName: "b".repeat(128) },
    ),
  ],
  ["the shortest idle time-out", { idleTimeoutMinutes: 60 }],
  ["the longest idle time-out", { idleTimeoutMinutes: 525_600 }],
  ["no repositories, which need no internet", { repositories: [], egress: "endpoints-only" }],
  ["10 repositories", { repositories: repositories(10) }],
  [
    "repositories of a folder each, with and without .git",
    {
      repositories: [
        "https://git.example.com/a/b.git",
        "https://github.com/a/c/",
        "https://github.com/a/_d.e",
      ],
    },
  ],
  [
    "a private repository in another region than the default",
    {
      region: "eu-west-1",
      repositories: [
        "https://github.com/a/b",
        { repositoryUrl: "https://github.com/a/c", secretArn: gitSecret("eu-west-1") },
        { repositoryUrl: "https://github.com/a/d" },
      ],
    },
  ],
  ["an address of 1024 characters", { repositories: [`https://github.com/a/${"b".repeat(1003)}`] }],
  ["no images beside a domain", { images: undefined, existing: { domainId: "d-0123456789ab" } }],
  ["200 images", images(200)],
  [
    "an image for GPUs by its digest",
    image({ imageUri: `${imageUri}@sha256:${"a".repeat(64)}`.replace(":1.0", ""), gpu: true }),
  ],
  ["an image of 63 characters with its prefix", image({ name: "a".repeat(43) })],
  ["an image in another Region's environment", image({ imageUri: euImageUri }, { region: "eu-west-1" })],
  [
    "an image of China's",
    image({ imageUri: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/geo" }, { region: "cn-north-1" }),
  ],
  ["the AWS provider that was run", { awsProviderVersion: "5.100.0" }],
  ["the AWS provider that was compared", { awsProviderVersion: "~> 6.62" }],
  ["every supported AWS provider", { awsProviderVersion: ">= 5.100, < 7.0.0" }],
  ["a range without some versions", { awsProviderVersion: ">=6.40.0, <7, !=6.41.0" }],
  ["the first marimo with SSE", { marimoVersion: "0.23.14" }],
  ["a later minor of marimo", { marimoVersion: "0.24.0" }],
  ["a later major of marimo", { marimoVersion: "1.0.0" }],
  [
    "packages",
    { extraPackages: ["polars==1.30.0", "scikit_learn[extra1, extra2] == 1.7.0rc1", "torch==2.7.0+cu128"] },
  ],
  [
    "a package with a marker",
    {
      extraPackages: [
        `x==1!2.0.post1; python_version >= "3.12" and (os_name=='posix' or 'a' not in sys_platform)`,
      ],
    },
  ],
  ["packages that contain marimo's name", { extraPackages: ["marimo-extras==1.0"] }],
  ["a transport", { transport: "polling" }],
  ["a package index", { packageIndexUrl: "https://pypi.example.com:8443/repository/py~1/simple/" }],
  ["a CodeArtifact repository", { packageIndexUrl: codeArtifact("us-east-1", "pypi/python.all/simple/") }],
  [
    "China's CodeArtifact, without the last slash",
    { packageIndexUrl: codeArtifact("cn-north-1", "pypi/python/simple", ".cn") },
  ],
  [
    "CodeArtifact through the endpoints of its own region",
    {
      region: "eu-west-1",
      egress: "endpoints-only",
      packageIndexUrl: codeArtifact("eu-west-1", "pypi/python/simple/"),
    },
  ],
  ["no sample notebooks", { sampleNotebooks: false }],
  ["notebooks that run on opening", { runOnOpen: true }],
  ["a folder of apps", { appsFolder: "a".repeat(64) }],
  ["46 tags", tags(46)],
  ["the longest tag", { tags: { ["k".repeat(128)]: "v".repeat(256) } }],
  ["a tag of characters beyond the BMP", { tags: { ["𝒌".repeat(128)]: "" } }],
  ["a tag that only contains aws:", { tags: { "team:aws:x": "not aws:" } }],
  ["no guard-rails", guardRails({ allowedInstanceTypes: undefined })],
  [
    "instance types with every default among them",
    guardRails(
      { allowedInstanceTypes: ["ml.t3.medium", "ml.g5.xlarge"] },
      { userProfiles: [{ name: "ana", defaultInstanceType: "ml.g5.xlarge" }] },
    ),
  ],
  ["the fewest spaces", guardRails({ maximumSpacesPerUser: 1 }, users(2))],
  [
    "the most spaces, of the longest name",
    guardRails({ maximumSpacesPerUser: 40 }, { userProfiles: [{ name: "a".repeat(60) }], ...sharedRole }),
  ],
  ["the smallest volumes", guardRails({ spaceVolumeGb: { default: 5, maximum: 5 } })],
  ["the largest volumes", guardRails({ spaceVolumeGb: { maximum: 16_384 } })],
  ["a required tag of Latin-1", guardRails({ requiredTags: ["Équipe"] }, { tags: { Équipe: "ÿ" } })],
  ["an address with a brace", budget({ alertAddresses: ["a{b}$@example.com"] })],
  ["six required tags", guardRails({ requiredTags: Object.keys(tags(6).tags as object) }, tags(7))],
  [
    "a budget for each of more users than one action takes",
    guardRails(
      { budgetPerUser: { monthlyUsd: 5, alertAddresses: ["a@example.com"], stopAtPercent: 90 } },
      users(120),
    ),
  ],
  ["the smallest budget", budget({ monthlyUsd: 1, alertPercents: [1], stopAtPercent: 1 })],
  [
    "a budget with all it can have",
    budget({
      monthlyUsd: 1e9,
      alertAddresses: Array.from({ length: 10 }, (_, index) => `team+${index}@mail.example.com`),
      alertPercents: [10, 20, 30, 40, 50, 60, 70, 80, 90, 1000],
      stopAtPercent: 1000,
    }),
  ],
  ["a model", ai({})],
  ["an inference profile", ai({ chatModel: "global.anthropic.claude-sonnet-4-5-20250929-v1:0" })],
  ["an application inference profile", ai({ editModel: teamProfile() })],
  ["models in another Region", ai({ region: "us-west-2", autocompleteModel: teamProfile("us-west-2") })],
  ["models without internet", ai({ region: "us-east-1" }, { egress: "endpoints-only" })],
  ["the most tokens", ai({ maxTokens: 128_000 })],
  ["a guardrail's draft", ai({ guardrail: { id: "abcd1234efgh", version: "DRAFT" } })],
  ["costs by user", ai({ costByUser: true, region: "us-east-1" })],
  ["ten more models", ai({ allowedModels: Array.from({ length: 10 }, (_, index) => `a.b${index}-v1:0`) })],
  ["no trail", { audit: false }],
  ["a trail by default", { audit: {} }],
  ["the shortest retention", audit({ retentionDays: 1 })],
  ["the longest retention, with all that a trail can have", audit({ retentionDays: 3653, alertAddresses })],
  ["backups of homes with the defaults", { homeBackup: {} }],
  [
    "backups of homes with the least",
    {
      homeBackup: {
        intervalMinutes: 5,
        maximumSizeGb: 1,
        include: [".config/a b"],
        exclude: ["*.p?", "data/raw"],
      },
    },
  ],
  ["backups of homes with the most", { homeBackup: { intervalMinutes: 1440, maximumSizeGb: 1000 } }],
  ["a deployer's ARN of 200 characters", { deployers: [deployer("role", 200)] }],
  ["an account", { account: "012345678901" }],
  ["the local backend", { backend: { type: "local" } }],
  ["S3", s3({})],
  ["S3 with every field", s3({ key: "a/b.tfstate", region: "us-east-1", kmsKeyId: kmsKey })],
  [
    "S3 with a multi-region key",
    s3({ kmsKeyId: `arn:aws:kms:us-east-1:123456789012:key/mrk-${"0".repeat(32)}` }),
  ],
  ["buckets' shortest name", s3({ bucket: "a.b" })],
  ["buckets' longest name", s3({ bucket: "b".repeat(63) })],
  ["the longest key", s3({ key: "k".repeat(1017) })],
  [
    "protection beside a file system to delete",
    { homeFileSystemRetention: "Delete", removalProtection: true },
  ],
  ["objects to delete without protection", { removalProtection: false, bucketForceDestroy: true }],
  [
    "objects to delete beside a file system to delete",
    { homeFileSystemRetention: "Delete", bucketForceDestroy: true },
  ],
];

/** Each has one problem, whose message has every one of these texts. */
const wrong: readonly (readonly [string, Settings, ...string[]])[] = [
  ["no name", { name: undefined }, "environments[0]: name: undefined", "every environment needs a name"],
  ["an empty name", { name: "" }, 'environments[0] "": name: ""'],
  ["a name of 21 characters", { name: "a".repeat(21) }, "has 21 characters", "1 to 20"],
  ["a name in capitals", { name: "Dev" }, '"Dev" is not a valid environment name'],
  [
    "a name that constructs cannot have",
    { name: "constructor" },
    '"constructor" is a reserved word',
    "constructs",
  ],
  ["a name that begins with a digit", { name: "1dev" }, "starting with a letter"],
  ["a name that ends with a hyphen", { name: "dev-" }, '"dev-"'],
  ["a name with a line break", { name: "dev\n" }, '"dev\\n"'],
  ["a name that is a number", { name: 7 }, `environments[0]: name: 7 ${says.noString}`],
  [
    "an unknown key",
    { egres: "nat" },
    'environments[0] "dev": egres: "nat"',
    'did you mean "egress"?',
    "vpcCidr, ",
  ],
  ["an unknown key like none", { zzzzzz: 1 }, "zzzzzz: 1 is the value of an unknown key. Allowed"],
  ["a key of Object.prototype", { toString: "x" }, "toString"],
  ["a region that is none", { region: "us-east1" }, 'did you mean "us-east-1"?', "botocore"],
  ["a region of FIPS", { region: "us-east-1-fips" }, "is not a SageMaker Region"],
  [
    "a region that the provider does not know",
    { region: "ap-southeast-6" },
    "is not a Region that AWS provider",
    "44113",
  ],
  [
    "a backend's region that Terraform does not know",
    s3({ region: "ap-southeast-6" }),
    "backend.region",
    "37771",
  ],
  ["a region that is null", { region: null }, `region: null ${says.noString}`],
  ["a CIDR without prefix", { vpcCidr: "10.0.0.0" }, `vpcCidr: "10.0.0.0" ${says.noNetwork}`],
  ["a CIDR with octet 256", { vpcCidr: "10.0.256.0/24" }, says.noNetwork],
  ["a CIDR with a leading zero", { vpcCidr: "10.0.010.0/24" }, says.noNetwork],
  ["a CIDR with blanks", { vpcCidr: " 10.0.0.0/16" }, says.noNetwork],
  ["IPv6", { vpcCidr: "fd00::/16" }, says.noNetwork],
  ["a CIDR with host bits", { vpcCidr: "10.0.0.1/16" }, 'here "10.0.0.0/16"'],
  ["a VPC of /15", { vpcCidr: "10.0.0.0/15" }, "has size /15", "/16 to /28", "Amazon VPC User Guide"],
  ["a VPC of /29", { vpcCidr: "10.0.0.0/29" }, "has size /29"],
  ["a VPC of /27", { vpcCidr: "10.0.0.0/27" }, "no room for two subnets a zone", "/26 or larger"],
  ["a public range", { vpcCidr: "11.0.0.0/16" }, says.publicRange, "RFC 1918"],
  ["the range after 172.16.0.0/12", { vpcCidr: "172.32.0.0/16" }, says.publicRange],
  ["the carriers' range", { vpcCidr: "100.64.0.0/16" }, says.publicRange],
  ["Docker's range", { vpcCidr: "172.17.128.0/17" }, "SageMaker itself uses"],
  [
    "6 users in a /26",
    { vpcCidr: "10.0.0.0/26", ...users(6) },
    "room for 5 users",
    "not for 6",
    "/25 or larger",
  ],
  [
    "40 users and the endpoints in a /24",
    { vpcCidr: "10.0.0.0/24", egress: "endpoints-only", ...users(40) },
    "room for 39 users",
    "/23 or larger",
  ],
  [
    "endpoints in a /26",
    { vpcCidr: "10.0.0.0/26", egress: "endpoints-only" },
    "room for 0 users",
    "/25 or larger",
  ],
  ["12286 users in a /16", users(12_286), "room for 12285 users", "no VPC is larger"],
  ["one zone", { availabilityZones: ["us-east-1a"] }, "availabilityZones: [", "lists 1, not two"],
  ["three zones", { availabilityZones: ["us-east-1a", "us-east-1b", "us-east-1c"] }, "lists 3"],
  ["one zone twice", { availabilityZones: ["us-east-1a", "us-east-1a"] }, "availabilityZones[1]", says.twice],
  [
    "a zone of another region",
    { availabilityZones: ["us-east-1a", "us-east-2b"] },
    '[1]: "us-east-2b" is not a zone of "us-east-1"',
  ],
  [
    "a default region's zones elsewhere",
    { region: "sa-east-1", availabilityZones: ["us-east-1a", "sa-east-1a"] },
    '"us-east-1a" is not a zone of "sa-east-1"',
  ],
  ["a local zone", { availabilityZones: ["us-east-1a", "us-east-1-bos-1a"] }, says.localZone],
  ["a Wavelength Zone", { availabilityZones: ["us-east-1a", "us-east-1-wl1-bos-wlz-1"] }, says.localZone],
  ["the ID of a zone", { availabilityZones: ["us-east-1a", "use1-az2"] }, "ID of a zone"],
  [
    "a zone that is a number",
    { availabilityZones: ["us-east-1a", 2] },
    `availabilityZones[1]: 2 ${says.noString}`,
  ],
  ["zones that are a word", { availabilityZones: "us-east-1a" }, says.noList],
  ["an egress that is none", { egress: "NAT" }, '"NAT"', '"nat" or "nat-per-zone" or "endpoints-only"'],
  [
    "a data perimeter beside a NAT gateway",
    { dataPerimeter: true },
    "dataPerimeter: true would refuse SageMaker",
    'only with egress: "endpoints-only"',
  ],
  [
    "a data perimeter of someone else's endpoints",
    {
      dataPerimeter: true,
      existing: { network: { vpcId: "vpc-0123abcd", subnetIds: ["subnet-0123abcd", "subnet-0123abce"] } },
    },
    "dataPerimeter: true needs endpoints whose ids the stack knows",
  ],
  ["a data perimeter in a word", { dataPerimeter: "yes" }, "must be true or false"],
  ["users given only as names", { userProfiles: ["ana"] }, 'userProfiles[0]: "ana" is not a user profile'],
  ["users that are no list", { userProfiles: { name: "ana" } }, says.noList],
  ["a user without a name", { userProfiles: [{}] }, "userProfiles[0].name: undefined"],
  [
    "a user of 64 characters",
    { userProfiles: [{ name: "a".repeat(64) }] },
    "has 64 characters",
    "UserProfileName",
  ],
  ["a user with an underscore", { userProfiles: [{ name: "ana_b" }] }, 'userProfiles[0].name: "ana_b"'],
  ["a user that ends with a hyphen", { userProfiles: [{ name: "ana-" }] }, '"ana-"'],
  ["a name with two hyphens, and a trail", { name: "a--b" }, "two hyphens in a row", "audit: false"],
  [
    "a user twice",
    { userProfiles: [{ name: "a" }, { name: "b" }, { name: "a" }] },
    'userProfiles[2].name: "a" is a duplicate of userProfiles[0]',
  ],
  [
    "users that differ in case",
    { userProfiles: [{ name: "ana" }, { name: "Ana" }] },
    'collides with "ana" of userProfiles[0]',
    "lower case",
  ],
  [
    "a user too long for the names of jobs",
    { userProfiles: [{ name: "a".repeat(33) }] },
    "has 33 characters. Allowed: at most 32",
    "ProcessingJobName",
  ],
  [
    "a user whose jobs another's pattern would match",
    { userProfiles: [{ name: "bo" }, { name: "Ana-b" }, { name: "ana" }] },
    'userProfiles[1].name: "ana-b" begins with the user "ana"',
    "marimo-dev-ana-*",
  ],
  [
    "a user that begins with another's and two hyphens",
    { userProfiles: [{ name: "ana" }, { name: "ana--b" }] },
    'userProfiles[1].name: "ana--b" begins with the user "ana"',
  ],
  [
    "a schedule of a user's name",
    { userProfiles: [{ name: "Daily" }], schedules: [schedule("daily")] },
    'schedules[0].name: "daily" could be mistaken for the user "daily"',
  ],
  [
    "a schedule that begins with a user's name",
    { userProfiles: [{ name: "ana" }], schedules: [schedule("ana-daily")] },
    'schedules[0].name: "ana-daily" could be mistaken for the user "ana"',
  ],
  [
    "a stop for more people than AWS Budgets takes roles",
    budget({ stopAtPercent: 100 }, users(100)),
    "would have a policy attached to 101 roles",
    "Roles: 100",
  ],
  ["a user's unknown key", { userProfiles: [{ name: "ana", instance: "x" }] }, "userProfiles[0].instance"],
  [
    "a user's instance type",
    { userProfiles: [{ name: "ana", defaultInstanceType: "ml.t3.mediun" }] },
    "userProfiles[0].defaultInstanceType",
    'did you mean "ml.t3.medium"?',
  ],
  [
    "an e-mail address as a profile's name",
    { userProfiles: [{ name: "ana@example.com" }] },
    "is not a valid user profile name (an e-mail address is an ssoUserName)",
  ],
  [
    "a user name of IAM Identity Center without it",
    { userProfiles: [{ name: "ana", ssoUserName: "ana@example.com" }] },
    'userProfiles[0].ssoUserName: "ana@example.com" cannot be set. Allowed: with authentication: "SSO" only',
  ],
  ...["ana smith", "", "b".repeat(129), "$" + "{path.module}", "%{if}"].map(
    (ssoUserName) =>
      [
        `the user name ${JSON.stringify(ssoUserName.slice(0, 20))} of IAM Identity Center`,
        ssoUsers({ name: "ana", ssoUserName }),
        "is not a valid user name of IAM Identity Center. Allowed: 1 to 128 letters",
        "Identity Store API, UserName",
      ] as const,
  ),
  [
    "two users who are one in IAM Identity Center",
    ssoUsers({ name: "ana", ssoUserName: "Bo" }, { name: "bo" }),
    'userProfiles[1].name: "bo" is the user name of userProfiles[0] too',
  ],
  [
    "a number as a user name",
    ssoUsers({ name: "ana", ssoUserName: 3 }),
    "userProfiles[0].ssoUserName: 3 must be a string",
  ],
  ["a sign-in that is none", { authentication: "iam" }, 'did you mean "IAM"?'],
  [
    "an EC2 instance type",
    { defaultInstanceType: "m5.large" },
    'did you mean "ml.m5.large"?',
    "AppInstanceType",
  ],
  ["the instance type system", { defaultInstanceType: "system" }, '"system"'],
  [
    "an idle time-out of 59",
    { idleTimeoutMinutes: 59 },
    "59 is out of range",
    "60 to 525600",
    "IdleTimeoutInMinutes",
  ],
  ["an idle time-out of 525601", { idleTimeoutMinutes: 525_601 }, "525601"],
  ["an idle time-out of 60.5", { idleTimeoutMinutes: 60.5 }, "whole number"],
  ["an idle time-out in quotes", { idleTimeoutMinutes: "60" }, '"60" must be a number'],
  ["an idle time-out that is NaN", { idleTimeoutMinutes: Number.NaN }, "NaN must be a whole number"],
  [
    "repositories without the internet",
    { repositories: repositories(1), egress: "endpoints-only" },
    "cannot be reached without a route to the internet",
  ],
  ["one repository as a string", { repositories: "https://github.com/a/b" }, says.noList],
  ["11 repositories", { repositories: repositories(11) }, "lists 11", "at most 10", "CodeRepositories"],
  ["a repository twice", { repositories: ["https://x.org/a", "https://x.org/a"] }, "[1]", "is listed twice"],
  ["a number for a repository", { repositories: [1] }, `repositories[0]: 1 ${says.noString}`],
  ["a repository over http", { repositories: ["http://x.org/a"] }, "is not a valid https address"],
  ["a repository over ssh", { repositories: ["git@github.com:a/b.git"] }, "is not a valid https address"],
  ["a port, which the API refuses", { repositories: ["https://x.org:8443/a"] }, "RepositoryUrl"],
  ["a host without a repository", { repositories: ["https://github.com/"] }, "is not a valid https address"],
  ["an address of two words", { repositories: ["https://github.com/a b"] }, "is not a valid https address"],
  [
    "an address of 1025 characters",
    { repositories: [`https://github.com/a/${"b".repeat(1004)}`] },
    "is not a valid https address",
  ],
  ["an address of Terraform's templates", { repositories: [`https://x.org/\${a}`] }, "is not a valid https"],
  [
    "repositories of the same folder",
    { repositories: ["https://x.org/a/tools", "https://x.org/b/tools.git/"] },
    "has the same folder as https://x.org/a/tools",
  ],
  [
    "a private repository of the same folder",
    { repositories: ["https://x.org/a/b", { repositoryUrl: "https://x.org/c/b", secretArn: gitSecret() }] },
    "repositories[1].repositoryUrl",
    "has the same folder as https://x.org/a/b",
  ],
  [
    "a repository's secret in another region",
    { repositories: [{ repositoryUrl: "https://x.org/a", secretArn: gitSecret("eu-west-1") }] },
    "repositories[0].secretArn",
    "is in region eu-west-1",
    "a secret in the environment's region, us-east-1",
  ],
  [
    "a repository's secret by its name",
    { repositories: [{ repositoryUrl: "https://x.org/a", secretArn: "marimo/git" }] },
    "repositories[0].secretArn",
    "is not the ARN of a secret",
  ],
  [
    "a secret without a repository",
    { repositories: [{ secretArn: gitSecret() }] },
    `repositories[0].repositoryUrl: undefined ${says.noString}`,
  ],
  [
    "a repository's address by another name",
    { repositories: [{ repositoryUrl: "https://x.org/a", secret: gitSecret() }] },
    "repositories[0].secret",
    "Allowed: repositoryUrl, secretArn",
  ],
  ["a repository of a hidden folder", { repositories: ["https://x.org/a/.ssh"] }, "name of a folder"],
  ["a repository of the parent folder", { repositories: ["https://x.org/a/.."] }, "name of a folder"],
  ["a repository of an option", { repositories: ["https://x.org/a/-x"] }, "name of a folder"],
  ["one image without a list", { images: { name: "geo", imageUri } }, says.noList],
  ["201 images", images(201), "lists 201", "at most 200", "CustomImages"],
  ["an image as a string", { images: [imageUri] }, "images[0]", "is not an image"],
  ["an image without a name", { images: [{ imageUri }] }, `images[0].name: undefined ${says.noString}`],
  [
    "an image without an address",
    { images: [{ name: "geo" }] },
    `images[0].imageUri: undefined ${says.noString}`,
  ],
  ["an unknown key of an image", image({ uri: "x" }), "images[0].uri", "is the value of an unknown key"],
  [
    "an image of 64 characters with its prefix",
    image({ name: "a".repeat(44) }),
    "has 44 characters",
    "1 to 43",
  ],
  ["an image in capitals", image({ name: "Geo" }), "is not a valid image name", "ImageName"],
  ["an image with two hyphens", image({ name: "a--b" }), "is not a valid image name"],
  [
    "an image with a dot, which AppImageConfigName refuses",
    image({ name: "a.b" }),
    "is not a valid image name",
  ],
  [
    "an image after two hyphens",
    image({}, { name: "a--b", audit: false }),
    "cannot follow",
    "two hyphens in a row",
  ],
  ["an image outside ECR", image({ imageUri: "docker.io/team/geo" }), "is not an image in Amazon ECR"],
  [
    "an image in another Region",
    image({}, { region: "eu-west-1" }),
    "is in us-east-1",
    'an image in "eu-west-1"',
  ],
  ["a word for gpu", image({ gpu: "yes" }), "images[0].gpu", "must be true or false"],
  [
    "two images of one name",
    {
      images: [
        { name: "geo", imageUri },
        { name: "geo", imageUri },
      ],
    },
    "images[1].name",
    "is a duplicate of images[0]",
  ],
  [
    "images of a domain that exists",
    image({}, { existing: { domainId: "d-0123456789ab" } }),
    "cannot be combined",
  ],
  ["an AWS provider's number", { awsProviderVersion: 6 }, `6 ${says.noString}`],
  ["the latest AWS provider", { awsProviderVersion: "latest" }, "is not a version constraint", "~> 5.100"],
  ["a pre-release of the AWS provider", { awsProviderVersion: "6.0.0-beta1" }, "is not a version constraint"],
  ["an AWS provider of Terraform's templates", { awsProviderVersion: `\${x}` }, "not a version constraint"],
  ["an older AWS provider", { awsProviderVersion: "~> 5.99" }, "allows versions below 5.100.0"],
  ["the next AWS provider", { awsProviderVersion: "~> 7.0" }, "allows 7.0.0 or later", "stays below 7.0.0"],
  ["any later AWS provider", { awsProviderVersion: ">= 5.100" }, '">= 5.100" allows 7.0.0 or later'],
  ["any but the next AWS provider", { awsProviderVersion: ">= 6.40, != 7.0.0" }, "allows 7.0.0 or later"],
  ["the next AWS provider among others", { awsProviderVersion: ">= 6.40, <= 7.0" }, "allows 7.0.0 or later"],
  ["an upper limit first", { awsProviderVersion: "< 7, >= 6.40" }, "does not begin with the lowest version"],
  ["a limit that excludes itself", { awsProviderVersion: "> 6.40, < 7" }, "does not begin with the lowest"],
  [
    "an AWS provider that cannot be",
    { awsProviderVersion: "~> 6.40, < 6" },
    "does not begin with the lowest",
  ],
  ["the last marimo without SSE", { marimoVersion: "0.23.13" }, says.serverSentEvents, "0.23.14 or later"],
  ["a marimo whose patch alone is high enough", { marimoVersion: "0.9.30" }, says.serverSentEvents],
  ["a range of marimo", { marimoVersion: `>=${marimoDefaults.marimoVersion}` }, says.noRelease],
  ["a pre-release of marimo", { marimoVersion: "0.26.0rc1" }, says.noRelease],
  ["the latest marimo", { marimoVersion: "latest" }, says.noRelease],
  ["marimo as a number", { marimoVersion: 0.25 }, `0.25 ${says.noString}`],
  [
    "a package without version",
    { extraPackages: ["polars"] },
    `extraPackages[0]: "polars" ${says.notPinned}`,
  ],
  ["a package with a range", { extraPackages: ["polars>=1.30"] }, says.notPinned, "PEP 508"],
  ["a package with ===", { extraPackages: ["polars===1.30"] }, says.notPinned],
  ["a package with two limits", { extraPackages: ["polars==1.30,<2"] }, `${says.notPinned} to one version`],
  ["a package with any patch", { extraPackages: ["polars==1.*"] }, `${says.notPinned} to one version`],
  ["a requirements file", { extraPackages: ["-r other.txt"] }, says.pipOption],
  ["an index", { extraPackages: ["--index-url=x"] }, says.pipOption],
  ["a package by URL", { extraPackages: ["polars @ https://example.org/polars.whl"] }, says.urlOrPath],
  ["a repository", { extraPackages: ["git+https://example.org/polars"] }, says.urlOrPath],
  ["a path", { extraPackages: ["./polars"] }, "is not a valid requirement"],
  ["a shell command", { extraPackages: ["polars==1.0 && reboot"] }, '"polars==1.0 && reboot"'],
  ["a substitution", { extraPackages: ["polars==$(reboot)"] }, "extraPackages[0]"],
  ["a second line", { extraPackages: ["polars==1.0\n--index-url=x"] }, "extraPackages[0]"],
  ["a hash", { extraPackages: ["polars==1.0 --hash=sha256:00"] }, "extraPackages[0]"],
  ["a marker of an unknown variable", { extraPackages: ["polars==1.0; python >= '3'"] }, says.marker],
  ["a marker without end", { extraPackages: ["polars==1.0; (os_name == 'nt'"] }, says.marker],
  ["a marker with a substitution", { extraPackages: ["polars==1.0; os_name == '$(reboot)'"] }, says.marker],
  [
    "marimo as a package",
    { extraPackages: [`Marimo[sql]==${marimoDefaults.marimoVersion}`] },
    says.marimoItself,
    "marimoVersion",
  ],
  [
    "marimo without extras as a package",
    { extraPackages: [`marimo_base==${marimoDefaults.marimoVersion}`] },
    says.marimoItself,
  ],
  [
    "a package twice",
    { extraPackages: ["scikit-learn==1.7", "Scikit_Learn==1.6"] },
    "extraPackages[1]",
    "extraPackages[0] again",
  ],
  ["a package that is a number", { extraPackages: [1] }, `extraPackages[0]: 1 ${says.noString}`],
  ["packages in one string", { extraPackages: "polars==1.0" }, says.noList],
  ["an index without encryption", { packageIndexUrl: "http://a.example/simple" }, "is not an https address"],
  [
    "an index with a password",
    { packageIndexUrl: "https://u:p@a.example/simple" },
    "without a name and pass",
  ],
  [
    "an index with a second line",
    { packageIndexUrl: "https://a.example/\nX=1" },
    "is not a valid package index address",
  ],
  [
    "an index with a substitution",
    { packageIndexUrl: "https://a.example/$(reboot)" },
    "is not a valid package index address",
  ],
  [
    "CodeArtifact without a repository",
    { packageIndexUrl: codeArtifact("us-east-1", "simple/") },
    says.noRepository,
    "DOMAIN-ACCOUNT.d.codeartifact.REGION",
    "Configure and use pip with CodeArtifact",
  ],
  [
    "CodeArtifact of an account of 11 digits",
    { packageIndexUrl: codeArtifact("us-east-1", "pypi/python/simple/").replace("012.d", "01.d") },
    says.noRepository,
  ],
  [
    "CodeArtifact beyond the endpoints' region",
    {
      region: "eu-west-1",
      egress: "endpoints-only",
      packageIndexUrl: codeArtifact("us-east-1", "pypi/python/simple/"),
    },
    "is in us-east-1, where the endpoints of eu-west-1 do not lead",
  ],
  ["an index as a list", { packageIndexUrl: ["https://a.example"] }, says.noString],
  [
    "an unknown transport",
    { transport: "websockets" },
    '"websockets" is not one of these values (did you mean "websocket"?)',
    '"auto" or "sse" or "polling" or "websocket"',
  ],
  ["a number for a boolean", { runOnOpen: 1 }, "1 must be true or false"],
  ["a word for a boolean", { sampleNotebooks: "yes" }, '"yes" must be true or false'],
  ["a folder of apps elsewhere", { appsFolder: "../apps" }, '"../apps" is not a valid folder name'],
  ["a folder of apps with too long a name", { appsFolder: "a".repeat(65) }, "is not a valid folder name"],
  ["null for a boolean", { removalProtection: null }, "null must be true or false"],
  ["47 tags", tags(47), "has 47 tags", "46 tags", "50 a job", "StudioUser, StudioSchedule"],
  ["tags in a list", { tags: [{ Key: "a", Value: "b" }] }, says.noTags],
  ["tags in a Map", { tags: new Map([["a", "b"]]) }, says.noTags],
  ["an empty tag key", { tags: { "": "x" } }, 'tags[""]', "0 characters"],
  ["a tag key of 129 characters", { tags: { ["k".repeat(129)]: "x" } }, "129 characters", "TagKey"],
  ["a tag key with a comma", { tags: { "a,b": "x" } }, 'tags["a,b"]'],
  ["AWS's prefix in a key", { tags: { "AWS:x": "x" } }, "AWS's own prefix"],
  ["AWS's prefix in a value", { tags: { x: "aws:x" } }, 'tags["x"]: "aws:x"'],
  ["the key Project", { tags: { Project: "x" } }, says.ownTags],
  ["the key environment", { tags: { environment: "x" } }, says.ownTags],
  [
    "tag keys that differ in case",
    { tags: { team: "x", Team: "y" } },
    'tags["Team"]',
    'collides with key "team"',
  ],
  ["a tag value of 257 characters", { tags: { a: "v".repeat(257) } }, "has 257 characters", "TagValue"],
  ["a tag value that Terraform would read", { tags: { a: "$" + "{path.module}" } }, "has other characters"],
  ["a tag value that is a number", { tags: { a: 42 } }, `tags["a"]: 42 ${says.noString}`],
  ["guard-rails in a word", { guardRails: "strict" }, "is not an object with guard rails"],
  [
    "an unknown guard-rail",
    guardRails({ maxSpacesPerUser: 2 }),
    "guardRails.maxSpacesPerUser",
    "unknown key",
  ],
  [
    "an instance type that is none",
    guardRails({ allowedInstanceTypes: ["ml.t3.medium", "ml.t3.huge"] }),
    'guardRails.allowedInstanceTypes[1]: "ml.t3.huge"',
  ],
  [
    "an instance type twice",
    guardRails({ allowedInstanceTypes: ["ml.t3.medium", "ml.t3.medium"] }),
    "allowedInstanceTypes[1]",
    `is ${says.twice}`,
  ],
  [
    "a default that is not allowed",
    guardRails({ allowedInstanceTypes: ["ml.m5.large"] }),
    'lacks "ml.t3.medium", which is defaultInstanceType',
  ],
  [
    "a person's default that is not allowed",
    guardRails(
      { allowedInstanceTypes: ["ml.t3.medium"] },
      { userProfiles: [{ name: "ana" }, { name: "bo", defaultInstanceType: "ml.g5.xlarge" }] },
    ),
    'lacks "ml.g5.xlarge", which is userProfiles[1].defaultInstanceType',
  ],
  [
    "no spaces",
    guardRails({ maximumSpacesPerUser: 0 }),
    "maximumSpacesPerUser: 0 is out of range",
    "1 to 40",
  ],
  [
    "a budget that stops 99 users and schedules",
    guardRails(
      { budget: { monthlyUsd: 5, alertAddresses: ["a@example.com"], stopAtPercent: 90 } },
      {
        ...users(99),
        schedules: [
          { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
        ],
      },
    ),
    "would have a policy attached to 101 roles",
    "at most 98 user profiles",
  ],
  ["41 spaces", guardRails({ maximumSpacesPerUser: 41 }), "6144 characters a policy"],
  ["half a space", guardRails({ maximumSpacesPerUser: 1.5 }), "must be a whole number"],
  [
    "spaces of a person in capitals",
    guardRails({ maximumSpacesPerUser: 2 }, { userProfiles: [{ name: "Ana" }] }),
    'does not fit "Ana", the name of userProfiles[0]',
  ],
  [
    "spaces of a name that is too long",
    guardRails({ maximumSpacesPerUser: 40 }, { userProfiles: [{ name: "a".repeat(61) }], ...sharedRole }),
    "60 characters at most",
  ],
  [
    "a volume of 4 GB",
    guardRails({ spaceVolumeGb: { default: 4 } }),
    "spaceVolumeGb.default: 4",
    "5 to 16384",
  ],
  [
    "a volume of 16385 GB",
    guardRails({ spaceVolumeGb: { maximum: 16_385 } }),
    "spaceVolumeGb.maximum: 16385",
  ],
  [
    "a default volume above the maximum",
    guardRails({ spaceVolumeGb: { default: 101 } }),
    "has a default of 101 GB and a maximum of 100 GB",
  ],
  ["an unknown size", guardRails({ spaceVolumeGb: { minimum: 5 } }), "guardRails.spaceVolumeGb.minimum"],
  [
    "a required tag that is not there",
    guardRails({ requiredTags: ["CostCenter"] }, { tags: { costCenter: "42" } }),
    'guardRails.requiredTags[0]: "CostCenter" is required and not among the tags',
  ],
  [
    "a required tag whose key has such letters",
    guardRails({ requiredTags: ["字"] }, { tags: { 字: "x" } }),
    'guardRails.requiredTags[0]: "字" contains characters',
  ],
  [
    "a required tag with letters that no policy may have",
    guardRails({ requiredTags: ["Team"] }, { tags: { Team: "Ελλάς" } }),
    'guardRails.requiredTags[0]: "Team" contains characters that IAM policies do not allow',
    "U+00FF",
  ],
  [
    "seven required tags",
    guardRails({ requiredTags: Object.keys(tags(7).tags as object) }, tags(7)),
    "requiredTags",
    "lists 7",
  ],
  ["AI of true", { ai: true }, "ai: true is not an object", "chatModel:"],
  ["AI without a chat model", { ai: {} }, "ai.chatModel: undefined is missing", "modelId"],
  ["an unknown setting of AI", ai({ model: nova }), "ai.model:", "unknown key"],
  ["marimo's name of a model", ai({ chatModel: `bedrock/${nova}` }), "marimo's name of the provider"],
  ["all models", ai({ editModel: "*" }), 'ai.editModel: "*" is not a model of Amazon Bedrock'],
  ["a model's name", ai({ autocompleteModel: "Nova Lite" }), "ai.autocompleteModel:", "is not a model"],
  ["a model of 81 characters", ai({ chatModel: `${"a".repeat(40)}.${"b".repeat(40)}` }), "is not a model"],
  [
    "a profile in another Region",
    ai({ allowedModels: [nova, teamProfile("eu-west-1")] }),
    "ai.allowedModels[1]:",
    "is in Region eu-west-1",
  ],
  [
    "models elsewhere without internet",
    ai({ region: "us-west-2" }, { egress: "endpoints-only" }),
    "ai.region:",
  ],
  ["an unknown Region of models", ai({ region: "us-east-9" }), "ai.region:"],
  ["no tokens", ai({ maxTokens: 0 }), "ai.maxTokens: 0 is out of range", "1 to 128000"],
  ["too many tokens", ai({ maxTokens: 128_001 }), "ai.maxTokens: 128001 is out of range"],
  ["a guardrail's name only", ai({ guardrail: "abcd" }), "ai.guardrail:", "is not a guardrail"],
  [
    "a guardrail without a version",
    ai({ guardrail: { id: "abcd" } }),
    "ai.guardrail.version: undefined is missing",
  ],
  ["a guardrail's name", ai({ guardrail: { id: "Ours", version: "1" } }), "ai.guardrail.id:"],
  ["version 0 of a guardrail", ai({ guardrail: { id: "abcd", version: "0" } }), "ai.guardrail.version:"],
  [
    "costs by user of models elsewhere",
    ai({ costByUser: true, region: "us-west-2" }),
    "ai.region:",
    "costByUser",
  ],
  [
    "costs by user where all have one role",
    ai({ costByUser: true }, { existing: { executionRoleArn: "arn:aws:iam::123456789012:role/studio" } }),
    "ai.costByUser: true cannot be combined",
    "roles of their own",
  ],
  [
    "costs by user beside a name that no inference profile can have",
    ai({ costByUser: true }, { name: "a--b", audit: false }),
    'ai.costByUser: true cannot be combined with the environment\'s name "a--b"',
    "two hyphens in a row",
  ],
  ["no further models", ai({ allowedModels: [] }), "ai.allowedModels: [] lists 0"],
  ["the same model twice", ai({ allowedModels: [nova, nova] }), "ai.allowedModels[1]:", "twice"],
  ["a trail of true", { audit: true }, "audit: true is not an object", "false, or an object"],
  ["an unknown setting of the trail", audit({ days: 5 }), "audit.days: 5 is the value of an unknown key"],
  ["a retention of 0 days", audit({ retentionDays: 0 }), "audit.retentionDays: 0", "1 to 3653"],
  ["a retention of 3654 days", audit({ retentionDays: 3654 }), "audit.retentionDays: 3654"],
  ["backups of true", { homeBackup: true }, "homeBackup: true is not an object", "such as {}"],
  ["an unknown setting of backups", { homeBackup: { minutes: 5 } }, "homeBackup.minutes: 5", "unknown key"],
  [
    "a backup each minute",
    { homeBackup: { intervalMinutes: 4 } },
    "homeBackup.intervalMinutes: 4",
    "5 to 1440",
  ],
  ["backups of nothing", { homeBackup: { maximumSizeGb: 0 } }, "homeBackup.maximumSizeGb: 0", "1 to 1000"],
  ["an empty list of files", { homeBackup: { include: [] } }, "homeBackup.include: [] lists 0", "1 to 50"],
  [
    "a file outside of the home",
    { homeBackup: { include: ["a/../../b"] } },
    "homeBackup.include[0]",
    "below",
  ],
  [
    "an absolute path",
    { homeBackup: { include: ["/opt"] } },
    'include[0]: "/opt" is not a path below the home',
  ],
  ["a pattern to include", { homeBackup: { include: ["*.py"] } }, 'include[0]: "*.py" is not a path'],
  [
    "a template of Terraform",
    { homeBackup: { exclude: [`\${a}`] } },
    "homeBackup.exclude[0]",
    "settings.env",
  ],
  ["no deployers", { deployers: [] }, "deployers: [] lists 0"],
  [
    "six deployers",
    { deployers: ["a", "b", "c", "d", "e", "f"].map((name) => `${deployer("role")}${name}`) },
    "deployers",
    "lists 6",
    "2,048 characters",
  ],
  [
    "a deployer that is a session",
    { deployers: ["arn:aws:sts::123456789012:assumed-role/deploy/ana"] },
    "deployers[0]",
    "is not the ARN of a role or user",
  ],
  ["a group as a deployer", { deployers: [deployer("group")] }, "is not the ARN of a role or user"],
  ["a deployer's ARN of 201 characters", { deployers: [deployer("role", 201)] }, "has 201 characters"],
  [
    "alerts without a deployer",
    { audit: { alertAddresses } },
    'audit.alertAddresses: ["security@example.com"] would be alerted to each deployment',
    "deployers",
  ],
  ["an alert to no address", audit({ alertAddresses: ["x"] }), "audit.alertAddresses[0]", "e-mail"],
  [
    "a budget of nothing for each user",
    guardRails({ budgetPerUser: { monthlyUsd: 0, alertAddresses: ["team@example.com"] } }),
    "budgetPerUser.monthlyUsd: 0",
  ],
  [
    "a budget for each user that tells nobody",
    guardRails({ budgetPerUser: { monthlyUsd: 5, alertAddresses: ["team"] } }),
    "budgetPerUser.alertAddresses[0]",
  ],
  ["a budget of a number", guardRails({ budget: 500 }), "guardRails.budget: 500 is not a budget"],
  ["a budget of nothing", budget({ monthlyUsd: 0 }), "budget.monthlyUsd: 0"],
  ["a budget without end", budget({ monthlyUsd: Number.POSITIVE_INFINITY }), "budget.monthlyUsd: Infinity"],
  ["nobody to alert", budget({ alertAddresses: [] }), "budget.alertAddresses: []", "1 to 10"],
  [
    "eleven to alert",
    budget({ alertAddresses: Array.from({ length: 11 }, (_, index) => `a${index}@example.com`) }),
    "lists 11",
  ],
  [
    "an address with a template of Terraform",
    budget({ alertAddresses: ["team@example.com", `team+\${x}@example.com`] }),
    `alertAddresses[1]: "team+\${x}@example.com" is not an e-mail address`,
    "without ${",
  ],
  ["an address that is none", budget({ alertAddresses: ["team"] }), "budget.alertAddresses[0]", "e-mail"],
  ["no alerts", budget({ alertPercents: [] }), "budget.alertPercents"],
  ["an alert twice", budget({ alertPercents: [50, 50] }), "budget.alertPercents[1]", `is ${says.twice}`],
  ["an alert at nothing", budget({ alertPercents: [0] }), "budget.alertPercents[0]", "1 to 1000"],
  ["a stop in words", budget({ stopAtPercent: "100" }), 'budget.stopAtPercent: "100" must be a number'],
  ["an unknown field of a budget", budget({ currency: "EUR" }), "budget.currency"],
  [
    "a budget in China",
    budget({}, { region: "cn-north-1" }),
    '"cn-north-1" is a region without a budget in US dollars',
  ],
  ["an account of 11 digits", { account: "12345678901" }, "is not the ID of an account", "12 digits"],
  ["an account as a number", { account: 123456789012 }, "123456789012 is not the ID of an account"],
  ["a backend in a word", { backend: "s3" }, "is not a backend"],
  ["a backend without a type", { backend: { bucket: "acme" } }, "backend.type: undefined"],
  ["an unknown backend", { backend: { type: "S3" } }, 'did you mean "s3"?'],
  ["a bucket for the local backend", { backend: { type: "local", bucket: "acme" } }, "backend.bucket"],
  ["S3 without a bucket", { backend: { type: "s3" } }, "backend.bucket: undefined"],
  ["a bucket of 2 characters", s3({ bucket: "ab" }), 'backend.bucket: "ab"', "bucket naming rules"],
  ["a bucket of 64 characters", s3({ bucket: "b".repeat(64) }), "backend.bucket"],
  ["a bucket in capitals", s3({ bucket: "Acme" }), "backend.bucket"],
  ["a bucket with two dots", s3({ bucket: "a..b" }), "backend.bucket"],
  ["a bucket that looks like an IP address", s3({ bucket: "192.168.0.1" }), "backend.bucket"],
  ["a bucket with a reserved prefix", s3({ bucket: "xn--acme" }), "backend.bucket"],
  ["a bucket with a reserved suffix", s3({ bucket: "acme-s3alias" }), "backend.bucket"],
  ["an empty key", s3({ key: "" }), "backend.key", "0 bytes"],
  ["a key of 1018 bytes", s3({ key: "k".repeat(1018) }), "1018 bytes", "1 to 1017"],
  ["a key of 1018 bytes in fewer characters", s3({ key: "ü".repeat(509) }), "1018 bytes"],
  ["a key that begins with a slash", s3({ key: "/a" }), "backend.key"],
  ["a key that ends with a slash", s3({ key: "a/" }), "backend.key"],
  ["a key that Terraform would read", s3({ key: "a/$" + "{terraform.workspace}" }), "backend.key"],
  ["a backend's region", s3({ region: "nowhere" }), "backend.region"],
  [
    "an alias for a key",
    s3({ kmsKeyId: "arn:aws:kms:us-east-1:123456789012:alias/acme" }),
    "backend.kmsKeyId",
  ],
  [
    "a key in another region",
    s3({ region: "eu-west-1", kmsKeyId: kmsKey }),
    "is in region us-east-1",
    "eu-west-1",
  ],
  [
    "a lock table",
    s3({ dynamodbTable: "acme" }),
    "backend.dynamodbTable",
    "type, bucket, key, region, kmsKeyId",
  ],
  ["a retention that is none", { homeFileSystemRetention: "retain" }, 'did you mean "Retain"?'],
  [
    "objects to delete under protection",
    { removalProtection: true, bucketForceDestroy: true },
    "bucketForceDestroy: true cannot be combined with removalProtection true.",
  ],
  ["objects to delete under protection by default", { bucketForceDestroy: true }, "(its default here)"],
];

describe("validateEnvironments", () => {
  it("finds the committed settings fine", () => {
    expect(validateEnvironments(environments)).toEqual([]);
  });

  it.each(fine)("finds fine: %s", (_, settings) => {
    expect(problemsOf(settings)).toEqual([]);
  });

  const refusals = wrong.map(([what, settings, ...texts]) => ({ what, settings, texts }));
  it.each(refusals)("refuses $what, once", ({ settings, texts }) => {
    const problems = problemsOf(settings);
    expect(problems).toHaveLength(1);
    for (const text of texts) expect(problems[0]).toContain(text);
    expect(problems[0]).toMatch(/^environments\[0\].*: .*\. Allowed: .+ \(.+\)\.$/);
  });

  it.each([undefined, null, 1, "dev", {}, { name: "dev" }, []])("refuses %j for the list", (input) => {
    expect(validateEnvironments(input)).toEqual([expect.stringMatching(/^environments: .* Allowed: /)]);
  });

  it.each([null, undefined, "dev", 7, ["dev"], new Map()])("refuses %j for an environment", (input) => {
    const problems = validateEnvironments([{ name: "dev" }, input]);
    expect(problems).toEqual([expect.stringMatching(/^environments\[1\]: .*is not an environment/)]);
  });

  it("survives values that JSON cannot write, and quotes long ones in part", () => {
    const cycle: Settings = {};
    cycle.self = cycle;
    const values = [cycle, 1n, Symbol("dev"), () => "dev", Number.POSITIVE_INFINITY, "x".repeat(10_000)];
    for (const region of values) {
      const problems = problemsOf({ region });
      expect(problems).toHaveLength(1);
      expect(problems[0]?.length).toBeLessThan(500);
    }
  });

  it.each([
    [
      "a package index",
      { egress: "endpoints-only", packageIndexUrl: codeArtifact("eu-west-1", "pypi/python/simple/") },
    ],
    ["an image", image()],
    [
      "a schedule",
      {
        schedules: [
          { name: "daily", notebook: "sample-notebooks/01_explore_data.py", expression: "rate(1 day)" },
        ],
      },
    ],
  ])("reports only a region that is not text, beside %s", (_, settings) => {
    const problems = problemsOf({ region: Object.create(null), ...settings });
    expect(problems).toEqual([expect.stringContaining("region: {}")]);
  });

  it("prints a repository's address without its credentials", () => {
    const [problem = "", ...others] = problemsOf({ repositories: ["https://me:secret@x.org/a"] });
    expect(others).toEqual([]);
    expect(problem).toMatch(/repositories\[0\]: "https:\/\/…@x\.org\/a" contains credentials/);
    expect(problem).not.toContain("me:secret");
  });

  it("prints ten messages for a settings file with ten mistakes", () => {
    const problems = validateEnvironments([
      {
        name: "Dev",
        region: "us-east1",
        vpcCidr: "10.0.0.0/8",
        egres: "nat",
        userProfiles: [{ name: "ana" }, { name: "Ana" }],
        defaultInstanceType: "m5.large",
        idleTimeoutMinutes: 30,
        marimoVersion: "0.23.13",
        extraPackages: ["pandas"],
        backend: { type: "s3", bucket: "Acme" },
      },
    ]);
    const named = ["egres", "name", "region", "vpcCidr", "userProfiles[1].name", "defaultInstanceType"];
    named.push("idleTimeoutMinutes", "marimoVersion", "extraPackages[0]", "backend.bucket");
    expect(problems.map((problem) => problem.split(": ")[1])).toEqual(named);
  });
});

describe("validateEnvironments over several environments", () => {
  const prod = { name: "prod", vpcCidr: "10.1.0.0/16" };

  it.each([
    ["ranges that meet", [{ name: "dev" }, prod]],
    ["names that begin alike", [{ name: "dev" }, { ...prod, name: "devb" }]],
    ["one range in two regions", [{ name: "dev" }, { name: "prod", region: "eu-west-1" }]],
    [
      "one bucket with keys by default",
      [
        { ...s3({}), name: "dev" },
        { ...s3({}), ...prod },
      ],
    ],
    [
      "one key in two buckets",
      [
        { ...s3({ key: "k" }), name: "dev" },
        { ...s3({ key: "k", bucket: "other" }), ...prod },
      ],
    ],
  ])("finds fine: %s", (_, input) => {
    expect(validateEnvironments(input)).toEqual([]);
  });

  it.each([
    [
      "one name twice",
      [prod, { name: "prod" }],
      'environments[1] "prod": name: "prod" is also the name of environments[0]',
    ],
    [
      "a name that begins with another's, whose roles and jobs IAM would match",
      [
        { ...prod, name: "dev-b" },
        { name: "dev", region: "eu-west-1" },
      ],
      'environments[0] "dev-b": name: "dev-b" begins with the environment "dev"',
    ],
    [
      "one range by default",
      [{ name: "dev" }, { name: "prod" }],
      '"10.0.0.0/16" (the default) overlaps the VPC of environments[0] "dev" in us-east-1',
    ],
    [
      "a range in a range",
      [prod, { name: "dev", vpcCidr: "10.1.255.0/24" }],
      '"10.1.255.0/24" overlaps the VPC of environments[0]',
    ],
    [
      "one state",
      [
        { ...s3({ key: "k" }), name: "dev" },
        { ...s3({ key: "k" }), ...prod },
      ],
      'backend: "s3://acme-terraform/k" is also the state of environments[0] "dev"',
    ],
  ])("refuses %s, once", (_, input, text) => {
    expect(validateEnvironments(input)).toEqual([expect.stringContaining(text)]);
  });

  it("suggests a range that is free", () => {
    const [problem] = validateEnvironments([{ name: "dev" }, prod, { name: "test" }]);
    expect(problem).toContain('for example "10.2.0.0/16"');
    expect(validateEnvironments([{ name: "dev" }, prod, { name: "test", vpcCidr: "10.2.0.0/16" }])).toEqual(
      [],
    );
  });
});

describe("validateEnvironments with many users", () => {
  const named = (count: number, end = "") =>
    (users(count).userProfiles as { name: string }[]).map(({ name }) => `${name}${end}`);

  it("reports each that is wrong", () => {
    const userProfiles = named(10_000, "-").map((name) => ({ name }));
    expect(problemsOf({ userProfiles })).toHaveLength(10_000);
  });

  it("reads each name as often, however many there are: it does not compare each with each", () => {
    const readsOfEach = (count: number) => {
      let reads = 0;
      const userProfiles = named(count).map((name) => ({
        get name() {
          reads += 1;
          return name;
        },
      }));
      expect(problemsOf({ userProfiles })).toEqual([]);
      return reads / count;
    };
    expect(readsOfEach(1000)).toBe(readsOfEach(10));
  });
});

describe("the committed lists", () => {
  it("has botocore's instance types without system", () => {
    expect(studioInstanceTypes).toHaveLength(175);
    expect(new Set(studioInstanceTypes).size).toBe(175);
    expect(studioInstanceTypes).toEqual(
      expect.arrayContaining([
        "ml.t3.medium",
        "ml.geospatial.interactive",
        "ml.p6-b200.48xlarge",
        "ml.g7.48xlarge",
        "ml.g7e.48xlarge",
      ]),
    );
    expect(studioInstanceTypes).not.toContain("ml.system");
  });

  it("has botocore's regions of SageMaker without pseudo-regions", () => {
    expect(sagemakerRegions).toHaveLength(44);
    expect(new Set(sagemakerRegions).size).toBe(44);
    expect(sagemakerRegions).toEqual(
      expect.arrayContaining(["us-east-1", "mx-central-1", "cn-north-1", "us-gov-east-1", "eusc-de-east-1"]),
    );
    for (const region of sagemakerRegions) expect(region).toMatch(/^[a-z]+(-[a-z]+)+-\d$/);
  });
});
