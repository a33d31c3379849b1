import { checkKeyArn, checkRoleArn } from "./arns.ts";
import { checkBucketName } from "./names.ts";
import { type Check, checkKeys, isRecord, isString, type Report, type Untyped } from "./problems.ts";
import { defaults } from "./resolve.ts";
import type { EnvironmentSettings, ExistingSettings } from "./types.ts";

const existingRule = {
  allowed: 'an object such as { bucket: "acme-studio" }',
  source: "src/settings/types.ts",
};
const networkRule = {
  allowed: '{ vpcId: "vpc-…", subnetIds: ["subnet-…", "subnet-…"] }',
  source: "src/settings/types.ts",
};
const vpcRule = { allowed: 'the id of a VPC, "vpc-" and 8 or 17 digits', source: "Amazon EC2 API, VpcId" };
const subnetRule = {
  allowed: '2 to 16 different ids of subnets, each "subnet-" and 8 or 17 digits',
  source: "SageMaker API, SubnetIds; two, since they must be in two zones",
};

const checkNetwork: Check = (network, report) => {
  if (!isRecord(network)) return report(network, "is no network", networkRule, ".network");
  checkKeys(network, ["vpcId", "subnetIds"], report, ".network");
  const { subnetIds, vpcId } = network;
  if (isString(vpcId, report, vpcRule, ".network.vpcId") && !/^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/.test(vpcId)) {
    report(vpcId, "is no id of a VPC", vpcRule, ".network.vpcId");
  }
  const within = ".network.subnetIds";
  if (!Array.isArray(subnetIds)) return report(subnetIds, "is no list", subnetRule, within);
  if (subnetIds.length < 2 || subnetIds.length > 16) {
    report(subnetIds, `lists ${subnetIds.length}`, subnetRule, within);
  }
  for (const [index, subnetId] of (subnetIds as readonly unknown[]).entries()) {
    const at = `${within}[${index}]`;
    if (!isString(subnetId, report, subnetRule, at)) continue;
    if (!/^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/.test(subnetId)) {
      report(subnetId, "is no id of a subnet", subnetRule, at);
    } else if (subnetIds.indexOf(subnetId) < index) report(subnetId, "is listed twice", subnetRule, at);
  }
};

/** One check for each thing: the compiler asks for one when a thing is added. */
const checks: Readonly<Record<keyof ExistingSettings, Check>> = {
  encryptionKeyArn: (value, report, settings) =>
    checkKeyArn(value, report, ".encryptionKeyArn", {
      region: settings.region ?? defaults.region,
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
      report(value, "is no id of a domain", rule, ".domainId");
    }
  },
};

export const checkExisting: Check = (existing, report, settings) => {
  if (!isRecord(existing)) return report(existing, "is no set of existing things", existingRule);
  checkKeys(existing, Object.keys(checks), report);
  for (const [thing, check] of Object.entries(checks)) {
    if (existing[thing] !== undefined) check(existing[thing], report, settings);
  }
};

const ofNetwork = ["vpcCidr", "availabilityZones", "egress"] as const;
/** Settings of what the stack would have made itself. */
const replaced: Readonly<Partial<Record<keyof ExistingSettings, readonly (keyof EnvironmentSettings)[]>>> = {
  network: ofNetwork,
  bucket: ["bucketForceDestroy"],
  domainId: [
    ...ofNetwork,
    "userProfiles",
    "authentication",
    "defaultInstanceType",
    "idleTimeoutMinutes",
    "homeFileSystemRetention",
    "guardRails",
    "jobs",
  ],
};

/** Reports settings that would say something of a thing that is not the stack's own. */
export function checkBesideExisting(settings: Untyped, reportOn: (setting: string) => Report): void {
  if (isRecord(settings.existing) && isExisting(settings, "domainId") && isExisting(settings, "network")) {
    reportOn("existing")(
      settings.existing.network,
      "is given beside existing.domainId, which has its network",
      {
        allowed: "one of the two",
        source: "SageMaker API, CreateDomain: the network is the domain's",
      },
      ".network",
    );
  }
  const told = new Set<string>();
  for (const [thing, others] of Object.entries(replaced)) {
    if (!isExisting(settings, thing as keyof ExistingSettings)) continue;
    for (const setting of others) {
      if (settings[setting] === undefined || told.has(setting)) continue;
      told.add(setting);
      reportOn(setting)(settings[setting], `contradicts existing.${thing}, which has this decided`, {
        allowed: `only without existing.${thing}`,
        source: "the stack changes nothing that is there already",
      });
    }
  }
}

/** A domain that is there already has its network. */
export const hasOwnNetwork = (settings: Untyped): boolean =>
  !isExisting(settings, "network") && !isExisting(settings, "domainId");

export function existingBucketOf({ existing }: Untyped): string | undefined {
  return isRecord(existing) && typeof existing.bucket === "string" ? existing.bucket : undefined;
}

export const isExisting = ({ existing }: Untyped, thing: keyof ExistingSettings): boolean =>
  isRecord(existing) && existing[thing] !== undefined;
