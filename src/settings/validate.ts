import { checkAppsFolder } from "./apps-folder.ts";
import { checkPolicyArn } from "./arns.ts";
import { checkBackend, stateBucketOf, stateObjectOf } from "./backend.ts";
import { type Cidr, overlap } from "./cidr.ts";
import { checkBesideExisting, checkExisting, existingBucketOf } from "./existing.ts";
import { checkGuardRails } from "./guard-rails.ts";
import { checkInstanceType } from "./instance-types.ts";
import { checkJobs } from "./jobs.ts";
import { checkEnvironmentName } from "./names.ts";
import { checkExtraPackages, checkMarimoVersion, checkPackageIndexUrl } from "./packages.ts";
import {
  type Check,
  checkBoolean,
  checkKeys,
  isRecord,
  message,
  oneOf,
  quote,
  type Report,
  type Untyped,
} from "./problems.ts";
import { checkRegion, isRegion } from "./regions.ts";
import { defaults } from "./resolve.ts";
import { checkSchedules } from "./schedules.ts";
import { checkTags } from "./tags.ts";
import { type EnvironmentSettings, transports } from "./types.ts";
import { checkUserProfiles } from "./user-profiles.ts";
import { checkRoom, checkVpcCidr, freeRange, usableVpc, vpcCidrOf } from "./vpc.ts";
import { checkZones } from "./zones.ts";

/** One check for each setting: the compiler asks for one when a setting is added. */
const checks: Readonly<Record<keyof EnvironmentSettings, Check>> = {
  name: checkEnvironmentName,
  region: checkRegion,
  vpcCidr: checkVpcCidr,
  availabilityZones: checkZones,
  egress: oneOf(["nat", "nat-per-zone", "endpoints-only"], "src/settings/types.ts"),
  userProfiles: checkUserProfiles,
  authentication: oneOf(["IAM", "SSO"], "SageMaker API, AuthMode"),
  defaultInstanceType: checkInstanceType,
  idleTimeoutMinutes: checkIdleTimeout,
  marimoVersion: checkMarimoVersion,
  extraPackages: checkExtraPackages,
  packageIndexUrl: checkPackageIndexUrl,
  transport: oneOf(transports, "src/settings/types.ts"),
  sampleNotebooks: checkBoolean,
  appsFolder: checkAppsFolder,
  tags: checkTags,
  guardRails: checkGuardRails,
  jobs: checkJobs,
  schedules: checkSchedules,
  backend: checkBackend,
  homeFileSystemRetention: oneOf(["Retain", "Delete"], "SageMaker API, RetentionType"),
  existing: checkExisting,
  permissionsBoundaryArn: checkPolicyArn,
  removalProtection: checkBoolean,
  bucketForceDestroy: checkBoolean,
};
const settingNames = Object.keys(checks);

/**
 * Every problem of a settings file, one message each; none where it is fine. It takes anything, for callers that no
 * compiler has checked, and takes time in proportion to the number of users.
 */
export function validateEnvironments(input: unknown): string[] {
  const listRule = {
    allowed: 'a list of at least one, such as [{ name: "dev" }]',
    source: "src/settings/types.ts",
  };
  if (!Array.isArray(input)) return [message("environments", input, "is no list of environments", listRule)];
  if (input.length === 0) return [message("environments", input, "leaves nothing to synthesize", listRule)];

  const environmentRule = { ...listRule, allowed: 'an object with at least a name, such as { name: "dev" }' };
  const messages: string[] = [];
  const environments: Environment[] = [];
  for (const [index, settings] of (input as readonly unknown[]).entries()) {
    const path = `environments[${index}]`;
    if (!isRecord(settings)) {
      messages.push(message(path, settings, "is no environment", environmentRule));
      continue;
    }
    const label = typeof settings.name === "string" ? `${path} ${quote(settings.name)}` : path;
    const reportOn: Environment["reportOn"] =
      (setting) =>
      (value, problem, rule, within = "") => {
        messages.push(message(`${label}: ${(setting + within).replace(/^\./, "")}`, value, problem, rule));
      };
    const environment = { label, settings, reportOn };
    checkOne(environment);
    environments.push(environment);
  }
  checkTogether(environments);
  return messages;
}

interface Environment {
  /** How messages call it: `environments[0] "dev"`. */
  readonly label: string;
  readonly settings: Untyped;
  readonly reportOn: (setting: string) => Report;
}

