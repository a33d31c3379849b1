import { basicDefaults } from "./basics.ts";
import { type Cidr, overlap } from "./cidr.ts";
import { environmentChecks } from "./environment.ts";
import { checkBesideExisting } from "./existing.ts";
import { existingBucketOf } from "./existing-lookup.ts";
import { checkRoom, freeRange, usableVpc, vpcCidrOf } from "./network.ts";
import { checkKeys, isRecord, message, quote, type Report, type Untyped } from "./problems.ts";
import { isRegion } from "./reference/regions.ts";
import { checkForceDestroy } from "./retention.ts";
import { stateBucketOf, stateObjectOf } from "./terraform.ts";

const settingNames = Object.keys(environmentChecks);

import { checkEnvironmentName } from "./user-names.ts";

/**
 * Returns one message for each problem of a settings file. Accepts any value, for callers without type checks. The time
 * grows linearly with the number of users.
 */
export function validateEnvironments(input: unknown): string[] {
  const listRule = {
    allowed: 'a list of at least one, such as [{ name: "dev" }]',
    source: "src/settings/environment.ts",
  };
  if (!Array.isArray(input))
    return [message("environments", input, "is not a list of environments", listRule)];
  if (input.length === 0) return [message("environments", input, "contains no environment", listRule)];

  const environmentRule = { ...listRule, allowed: 'an object with at least a name, such as { name: "dev" }' };
  const messages: string[] = [];
  const environments: Environment[] = [];
  for (const [index, settings] of (input as readonly unknown[]).entries()) {
    const path = `environments[${index}]`;
    if (!isRecord(settings)) {
      messages.push(message(path, settings, "is not an environment", environmentRule));
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
  for (const [setting, check] of Object.entries(environmentChecks)) {
    const value = settings[setting];
    // An optional setting of value undefined is one left out.
    if (value !== undefined || setting === "name") check(value, reportOn(setting), settings);
  }
  checkRoom(vpcCidrOf(settings), reportOn("vpcCidr"), settings);
  checkBesideExisting(settings, reportOn);
  checkForceDestroy(settings.bucketForceDestroy, reportOn("bucketForceDestroy"), settings);
}

/** What environments must not share: a name or the beginning of one, a state, and within a region a range of addresses. */
function checkTogether(environments: readonly Environment[]): void {
  const names = new Map<unknown, string>();
  const allNames = new Set(
    environments.flatMap(({ settings: { name } }) => (typeof name === "string" ? [name] : [])),
  );
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
      reportOn("name")(name, `is also the name of ${sameName}`, rule);
    }
    if (!names.has(name)) names.set(name, label);
    if (typeof name === "string") checkEnvironmentName(name, allNames, reportOn("name"));

    const state = stateObjectOf(settings);
    const sameState = state === undefined ? undefined : states.get(state);
    // A shared name is already reported above.
    if (state !== undefined && sameState !== undefined && sameName === undefined) {
      const rule = {
        allowed: "a bucket or key of its own for each environment",
        source: "one Terraform state, one stack",
      };
      reportOn("backend")(state, `is also the state of ${sameState}`, rule);
    }
    if (state !== undefined && sameState === undefined) states.set(state, label);

    const bucket = existingBucketOf(settings);
    const sameBucket = bucket === undefined ? undefined : buckets.get(bucket);
    if (bucket !== undefined && sameBucket !== undefined) {
      const rule = {
        allowed: "a bucket of its own for each environment",
        source: "spaces find their payload at one place in the bucket",
      };
      reportOn("existing")(bucket, `is also the bucket of ${sameBucket}`, rule, ".bucket");
    } else if (bucket !== undefined) buckets.set(bucket, label);
    const stateOf = bucket === undefined ? undefined : stateBuckets.get(bucket);
    if (stateOf !== undefined) {
      const rule = { allowed: "a bucket without a state", source: "notebooks may read and write all of it" };
      reportOn("existing")(bucket, `contains the Terraform state of ${stateOf}`, rule, ".bucket");
    }

    const region = settings.region ?? basicDefaults.region;
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
