import { isDeepStrictEqual } from "node:util";
import { groupBy } from "./changes.ts";
import { type Difference, differencesOf } from "./differences.ts";
import { code } from "./markdown.ts";
import {
  after,
  before,
  changesOf,
  isConfigured,
  isCreated,
  isDestroyed,
  isRemoved,
  type Plan,
  priorResources,
  type ResourceChange,
  valuesOf,
} from "./plan.ts";
import { queryLimitRule } from "./risks/athena.ts";
import { auditRule } from "./risks/audit.ts";
import { endpointTimeoutRule } from "./risks/endpoint-timeout.ts";
import { publicRule, trafficRule } from "./risks/exposure.ts";
import { instanceLimitRule } from "./risks/instance-limit.ts";
import { permissionsRule } from "./risks/permissions.ts";
import { protectionRule } from "./risks/protection.ts";
import { retentionRule } from "./risks/retention.ts";
import type { Finding, Rule } from "./risks/rule.ts";

/** What a plan does with a change outside of Terraform. `changed`: it sets a third value. */
const outcomes = ["kept", "changed", "reverted"] as const;
export type Outcome = (typeof outcomes)[number];

/** What was changed of a resource outside of Terraform. */
export interface Drift {
  /** From what the last apply left to what is there now, which is null for a deleted resource. */
  readonly about: ResourceChange;
  readonly outcome: Outcome;
  readonly risks: readonly (Finding & { readonly rule: Rule })[];
}

/** Rules for what is weaker or wider than it was. The others are about applying a change. */
const rules: readonly Rule[] = [
  retentionRule,
  auditRule,
  protectionRule,
  publicRule,
  permissionsRule,
  trafficRule,
  queryLimitRule,
  instanceLimitRule,
  endpointTimeoutRule,
];

/** Every change outside of Terraform that means something, with what the plan does with it. */
export function driftOf(plan: Plan): readonly Drift[] {
  const parts = (plan.resource_drift ?? []).flatMap((one) => {
    const change = meaningful(plan, one);
    return change === undefined ? [] : byOutcome(plan, change);
  });
  const asPlan = planOf(
    plan,
    parts.map(({ about }) => about),
  );
  const findings = rules.flatMap((rule) =>
    rule.find(asPlan, { running: [] }, []).map((one) => ({ ...one, rule })),
  );
  return parts.map(({ about, outcome }) => {
    const risks = findings.filter((one) => one.about === about);
    return { about, outcome, risks: outcome === "kept" ? risks.map(asKept) : risks };
  });
}

/** A risk that applying the plan does not end. */
function asKept<T extends Finding>(finding: T): T {
  const { name, managed_policy_arns: attached } = after(finding.about);
  const commands = list(attached).map((arn) =>
    code(`aws iam detach-role-policy --role-name ${name} --policy-arn ${arn}`),
  );
  return {
    ...finding,
    reason: `${finding.reason} This was done outside of Terraform, and this plan keeps it.`,
    instead: `${commands.length > 0 ? `run ${commands.join(" and ")}` : "undo it where it was done"}. CloudTrail's event history says who did it`,
  };
}

