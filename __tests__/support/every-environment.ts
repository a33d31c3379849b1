import { environments } from "../../src/environments.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { type Synthesized, synthesize } from "./synthesize.ts";

const userProfiles = [{ name: "ana" }, { name: "bo" }];

const existing = {
  bucket: "acme-studio",
  encryptionKeyArn: "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  executionRoleArn: "arn:aws:iam::123456789012:role/studio",
};
const network = { vpcId: "vpc-0123abcd", subnetIds: ["subnet-0123abcd", "subnet-0123abce"] };
const permissionsBoundaryArn = "arn:aws:iam::123456789012:policy/boundary";

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
      userProfiles,
    })),
  ),
  {
    name: "packages",
    egress: "endpoints-only",
    packageIndexUrl: "https://team-111122223333.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
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
  { name: "existing", userProfiles, existing: { ...existing, network } },
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
  { name: "unrecorded", audit: false },
  {
    name: "recorded",
    audit: {
      retentionDays: 730,
      deployers: ["arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:user/ana"],
      alertAddresses: ["security@example.com"],
    },
  },
  { name: "attached", existing: { ...existing, bucket: "acme-attached", domainId: "d-0123456789ab" } },
];

export const synthesizeEvery = (): ReadonlyMap<string, Synthesized> =>
  new Map(everyEnvironment.map((settings) => [settings.name, synthesize(settings)]));
