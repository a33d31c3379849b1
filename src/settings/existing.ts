import { checkKeyArn, checkRoleArn } from "./arns.ts";
import { basicDefaults } from "./basics.ts";
import { checkBucketName } from "./bucket-name.ts";
import { type ExistingResource, isExisting } from "./existing-lookup.ts";
import type { NetworkSettings } from "./network.ts";
import {
  type Check,
  type Checks,
  checkKeys,
  isRecord,
  isString,
  type Report,
  type Untyped,
} from "./problems.ts";
import type { RetentionSettings } from "./retention.ts";
import type { StudioSettings } from "./studio.ts";

/** An existing VPC and the private subnets in it that spaces run in. */
export interface ExistingNetworkSettings {
  /** Id of the VPC. Limit: must have DNS support and DNS host names, which the home file system needs. */
  readonly vpcId: string;
  /**
   * Ids of the subnets. Terraform warns if fewer than two free addresses remain for each user.
   * Limit: 2-16 subnets of that VPC in at least two zones, none of which assigns public addresses: a space in VpcOnly
   * has no public address and could not reach the internet. SageMaker itself accepts 1-16 (CreateDomain, `SubnetIds`).
   */
  readonly subnetIds: readonly string[];
}

/**
 * Existing resources that the stack uses instead of its own. Terraform reads each one during a plan and fails if it is
 * not suitable. It never changes or destroys them. The GitHub roles in `.github/roles` can read only the stack's own
 * resources: allow them to read these too.
 */
export interface ExistingSettings extends Partial<Record<ExistingResource, unknown>> {
  /**
   * ARN of a KMS key for the bucket, logs and Studio domain. Its owner must add the statements of the output
   * `encryption_key_policy` to its key policy. Cannot change later: the domain would be replaced.
   * Limit: an enabled symmetric encryption key in the environment's Region (SageMaker API, `KmsKeyId`; EFS and EBS do
   * not accept asymmetric keys).
   * @default a key that the stack creates
   */
  readonly encryptionKeyArn?: string;

  /**
   * Name of a bucket for payload, samples and artifacts. The stack adds objects below `marimo/` and removes them again.
   * Its roles read those, read and write below `people/` and `shared/`, and have no other object of it. The owner is
   * responsible for versioning, encryption, access and lifecycle rules.
   * Limit: in the environment's Region; not shared with another environment.
   * @default a bucket that the stack creates
   */
  readonly bucket?: string;

  /**
   * ARN of the role that Studio, the notebooks and the jobs of everybody run as. **People are then not isolated from one
   * another**: each can read and change the others' data, jobs and results, and CloudTrail names only this role. The
   * stack attaches managed policies named `marimo-<environment>-…` to it (IAM allows 10 for each role), and `guardRails`,
   * which then apply to every use of the role.
   * Limit: a role of this account that SageMaker may assume.
   * @default a role for each user, and one for shared spaces, that the stack creates
   */
  readonly executionRoleArn?: string;

  /**
   * Network of the domain. Its routes or endpoints must reach the services that `endpoints-only` has endpoints for. The
   * stack adds only security groups for the spaces. After the domain is destroyed, the two security groups that
   * SageMaker created for its home file system remain (`security-group-for-…bound-nfs-<domain>`), and with `Retain` its
   * mount targets. Cannot change later: the domain would be replaced.
   * @default a VPC that the stack creates
   */
  readonly network?: ExistingNetworkSettings;

  /**
   * Id of an existing Studio domain that gets marimo. The stack creates the payload with its bucket and key, a
   * lifecycle configuration and permissions for the execution role. It does not change the domain: its owner runs the
   * outputs `update_domain_command` and `update_user_profile_command`, and undoes them before a destroy, because
   * SageMaker does not delete a lifecycle configuration that is in use. A destroy removes nothing of the domain.
   * Terraform reads the domain with `cloudformation:GetResource` and `sagemaker:DescribeDomain`. Without
   * `executionRoleArn`, the output `execution_role_policies` lists what the domain's roles must be allowed.
   * @default a domain that the stack creates
   */
  readonly domainId?: string;
}

const existingRule = {
  allowed: 'an object such as { bucket: "acme-studio" }',
  source: "src/settings/existing.ts",
};
const networkRule = {
  allowed: '{ vpcId: "vpc-…", subnetIds: ["subnet-…", "subnet-…"] }',
  source: "src/settings/existing.ts",
};
const vpcRule = { allowed: 'the id of a VPC, "vpc-" and 8 or 17 digits', source: "Amazon EC2 API, VpcId" };
const subnetRule = {
  allowed: '2 to 16 different ids of subnets, each "subnet-" and 8 or 17 digits',
  source: "SageMaker API, CreateDomain, SubnetIds: 1 to 16; at least 2 is this project's rule, for two zones",
};

