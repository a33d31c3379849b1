import { differencesOf } from "../differences.ts";
import { code, joinFirst } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isRemoved,
  isUnknown,
  isUpdated,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
  type Values,
} from "../plan.ts";
import { noPolicy, widenings } from "../policy.ts";
import { stays } from "./permissions.ts";
import type { Rule } from "./rule.ts";

/** What no longer holds once a resource is gone, if what it protects stays: a type with the attribute that names it. */
interface Protection {
  readonly without: string;
  readonly of?: readonly [attribute: string, type: string, named: string];
}

const protections: Readonly<Record<string, Protection>> = {
  aws_budgets_budget: { without: "Nobody is notified when the costs reach the budget." },
  aws_budgets_budget_action: { without: "A spent budget stops nothing any more." },
  aws_cloudwatch_metric_alarm: { without: "Its alarm reaches nobody any more." },
  aws_flow_log: { without: "Nothing logs the network's connections any more." },
  aws_iam_role_policies_exclusive: {
    without: "Terraform no longer removes inline policies that are added to the role by hand.",
    of: ["role_name", "aws_iam_role", "name"],
  },
  aws_s3_bucket_server_side_encryption_configuration: {
    without: "New objects are encrypted with the key of Amazon S3 and not with yours.",
    of: ["bucket", "aws_s3_bucket", "bucket"],
  },
};

/** Attributes that name a key. A change to another key is fine. */
const isKey = (path: string) => /(^|\.)(kms_key_id|kms_master_key_id|kms_key_arn)$/.test(path);

/** Whether the environment's Studio domain is there before and after the plan. */
export const environmentStays = (plan: Plan): boolean =>
  priorResources(plan, "aws_sagemaker_domain").some(({ values }) =>
    stays(plan, "aws_sagemaker_domain", "id", values?.id),
  );

function lostProtection(plan: Plan, one: ResourceChange): string | undefined {
  const { without, of } = protections[one.type] ?? {};
  if (without === undefined || !isRemoved(one)) return undefined;
  const protects = of === undefined ? environmentStays(plan) : stays(plan, of[1], of[2], before(one)[of[0]]);
  return protects ? without : undefined;
}

function lostKey(one: ResourceChange): string | undefined {
  if (!isUpdated(one)) return undefined;
  if (
    one.type === "aws_kms_key" &&
    before(one).enable_key_rotation === true &&
    !after(one).enable_key_rotation
  )
    return "AWS no longer replaces the key's material each year.";
  const gone = differencesOf(one).find(({ path, after }) => isKey(path) && ["nothing", ""].includes(after));
  return gone && `It is no longer encrypted with ${code(gone.before)}.`;
}

/** Roles that stay, and from which a policy with Deny statements is detached. The policy itself may stay. */
function detached(plan: Plan, one: ResourceChange): string | undefined {
  if (one.type !== "aws_iam_policy_attachment" || isUnknown(one, "roles")) return undefined;
  const roles = (values: Values) => (Array.isArray(values.roles) ? values.roles.map(String) : []);
  const kept = before(one).policy_arn === after(one).policy_arn ? roles(after(one)) : [];
  const lost = roles(before(one)).filter(
    (role) => !kept.includes(role) && stays(plan, "aws_iam_role", "name", role),
  );
  const attached = priorResources(plan, "aws_iam_policy").find(
    ({ values }) =>
      values?.arn === before(one).policy_arn && stays(plan, "aws_iam_policy", "arn", values?.arn),
  );
  const denied = widenings(text(attached?.values?.policy) ?? noPolicy, noPolicy);
  if (lost.length === 0 || denied.length === 0) return undefined;
  return `For ${joinFirst(lost.map((role) => `the role ${code(role)}`))} the policy ${joinFirst(denied.map(code), 3)}.`;
}

export const protectionRule: Rule = {
  name: "lost-protection",
  title: "A protection is removed",
  find: (plan) =>
    changesOf(plan).flatMap((about) => {
      const reason = lostProtection(plan, about) ?? lostKey(about) ?? detached(plan, about);
      return reason === undefined
        ? []
        : [{ about, reason, instead: "undo the change, unless something else protects the same" }];
    }),
};
