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

/** Each is one way in which less is kept, or for a shorter time: what it is, or nothing. */
const weakenings: Readonly<Record<string, (one: ResourceChange) => string | undefined>> = {
  aws_sagemaker_domain: (one) =>
    retentionOf(before(one)) !== "Delete" && retentionOf(after(one)) === "Delete"
      ? "The home file system is deleted with the domain from now on (`retention_policy`)."
      : undefined,
  aws_s3_bucket: (one) =>
    before(one).force_destroy === false && after(one).force_destroy === true
      ? "The bucket is deleted with all that is in it when it goes (`force_destroy`)."
      : undefined,
  aws_cloudwatch_log_group: (one) => {
    // 0 is for ever (Terraform provider's documentation, `aws_cloudwatch_log_group`).
    const [old, now] = [before(one), after(one)].map((values) => days(values.retention_in_days) || Infinity);
    if (isDestroyed(one)) return "The log group goes, with all that was logged.";
    return Number(now) < Number(old)
      ? `Logs are kept ${now} days instead of ${old === Infinity ? "for ever" : `${old} days`}; older ones go soon after the apply.`
      : undefined;
  },
  aws_kms_key: (one) => {
    const [old, now] = [before(one), after(one)].map((values) => days(values.deletion_window_in_days) ?? 30);
    return !isDestroyed(one) && Number(now) < Number(old)
      ? `A deletion of the key can be cancelled for ${now} days instead of ${old}.`
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
      ? "Objects have no versions from now on: what is overwritten or deleted is gone."
      : undefined;
  },
  aws_s3_bucket_lifecycle_configuration: (one) => {
    const [old, now] = [before(one), after(one)].map(expirations);
    const sooner = [...(now ?? [])].filter(([what, after]) => after < (old?.get(what) ?? Infinity));
    const told = sooner.map(
      ([what, after]) => `${code(what)} after ${after} days, not ${old?.get(what) ?? "never"}`,
    );
    return told.length > 0 ? `Objects expire sooner: ${told.join("; ")}.` : undefined;
  },
};

/** Days until objects go, and until old versions go, by the name of the rule. */
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
      // 0 stands for none in the provider's state.
      if (number) found.set(`${one.id} (${block})`, number);
    }
  }
  return found;
}

export const retentionRule: Rule = {
  name: "weaker-retention",
  title: "Less is kept",
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
                instead: "leave the setting as it is; whoever needs the space can delete what is not needed",
              },
            ];
      }),
};

/** The settings of a bucket that goes too are no risk of their own. */
function goesWithBucket(plan: Plan, one: ResourceChange): boolean {
  return (
    one.type.startsWith("aws_s3_bucket_") &&
    changesOf(plan).some(
      (other) =>
        other.type === "aws_s3_bucket" && isDestroyed(other) && before(other).bucket === before(one).bucket,
    )
  );
}