function checkOne({ settings, reportOn }: Environment): void {
  checkKeys(settings, settingNames, reportOn(""));
  for (const [setting, check] of Object.entries(checks)) {
    const value = settings[setting];
    // An optional setting of value undefined is one left out.
    if (value !== undefined || setting === "name") check(value, reportOn(setting), settings);
  }
  checkRoom(vpcCidrOf(settings), reportOn("vpcCidr"), settings);
  checkBesideExisting(settings, reportOn);
  checkForceDestroy(settings.bucketForceDestroy, reportOn("bucketForceDestroy"), settings);
}

function checkIdleTimeout(value: unknown, report: Report): void {
  const rule = {
    allowed: "a whole number of minutes, 60 to 525600",
    source: "SageMaker API, IdleTimeoutInMinutes",
  };
  if (typeof value !== "number") report(value, "is no number", rule);
  else if (!Number.isInteger(value)) report(value, "is no whole number", rule);
  else if (value < 60 || value > 525_600) report(value, "is out of range", rule);
}

/**
 * A protected bucket that would give up its objects is a contradiction: one later change of `removalProtection`
 * would then destroy them. Protection beside `homeFileSystemRetention: "Delete"` is none: that setting cannot change
 * later and only says what happens once the protection was lifted on purpose.
 */
function checkForceDestroy(value: unknown, report: Report, settings: Untyped): void {
  const given = settings.removalProtection;
  const isProtected = given ?? (settings.homeFileSystemRetention ?? "Retain") === "Retain";
  if (value !== true || isProtected !== true) return;
  report(value, `contradicts removalProtection true${given === undefined ? " (its default here)" : ""}`, {
    allowed: "true only beside removalProtection: false",
    source: "src/settings/types.ts",
  });
}

/** What environments must not share: a name, a state, and within a region a range of addresses. */
function checkTogether(environments: readonly Environment[]): void {
  const names = new Map<unknown, string>();
  const states = new Map<string, string>();
  const buckets = new Map<string, string>();
  const stateBuckets = new Map(environments.map(({ label, settings }) => [stateBucketOf(settings), label]));
  const ranges = new Map<string, { readonly label: string; readonly vpc: Cidr }[]>();
  for (const { label, settings, reportOn } of environments) {
    const { name } = settings;
    const sameName = names.get(name);
    if (typeof name === "string" && sameName !== undefined) {
      const rule = {
        allowed: "a name of its own for each environment",
        source: "it names the stack and its state",
      };
      reportOn("name")(name, `is the name of ${sameName} too`, rule);
    }
    if (!names.has(name)) names.set(name, label);

    const state = stateObjectOf(settings);
    const sameState = state === undefined ? undefined : states.get(state);
    // Two environments of one name are told of above.
    if (state !== undefined && sameState !== undefined && sameName === undefined) {
      const rule = {
        allowed: "a bucket or key of its own for each environment",
        source: "one Terraform state, one stack",
      };
      reportOn("backend")(state, `is the state of ${sameState} too`, rule);
    }
    if (state !== undefined && sameState === undefined) states.set(state, label);

    const bucket = existingBucketOf(settings);
    const sameBucket = bucket === undefined ? undefined : buckets.get(bucket);
    if (bucket !== undefined && sameBucket !== undefined) {
      const rule = {
        allowed: "a bucket of its own for each environment",
        source: "spaces find their payload at one place in the bucket",
      };
      reportOn("existing")(bucket, `is the bucket of ${sameBucket} too`, rule, ".bucket");
    } else if (bucket !== undefined) buckets.set(bucket, label);
    const stateOf = bucket === undefined ? undefined : stateBuckets.get(bucket);
    if (stateOf !== undefined) {
      const rule = { allowed: "a bucket without a state", source: "notebooks may read and write all of it" };
      reportOn("existing")(bucket, `has the Terraform state of ${stateOf} in it`, rule, ".bucket");
    }

    const region = settings.region ?? defaults.region;
    const vpcCidr = vpcCidrOf(settings);
    const vpc = usableVpc(vpcCidr);
    if (!vpc || !isRegion(region)) continue;
    const others = ranges.get(region) ?? [];
    const other = others.find((range) => overlap(range.vpc, vpc));
    if (other) {
      const free = freeRange([...others.map((range) => range.vpc), vpc]);
      const origin = settings.vpcCidr === undefined ? "(the default) " : "";
      reportOn("vpcCidr")(vpcCidr, `${origin}overlaps the VPC of ${other.label} in ${region}`, {
        allowed: `ranges that do not overlap within a region${free ? `, here for example "${free}"` : ""}`,
        source: 'Amazon VPC Peering Guide, "Overlapping CIDR blocks": such VPCs can never be connected',
      });
    }
    ranges.set(region, [...others, { label, vpc }]);
  }
}
