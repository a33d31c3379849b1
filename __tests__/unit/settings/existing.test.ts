import { describe, expect, it } from "vitest";
import { validateEnvironments } from "../../../src/settings/validate.ts";

/** What messages say, where more than one row expects it. */
const says = {
  contradicts: "cannot be combined with existing.",
  noRoleArn: "is not the ARN of a role",
  noPolicyArn: "is not the ARN of a managed policy",
};

type Settings = Record<string, unknown>;

const problemsOf = (settings: Settings): string[] => validateEnvironments([{ name: "dev", ...settings }]);
const existing = (things: Settings, others: Settings = {}): Settings => ({ existing: things, ...others });
const key = (region: string) => `arn:aws:kms:${region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const boundary = (arn: string): Settings => ({ permissionsBoundaryArn: arn });

const vpcId = "vpc-0123456789abcdef0";
const subnets = (count: number) =>
  Array.from({ length: count }, (_, n) => `subnet-${String(n).padStart(17, "0")}`);
const network = (things: Settings = {}, others: Settings = {}) =>
  existing({ network: { vpcId, subnetIds: subnets(2), ...things } }, others);
const role = (rest: string) => existing({ executionRoleArn: `arn:aws:iam::123456789012:${rest}` });

const fine: readonly (readonly [string, Settings])[] = [
  ["nothing existing", existing({})],
  ["undefined for a thing left out", existing({ encryptionKeyArn: undefined })],
  ["a key", existing({ encryptionKeyArn: key("us-east-1") })],
  [
    "a key of another region's environment",
    existing({ encryptionKeyArn: key("eu-west-1") }, { region: "eu-west-1" }),
  ],
  ["a bucket", existing({ bucket: "acme-studio" })],
  [
    "a bucket beside that of the state",
    existing({ bucket: "acme" }, { backend: { type: "s3", bucket: "acme-state" } }),
  ],
  ["a role", role("role/studio")],
  [
    "a budget with alerts beside a role",
    existing(
      { executionRoleArn: "arn:aws:iam::123456789012:role/studio" },
      { guardRails: { budget: { monthlyUsd: 500, alertAddresses: ["ana@example.com"] } } },
    ),
  ],
  ["a role in a path", role("role/service-role/AmazonSageMaker-ExecutionRole-20260101T000000")],
  ["a role of 64 characters", role(`role/${"r".repeat(64)}`)],
  ["a network", network()],
  ["a network of 16 subnets", network({ subnetIds: subnets(16) })],
  ["ids of 8 digits", network({ vpcId: "vpc-0123abcd", subnetIds: ["subnet-0123abcd", "subnet-0123abce"] })],
  [
    "more users than the default VPC has room for",
    network({}, { userProfiles: Array.from({ length: 13_000 }, (_, n) => ({ name: `u${n}` })) }),
  ],
  ["a domain", existing({ domainId: "d-0123456789ab" })],
  [
    "a domain beside a key, a role and a bucket",
    existing({
      domainId: "d-a",
      encryptionKeyArn: key("us-east-1"),
      bucket: "acme",
      executionRoleArn: "arn:aws:iam::123456789012:role/studio",
    }),
  ],
  ["a boundary", boundary("arn:aws:iam::123456789012:policy/boundary")],
  ["a boundary in a path", boundary("arn:aws-cn:iam::123456789012:policy/team/a.b/boundary+1=x,@_-")],
  ["AWS's own boundary", boundary("arn:aws:iam::aws:policy/PowerUserAccess")],
  ["a boundary of 128 characters", boundary(`arn:aws:iam::123456789012:policy/${"b".repeat(128)}`)],
];

/** Each has one problem, whose message has every one of these texts. */
const wrong: readonly (readonly [string, Settings, ...string[]])[] = [
  [
    "a word for existing things",
    { existing: "vpc-1" },
    'existing: "vpc-1" is not an object with existing resources',
  ],
  ["an unknown thing", existing({ encryptionKey: key("us-east-1") }), 'did you mean "encryptionKeyArn"?'],
  [
    "an alias for a key",
    existing({ encryptionKeyArn: "arn:aws:kms:us-east-1:123456789012:alias/acme" }),
    "existing.encryptionKeyArn:",
    "is not the ARN of a KMS key",
    "SageMaker API, KmsKeyId",
  ],
  [
    "a key of another region",
    existing({ encryptionKeyArn: key("us-east-1") }, { region: "eu-west-1" }),
    "is in region us-east-1",
    "a key in the environment's region, eu-west-1",
  ],
  [
    "a key that is a number",
    existing({ encryptionKeyArn: 1 }),
    "existing.encryptionKeyArn: 1 must be a string",
  ],
  [
    "a bucket in capitals",
    existing({ bucket: "Acme" }),
    'existing.bucket: "Acme" is not a valid bucket name',
  ],
  [
    "objects to delete in an existing bucket",
    existing({ bucket: "acme" }, { removalProtection: false, bucketForceDestroy: true }),
    `bucketForceDestroy: true ${says.contradicts}bucket`,
  ],
  [
    "the name of a role",
    existing({ executionRoleArn: "studio" }),
    "existing.executionRoleArn:",
    "SageMaker API, RoleArn",
  ],
  ["a role of 65 characters", role(`role/${"r".repeat(65)}`), says.noRoleArn],
  ["a user for a role", role("user/studio"), says.noRoleArn],
  ["a VPC for a network", existing({ network: vpcId }), "existing.network:", "is not a network"],
  [
    "an unknown key of a network",
    network({ subnets: [] }),
    "existing.network.subnets:",
    'did you mean "subnetIds"?',
  ],
  ["a VPC's name", network({ vpcId: "main" }), 'existing.network.vpcId: "main" is not a VPC id'],
  [
    "a network without subnets",
    network({ subnetIds: undefined }),
    "existing.network.subnetIds: undefined must be a list",
  ],
  ["one subnet", network({ subnetIds: subnets(1) }), "lists 1", "2 to 16"],
  [
    "17 subnets",
    network({ subnetIds: subnets(17) }),
    "lists 17",
    "SageMaker API, CreateDomain, SubnetIds: 1 to 16",
  ],
  [
    "a subnet twice",
    network({ subnetIds: [...subnets(2), ...subnets(1)] }),
    "subnetIds[2]",
    "is listed twice",
  ],
  [
    "a subnet's name",
    network({ subnetIds: [...subnets(1), "b"] }),
    'existing.network.subnetIds[1]: "b" is not a subnet id',
  ],
  [
    "a range beside a network",
    network({}, { vpcCidr: "10.1.0.0/16" }),
    "vpcCidr:",
    `${says.contradicts}network`,
  ],
  [
    "zones beside a network",
    network({}, { availabilityZones: ["us-east-1a", "us-east-1b"] }),
    "availabilityZones:",
    `${says.contradicts}network`,
  ],
  [
    "an egress beside a network",
    network({}, { egress: "nat" }),
    `egress: "nat" ${says.contradicts}network`,
    "only without existing.network",
  ],
  [
    "a budget that would stop an existing role",
    existing(
      { executionRoleArn: "arn:aws:iam::123456789012:role/studio" },
      {
        guardRails: { budget: { monthlyUsd: 500, alertAddresses: ["ana@example.com"], stopAtPercent: 90 } },
      },
    ),
    "guardRails.budget.stopAtPercent: 90 would have a policy attached to existing.executionRoleArn",
  ],
  [
    "backups of homes that all users could read",
    existing({ executionRoleArn: "arn:aws:iam::123456789012:role/studio" }, { homeBackup: {} }),
    "homeBackup: {} cannot be combined with `existing.executionRoleArn` or `existing.domainId`",
    "a part of the bucket that others cannot read",
  ],
  [
    "the bucket of the state",
    existing({ bucket: "acme-state" }, { backend: { type: "s3", bucket: "acme-state" } }),
    'existing.bucket: "acme-state" contains the Terraform state of environments[0]',
    "notebooks may read and write all of it",
  ],
  ["a domain's name", existing({ domainId: "analysts" }), "existing.domainId:", "SageMaker API, DomainId"],
  [
    "a domain beside a network",
    existing({ domainId: "d-a", network: { vpcId, subnetIds: subnets(2) } }),
    "existing.network:",
    "cannot be combined with `existing.domainId`",
  ],
  [
    "a range beside a domain",
    existing({ domainId: "d-a" }, { vpcCidr: "10.1.0.0/16" }),
    "vpcCidr:",
    `${says.contradicts}domainId`,
  ],
  [
    "people beside a domain",
    existing({ domainId: "d-a" }, { userProfiles: [] }),
    "userProfiles:",
    `${says.contradicts}domainId`,
  ],
  [
    "a sign-in beside a domain",
    existing({ domainId: "d-a" }, { authentication: "SSO" }),
    `${says.contradicts}domainId`,
  ],
  [
    "an instance type beside a domain",
    existing({ domainId: "d-a" }, { defaultInstanceType: "ml.t3.medium" }),
    `${says.contradicts}domainId`,
  ],
  [
    "an idle time-out beside a domain",
    existing({ domainId: "d-a" }, { idleTimeoutMinutes: 60 }),
    `${says.contradicts}domainId`,
  ],
  [
    "guard-rails beside a domain",
    existing({ domainId: "d-a" }, { guardRails: { maximumSpacesPerUser: 2 } }),
    "guardRails:",
    `${says.contradicts}domainId`,
  ],
  [
    "jobs beside a domain",
    existing({ domainId: "d-a" }, { jobs: { volumeGb: 50 } }),
    "jobs:",
    `${says.contradicts}domainId`,
  ],
  [
    "a retention beside a domain",
    existing({ domainId: "d-a" }, { homeFileSystemRetention: "Delete" }),
    `${says.contradicts}domainId`,
  ],
  ["a role for a boundary", boundary("arn:aws:iam::123456789012:role/a"), says.noPolicyArn],
  ["the name of a boundary", boundary("boundary"), "permissionsBoundaryArn:", "Permissions boundaries"],
  [
    "a boundary of 129 characters",
    boundary(`arn:aws:iam::123456789012:policy/${"b".repeat(129)}`),
    says.noPolicyArn,
  ],
  [
    "a boundary that Terraform would read",
    boundary("arn:aws:iam::123456789012:policy/$" + "{path.cwd}"),
    says.noPolicyArn,
  ],
];

describe("settings of what is there already", () => {
  it.each(fine)("are fine: %s", (_, settings) => {
    expect(problemsOf(settings)).toEqual([]);
  });

  const refusals = wrong.map(([what, settings, ...texts]) => ({ what, settings, texts }));
  it.each(refusals)("are refused, once: $what", ({ settings, texts }) => {
    const problems = problemsOf(settings);
    expect(problems).toHaveLength(1);
    for (const text of texts) expect(problems[0]).toContain(text);
    expect(problems[0]).toMatch(/^environments\[0\].*: .*\. Allowed: .+ \(.+\)\.$/);
  });

  it("are all reported at once", () => {
    const things = { bucket: "Acme", executionRoleArn: "studio", network: { vpcId: "main", subnetIds: [] } };
    const problems = problemsOf({ existing: things, egress: "nat", permissionsBoundaryArn: "boundary" });
    expect(problems.map((problem) => problem.split(": ")[1]).sort()).toEqual([
      "egress",
      "existing.bucket",
      "existing.executionRoleArn",
      "existing.network.subnetIds",
      "existing.network.vpcId",
      "permissionsBoundaryArn",
    ]);
  });
});

describe("environments that use what is there already", () => {
  it("may share a network, a role and a key, whatever their default range", () => {
    const shared = {
      network: { vpcId, subnetIds: subnets(2) },
      executionRoleArn: "arn:aws:iam::123456789012:role/studio",
      encryptionKeyArn: key("us-east-1"),
    };
    const environments = ["dev", "test"].map((name) => ({ name, existing: shared }));
    expect(validateEnvironments([...environments, { name: "prod" }])).toEqual([]);
  });

  it("may not use the bucket of another's state", () => {
    const environments = [
      { name: "dev", existing: { bucket: "acme-state", network: { vpcId, subnetIds: subnets(2) } } },
      { name: "prod", backend: { type: "s3", bucket: "acme-state" } },
    ];
    expect(validateEnvironments(environments)).toEqual([
      expect.stringContaining(
        'existing.bucket: "acme-state" contains the Terraform state of environments[1] "prod"',
      ),
    ]);
  });

  it("may not share a bucket, where spaces look for their payload", () => {
    const environments = ["dev", "test"].map((name) => ({
      name,
      existing: { bucket: "acme-studio", network: { vpcId, subnetIds: subnets(2) } },
    }));
    expect(validateEnvironments(environments)).toEqual([
      expect.stringContaining(
        'environments[1] "test": existing.bucket: "acme-studio" is also the bucket of environments[0] "dev"',
      ),
    ]);
  });
});