const plannedFor = (plan: Plan, { address }: ResourceChange) =>
  changesOf(plan).filter((one) => one.address === address);

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const attributeOf = ({ path }: Difference) => path.split(/[.[]/)[0] ?? "";

/** A change for each outcome, with the attributes that have it. */
function byOutcome(plan: Plan, one: ResourceChange): readonly Pick<Drift, "about" | "outcome">[] {
  if (isDestroyed(one))
    return [{ about: one, outcome: plannedFor(plan, one).some(isCreated) ? "reverted" : "kept" }];
  const attributes = groupBy(differencesOf(one), attributeOf).map((differences) => {
    const found = differences.map((difference) => outcomeOf(plan, one, difference));
    return {
      name: differences.map(attributeOf)[0] ?? "",
      outcome: outcomes.find((each) => found.includes(each)),
    };
  });
  return outcomes.flatMap((outcome) => {
    const names = attributes.filter((each) => each.outcome === outcome).map(({ name }) => name);
    return names.length === 0 ? [] : [{ about: onlyWith(one, (name) => names.includes(name)), outcome }];
  });
}

/** A change of only some attributes. */
const onlyWith = (one: ResourceChange, is: (name: string) => boolean): ResourceChange => ({
  ...one,
  change: {
    ...one.change,
    after: { ...before(one), ...Object.fromEntries(Object.entries(after(one)).filter(([name]) => is(name))) },
  },
});

function outcomeOf(plan: Plan, about: ResourceChange, difference: Difference): Outcome {
  const planned = plannedFor(plan, about).flatMap(differencesOf);
  const same = planned.find(({ path }) => path === difference.path);
  if (same !== undefined) {
    // The provider writes "" for what an empty block leaves out.
    return (same.after || "nothing") === difference.before ? "reverted" : "changed";
  }
  if (planned.some((one) => attributeOf(one) === attributeOf(difference))) return "changed";
  const isTakenBack =
    attributeOf(difference) === "inline_policy" &&
    changesOf(plan).some((one) => one.type === exclusiveType && before(one).role_name === before(about).name);
  return isTakenBack ? "reverted" : "kept";
}

/** Removes inline policies that are not in its list from a role. */
const exclusiveType = "aws_iam_role_policies_exclusive";

/**
 * The change without attributes that mean nothing. A provider reads many of those after each apply: what AWS computes, and
 * what another resource of the plan sets, such as the versioning of an `aws_s3_bucket`. What remains is in the
 * configuration, is changed by the plan, causes one of its changes, or gives rights to a role.
 */
function meaningful(plan: Plan, one: ResourceChange): ResourceChange | undefined {
  // The role's own drift has the policies that this resource only names.
  if (one.mode === "data" || one.type === exclusiveType) return undefined;
  if (isDestroyed(one)) return one;
  const changes = plannedFor(plan, one);
  // What was changed goes with the resource.
  if (changes.some(isRemoved)) return undefined;
  const planned = new Set(changes.flatMap(differencesOf).map(attributeOf));
  const causes = new Set(
    (plan.relevant_attributes ?? [])
      .filter(({ resource }) => [one.address, one.address.replace(/\[.*$/s, "")].includes(resource))
      .map(({ attribute }) => attribute[0]),
  );
  const isRole = one.type === "aws_iam_role";
  // The provider reads a default tag as one of the resource's own when the plan changes it.
  const hasSameTags = isDeepStrictEqual(before(one).tags_all, after(one).tags_all);
  const changed = onlyWith(
    isRole ? withForeignRights(plan, one) : one,
    (name) =>
      !(name === "tags" && hasSameTags) &&
      (planned.has(name) ||
        causes.has(name) ||
        (isRole && ["managed_policy_arns", "inline_policy"].includes(name)) ||
        isConfigured(plan, one, name)),
  );
  return differencesOf(changed).length > 0 ? changed : undefined;
}

/** Of a role's policies, those that it got and that no resource of the plan gives it. */
function withForeignRights(plan: Plan, one: ResourceChange): ResourceChange {
  const [old, now] = [before(one), after(one)];
  const given = [
    ...list(old.managed_policy_arns),
    ...priorResources(plan, "aws_iam_policy_attachment").map(({ values }) => values?.policy_arn),
    // AWS Budgets attaches its policy when the budget is spent.
    ...priorResources(plan, "aws_budgets_budget_action").flatMap(({ values }) =>
      [...JSON.stringify(values?.definition ?? []).matchAll(/"policy_arn":"([^"]+)"/g)].map(([, arn]) => arn),
    ),
  ];
  const own = priorResources(plan, "aws_iam_role_policy")
    .filter(({ values }) => values?.role === now.name)
    .map(({ values }) => values?.name);
  const [inlineBefore, inlineAfter] = [old, now].map((values) => list(values.inline_policy).map(valuesOf));
  const foreign = (inlineAfter ?? []).filter(({ name }) => name && !own.includes(name));
  const replaced = (inlineBefore ?? []).filter(({ name }) => foreign.some((policy) => policy.name === name));
  const attached = list(now.managed_policy_arns).filter((arn) => !given.includes(arn));
  return {
    ...one,
    change: {
      ...one.change,
      before: { ...old, managed_policy_arns: [], inline_policy: replaced },
      after: { ...now, managed_policy_arns: attached, inline_policy: foreign },
    },
  };
}

/** The changes outside of Terraform as a plan of their own, from the state that the last apply left. */
function planOf(plan: Plan, changes: readonly ResourceChange[]): Plan {
  const changed = new Map(changes.map((one) => [one.address, one]));
  const resources = [
    ...priorResources(plan).filter(({ address }) => !changed.has(address)),
    ...changes.map((one) => ({ address: one.address, type: one.type, values: before(one) })),
  ];
  return { ...plan, resource_changes: changes, prior_state: { values: { root_module: { resources } } } };
}