const checkNetwork: Check = (network, report) => {
  if (!isRecord(network)) return report(network, "is not a network", networkRule, ".network");
  checkKeys(network, ["vpcId", "subnetIds"], report, ".network");
  const { subnetIds, vpcId } = network;
  if (isString(vpcId, report, vpcRule, ".network.vpcId") && !/^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/.test(vpcId)) {
    report(vpcId, "is not a VPC id", vpcRule, ".network.vpcId");
  }
  const within = ".network.subnetIds";
  if (!Array.isArray(subnetIds)) return report(subnetIds, "must be a list", subnetRule, within);
  if (subnetIds.length < 2 || subnetIds.length > 16) {
    report(subnetIds, `lists ${subnetIds.length}`, subnetRule, within);
  }
  for (const [index, subnetId] of (subnetIds as readonly unknown[]).entries()) {
    const at = `${within}[${index}]`;
    if (!isString(subnetId, report, subnetRule, at)) continue;
    if (!/^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/.test(subnetId)) {
      report(subnetId, "is not a subnet id", subnetRule, at);
    } else if (subnetIds.indexOf(subnetId) < index) report(subnetId, "is listed twice", subnetRule, at);
  }
};

const checks: Checks<ExistingSettings> = {
  encryptionKeyArn: (value, report, settings) =>
    checkKeyArn(value, report, ".encryptionKeyArn", {
      region: settings.region ?? basicDefaults.region,
      regionOf: "the environment's",
      source: "SageMaker API, KmsKeyId",
      regionSource: 'AWS KMS Developer Guide, "Find the key ID and key ARN": a key is used in its own region',
    }),
  bucket: (value, report) => checkBucketName(value, report, ".bucket"),
  executionRoleArn: (value, report) => checkRoleArn(value, report, ".executionRoleArn"),
  network: checkNetwork,
  domainId: (value, report) => {
    const rule = {
      allowed: 'the id of a Studio domain, such as "d-0123456789ab"',
      source: "SageMaker API, DomainId",
    };
    if (isString(value, report, rule, ".domainId") && !/^d-(-*[a-z0-9]){1,61}$/.test(value)) {
      report(value, "is not a domain id", rule, ".domainId");
    }
  },
};

export const checkExisting: Check = (existing, report, settings) => {
  if (!isRecord(existing)) return report(existing, "is not an object with existing resources", existingRule);
  checkKeys(existing, Object.keys(checks), report);
  for (const [thing, check] of Object.entries(checks)) {
    if (existing[thing] !== undefined) check(existing[thing], report, settings);
  }
};

type ReplacedSetting =
  | keyof NetworkSettings
  | keyof StudioSettings
  | keyof RetentionSettings
  | "guardRails"
  | "jobs"
  | "services";
const ofNetwork = ["vpcCidr", "availabilityZones", "egress"] as const;
/** Settings of what the stack would have made itself. */
const replaced: Readonly<Partial<Record<keyof ExistingSettings, readonly ReplacedSetting[]>>> = {
  network: ofNetwork,
  bucket: ["bucketForceDestroy"],
  domainId: [
    ...ofNetwork,
    "userProfiles",
    "authentication",
    "defaultInstanceType",
    "idleTimeoutMinutes",
    "images",
    "homeFileSystemRetention",
    "guardRails",
    "jobs",
    "services",
  ],
};

/** Reports settings that would say something of a thing that is not the stack's own. */
export function checkBesideExisting(settings: Untyped, reportOn: (setting: string) => Report): void {
  if (isRecord(settings.existing) && isExisting(settings, "domainId") && isExisting(settings, "network")) {
    reportOn("existing")(
      settings.existing.network,
      "cannot be combined with `existing.domainId`, which has a network",
      {
        allowed: "one of the two",
        source: "SageMaker API, CreateDomain: the network is the domain's",
      },
      ".network",
    );
  }
  const reported = new Set<string>();
  for (const [thing, others] of Object.entries(replaced)) {
    if (!isExisting(settings, thing as ExistingResource)) continue;
    for (const setting of others) {
      if (settings[setting] === undefined || reported.has(setting)) continue;
      reported.add(setting);
      reportOn(setting)(settings[setting], `cannot be combined with existing.${thing}`, {
        allowed: `only without existing.${thing}`,
        source: "the stack does not change existing resources",
      });
    }
  }
}
