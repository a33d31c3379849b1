import { code } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isDestroyed,
  isUpdated,
  type Plan,
  type ResourceChange,
  text,
  valuesOf,
} from "../plan.ts";
import { retentionOf } from "./lost.ts";
import type { Rule } from "./rule.ts";

const days = (value: unknown) => (typeof value === "number" ? value : undefined);

/** By resource type: describes how a change keeps less data, or keeps it for a shorter time. */
const weakenings: Readonly<Record<string, (one: ResourceChange) => string | undefined>> = {
  aws_sagemaker_domain: (one) =>
    retentionOf(before(one)) !== "Delete" && retentionOf(after(one)) === "Delete"
      ? "Deleting the domain will also delete the home file system (`retention_policy`), besides the volumes of spaces."
      : undefined,
  aws_s3_bucket: (one) =>
    before(one).force_destroy === false && after(one).force_destroy === true
      ? "Deleting the bucket will also delete all objects in it (`force_destroy`)."
      : undefined,
  aws_cloudwatch_log_group: (one) => {
    // 0 means that logs never expire (Terraform provider documentation, `aws_cloudwatch_log_group`).
    const [old, now] = [before(one), after(one)].map((values) => days(values.retention_in_days) || Infinity);
    if (isDestroyed(one)) return "The log group and all its logs are deleted.";
    return Number(now) < Number(old)
      ? `Logs are kept for ${now} days instead of ${old === Infinity ? "forever" : `${old} days`}. Older logs are deleted soon after the apply.`
      : undefined;
  },
  aws_kms_key: (one) => {
    const [old, now] = [before(one), after(one)].map((values) => days(values.deletion_window_in_days) ?? 30);
    return !isDestroyed(one) && Number(now) < Number(old)
      ? `A deletion of the key can be cancelled for ${now} days instead of ${old} days.`
      : undefined;
  },
  aws_s3_bucket_versioning: (one) => {
    const [old, now] = [before(one), after(one)].map((values) => {
      const [configuration] = Array.isArray(values.versioning_configuration)
        ? values.versioning_configuration
        : [];
      return text(valuesOf(configuration).status);
    });
    return old === "Enabled" && now !== "Enabled"
      ? "Versioning is no longer enabled: overwritten or deleted objects cannot be restored."
      : undefined;
  },
  aws_s3_bucket_lifecycle_configuration: (one) => {
    const [old, now] = [before(one), after(one)].map(expirations);
    const sooner = [...(now ?? [])].filter(([what, after]) => after < (old?.get(what) ?? Infinity));
    const rules = sooner.map(
      ([what, after]) => `${code(what)} after ${after} days (before: ${old?.get(what) ?? "never"})`,
    );
    return rules.length > 0 ? `Objects expire sooner: ${rules.join("; ")}.` : undefined;
  },
};

/** Days until objects and noncurrent versions expire, by rule. */
function expirations(values: Readonly<Record<string, unknown>>): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const one of Array.isArray(values.rule) ? values.rule.map(valuesOf) : []) {
    if (one.status === "Disabled") continue;
    for (const [block, attribute] of [
      ["expiration", "days"],
      ["noncurrent_version_expiration", "noncurrent_days"],
    ] as const) {
      const [of] = Array.isArray(one[block]) ? one[block] : [];
      const number = days(valuesOf(of)[attribute]);
      // 0 means "not set" in the provider's state.
      if (number) found.set(`${one.id} (${block})`, number);
    }
  }
  return found;
}

export const retentionRule: Rule = {
  name: "weaker-retention",
  title: "Less data is retained",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => isUpdated(one) || isDestroyed(one))
      .filter((one) => !goesWithBucket(plan, one))
      .flatMap((about) => {
        const reason = weakenings[about.type]?.(about);
        return reason === undefined
          ? []
          : [
              {
                about,
                reason,
                instead: "undo the change, and delete only the data that is no longer needed",
              },
            ];
      }),
};

/** Whether the bucket of a bucket setting is deleted too. The bucket has its own risk. */
function goesWithBucket(plan: Plan, one: ResourceChange): boolean {
  return (
    one.type.startsWith("aws_s3_bucket_") &&
    changesOf(plan).some(
      (other) =>
        other.type === "aws_s3_bucket" && isDestroyed(other) && before(other).bucket === before(one).bucket,
    )
  );
}
