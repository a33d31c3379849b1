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

/** What a replacement or removal takes with it. */
const losses: Readonly<
  Record<string, (one: ResourceChange, plan: Plan) => Pick<Finding, "lost" | "instead">>
> = {
  aws_sagemaker_domain: (one, plan) => {
    const people = profilesOf(plan, text(before(one).id));
    const keeps = retentionOf(before(one)) !== "Delete";
    return {
      lost:
        `${count(people.length, "person", "people")}${people.length > 0 ? ` (${codes(people)})` : ""} ` +
        "and whoever was added by hand: all their spaces with their volumes, and " +
        (keeps
          ? "the way to the home directories, whose file system stays but belongs to no domain"
          : "the home directories (`retention_policy` is `Delete`)"),
      instead:
        "undo the change. Where it must be, make a new environment beside this one in src/environments.ts, let people " +
        "copy their work over, and remove this one last",
    };
  },
  aws_sagemaker_user_profile: (one) => ({
    lost: `1 person (${code(text(before(one).user_profile_name) ?? one.address)}): the profile, and the way to its home directory`,
    instead:
      "undo the change if the person still works here. Else delete the person's apps and spaces first: SageMaker refuses " +
      "to delete a profile that has any, and the apply stops half-way",
  }),
  aws_sagemaker_space: (one) => ({
    lost: `the space ${code(text(before(one).space_name) ?? one.address)} and its volume, with every file on it`,
    instead: "undo the change, or let its owner copy the files to the bucket first",
  }),
  aws_kms_key: (one, plan) => ({
    lost:
      "whatever is encrypted with it, for all " +
      `${count(priorResources(plan, "aws_sagemaker_user_profile").length, "person", "people")}: it cannot be read ` +
      `once the key is deleted, ${Number(before(one).deletion_window_in_days ?? 30)} days after the apply`,
    instead:
      "undo the change. A deletion that was begun can be cancelled in these days with `aws kms cancel-key-deletion`",
  }),
  aws_s3_bucket: (one, plan) => ({
    lost:
      `for all ${count(priorResources(plan, "aws_sagemaker_user_profile").length, "person", "people")}: ` +
      (before(one).force_destroy === true
        ? "every object in it and every version of it (`force_destroy` is on)"
        : "the bucket; S3 refuses to delete it while it holds any object, and the apply stops half-way"),
    instead: "undo the change, or copy what is in it to another bucket first (`aws s3 sync`)",
  }),
  aws_scheduler_schedule: (one) => ({
    lost: isReplaced(one)
      ? "runs that fall due while it is replaced"
      : `every further run (${code(text(before(one).schedule_expression) ?? "?")}). What ran is still in the bucket`,
    instead: "undo the change, or set `enabled: false` in src/environments.ts where it only has to pause",
  }),
  aws_sns_topic: (one) => ({
    lost:
      "the alert of a scheduled job that fails" +
      (isReplaced(one) ? ", until whoever gets it has confirmed the new topic's e-mail" : ""),
    instead: "undo the change. Subscriptions that were made by hand go too: note them first",
  }),
  aws_efs_file_system: () => ({
    lost: "every file in it",
    instead: "undo the change, or restore a backup of it to another file system first (AWS Backup)",
  }),
};

export const lostRules: readonly Rule[] = [
  rule("replaced-domain", "The Studio domain goes", "aws_sagemaker_domain"),
  rule("replaced-user-profile", "A user profile goes", "aws_sagemaker_user_profile"),
  rule("replaced-space", "A space goes", "aws_sagemaker_space"),
  rule("replaced-key", "An encryption key goes", "aws_kms_key"),
  rule("replaced-bucket", "A bucket goes", "aws_s3_bucket"),
  rule("replaced-schedule", "A schedule goes", "aws_scheduler_schedule"),
  rule("replaced-alerts", "The alerts of failed jobs go", "aws_sns_topic"),
  rule("replaced-file-system", "A file system goes", "aws_efs_file_system"),
];

function rule(name: string, title: string, type: string): Rule {
  return {
    name,
    title,
    find: (plan) =>
      changesOf(plan)
        .filter((one) => one.type === type && isDestroyed(one) && !goesWithDomain(plan, one))
        .map((one) => ({
          about: one,
          reason: `Terraform ${isReplaced(one) ? "replaces" : "removes"} it${becauseOf(one)}.`,
          ...losses[type]?.(one, plan),
          instead: losses[type]?.(one, plan).instead ?? "undo the change",
        })),
  };
}

/** The domain's own risk counts its people. */
function goesWithDomain(plan: Plan, one: ResourceChange): boolean {
  const domainId = text(before(one).domain_id);
  return (
    one.type === "aws_sagemaker_user_profile" &&
    changesOf(plan).some(
      (other) => other.type === "aws_sagemaker_domain" && isDestroyed(other) && before(other).id === domainId,
    )
  );
}

/** Terraform's reason ("JSON Output Format", `action_reason`). */
function becauseOf(one: ResourceChange): string {
  const paths = (one.change.replace_paths ?? []).map((path) =>
    path.filter((part) => typeof part === "string").join("."),
  );
  if (paths.length > 0) return `: ${codes([...new Set(paths)])} cannot change in place`;
  if (one.deposed !== undefined) return ": it is what an earlier replacement left";
  if (one.action_reason === "replace_by_request") return ", as -replace asked";
  if (one.action_reason === "replace_because_tainted")
    return ": an earlier apply of it failed, or somebody tainted it";
  if (one.action_reason?.startsWith("delete_because")) return ": the configuration no longer has it";
  return "";
}

const profilesOf = (plan: Plan, domainId: string | undefined): readonly string[] =>
  priorResources(plan, "aws_sagemaker_user_profile")
    .filter(({ values }) => values?.domain_id === domainId)
    .map(({ values, address }) => text(values?.user_profile_name) ?? address);

/** What becomes of the home file system of a domain with these values. */
export function retentionOf(values: Readonly<Record<string, unknown>>): string | undefined {
  const [policy] = Array.isArray(values.retention_policy) ? values.retention_policy : [];
  return text(valuesOf(policy).home_efs_file_system);
}
