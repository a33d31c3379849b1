import { code, codes, count } from "../markdown.ts";
import {
  before,
  changesOf,
  isDestroyed,
  isReplaced,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
  valuesOf,
} from "../plan.ts";
import type { Finding, Rule } from "./rule.ts";
import { removePerson } from "./studio.ts";

/** What the replacement or removal of a resource destroys, by resource type. */
const losses: Readonly<
  Record<string, (one: ResourceChange, plan: Plan) => Pick<Finding, "lost" | "instead">>
> = {
  aws_sagemaker_domain: (one, plan) => {
    const people = profilesOf(plan, text(before(one).id));
    const keeps = retentionOf(before(one)) !== "Delete";
    return {
      lost:
        `all spaces of ${count(people.length, "person", "people")}${people.length > 0 ? ` (${codes(people)})` : ""} ` +
        "and of users who were added by hand, with the notebooks on their volumes, and " +
        (keeps
          ? "access to the home file system, which stays without a domain and has no notebooks of JupyterLab spaces " +
            "(`retention_policy` is `Retain`)"
          : "the home file system (`retention_policy` is `Delete`)"),
      instead:
        "undo the change. If the change is necessary, add a second environment to src/environments.ts, have the users " +
        "back up their spaces (`marimo-backup now`), copy the backups to its bucket, and then remove this one",
    };
  },
  aws_sagemaker_user_profile: (one) => ({
    lost: `the profile of 1 person (${code(text(before(one).user_profile_name) ?? one.address)}), access to its home directory, and the schedules that the person made`,
    instead:
      "undo the change if the person still needs the profile. Otherwise delete the profile's apps and spaces first with " +
      `${code(removePerson(one))}: SageMaker cannot delete a profile that has any, and the apply would stop partway`,
  }),
  aws_sagemaker_space: (one) => ({
    lost: `the space ${code(text(before(one).space_name) ?? one.address)} and all files on its volume`,
    instead: "undo the change, or have the owner run `marimo-backup now` in the space first",
  }),
  aws_kms_key: (one, plan) => ({
    lost:
      "everything that is encrypted with the key, for " +
      `${count(priorResources(plan, "aws_sagemaker_user_profile").length, "person", "people")}. KMS deletes the key ` +
      `${Number(before(one).deletion_window_in_days ?? 30)} days after the apply, and the data is then unreadable`,
    instead:
      "undo the change. After the apply, `aws kms cancel-key-deletion` cancels the deletion until KMS deletes the key",
  }),
  aws_s3_bucket: (one, plan) => ({
    lost:
      `${isTrailBucket(plan, one) ? "the evidence of who wrote to the environment's bucket, " : ""}for ${count(priorResources(plan, "aws_sagemaker_user_profile").length, "person", "people")}: ` +
      (before(one).force_destroy === true
        ? "all objects in the bucket with all their versions (`force_destroy` is on)"
        : "the bucket. S3 cannot delete it while it contains objects, and the apply would then stop partway"),
    instead: "undo the change, or first copy the objects to another bucket (`aws s3 sync`)",
  }),
  aws_scheduler_schedule: (one) => ({
    lost: isReplaced(one)
      ? "runs that are due during the replacement"
      : `all future runs (${code(text(before(one).schedule_expression) ?? "?")}). The results of past runs stay in the bucket`,
    instead: "undo the change, or set `enabled: false` in src/environments.ts to pause the schedule",
  }),
  aws_sns_topic: (one) => ({
    lost:
      "its alerts" +
      (isReplaced(one) ? ", until the recipients confirm their subscriptions to the new topic" : ""),
    instead: "undo the change, or first note the subscriptions that were added by hand: they are deleted too",
  }),
  aws_efs_file_system: () => ({
    lost: "all files in the file system",
    instead: "undo the change, or first restore a backup to another file system (AWS Backup)",
  }),
};

export const lostRules: readonly Rule[] = [
  rule("replaced-domain", "The Studio domain is deleted", "aws_sagemaker_domain"),
  rule("replaced-user-profile", "A user profile is deleted", "aws_sagemaker_user_profile"),
  rule("replaced-space", "A space is deleted", "aws_sagemaker_space"),
  rule("replaced-key", "An encryption key is deleted", "aws_kms_key"),
  rule("replaced-bucket", "A bucket is deleted or replaced", "aws_s3_bucket"),
  rule("replaced-schedule", "A schedule is deleted", "aws_scheduler_schedule"),
  rule("replaced-alerts", "A topic for alerts is deleted", "aws_sns_topic"),
  rule("replaced-file-system", "A file system is deleted", "aws_efs_file_system"),
];

/** Its user goes too, or turned it off; it has no alerts. */
const isUserTopic = ({ address, type }: ResourceChange) =>
  type === "aws_sns_topic" && address.includes("user_topics");

function rule(name: string, title: string, type: string): Rule {
  return {
    name,
    title,
    find: (plan) =>
      changesOf(plan)
        .filter(
          (one) => one.type === type && isDestroyed(one) && !isUserTopic(one) && !goesWithDomain(plan, one),
        )
        .map((one) => ({
          about: one,
          reason: `Terraform ${isReplaced(one) ? "replaces" : "removes"} it${becauseOf(one)}.`,
          ...losses[type]?.(one, plan),
          instead: losses[type]?.(one, plan).instead ?? "undo the change",
        })),
  };
}

const isTrailBucket = (plan: Plan, one: ResourceChange): boolean =>
  priorResources(plan, "aws_cloudtrail").some(({ values }) => values?.s3_bucket_name === before(one).bucket);

/** Whether the profile's domain is deleted too. The domain's risk then counts the profile. */
function goesWithDomain(plan: Plan, one: ResourceChange): boolean {
  const domainId = text(before(one).domain_id);
  return (
    one.type === "aws_sagemaker_user_profile" &&
    changesOf(plan).some(
      (other) => other.type === "aws_sagemaker_domain" && isDestroyed(other) && before(other).id === domainId,
    )
  );
}

/** The reason for a replacement or removal ("JSON Output Format", `action_reason`). */
function becauseOf(one: ResourceChange): string {
  const paths = (one.change.replace_paths ?? []).map((path) =>
    path.filter((part) => typeof part === "string").join("."),
  );
  if (paths.length > 0) return `: ${codes([...new Set(paths)])} cannot be updated in place`;
  if (one.deposed !== undefined) return ": it is left over from an earlier replacement";
  if (one.action_reason === "replace_by_request") return ", as requested with -replace";
  if (one.action_reason === "replace_because_tainted")
    return ": it is tainted, because its creation failed or `terraform taint` was run";
  if (one.action_reason?.startsWith("delete_because")) return ": it is no longer in the configuration";
  return "";
}

const profilesOf = (plan: Plan, domainId: string | undefined): readonly string[] =>
  priorResources(plan, "aws_sagemaker_user_profile")
    .filter(({ values }) => values?.domain_id === domainId)
    .map(({ values, address }) => text(values?.user_profile_name) ?? address);

/** The retention of a domain's home file system. */
export function retentionOf(values: Readonly<Record<string, unknown>>): string | undefined {
  const [policy] = Array.isArray(values.retention_policy) ? values.retention_policy : [];
  return text(valuesOf(policy).home_efs_file_system);
}
