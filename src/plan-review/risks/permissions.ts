import { code, joinFirst } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isConfigured,
  isCreated,
  isDestroyed,
  isRemoved,
  isSensitive,
  isUnknown,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
  type Values,
  valuesOf,
} from "../plan.ts";
import { noPolicy, unrestrictedGrants, widenings } from "../policy.ts";
import { policyAfter } from "../policy-document.ts";
import type { Finding, Rule } from "./rule.ts";

interface PolicyHolder {
  readonly type: string;
  readonly attribute: string;
  /** What the policy belongs to: the attribute that refers to it, and its type and the attribute that identifies it. */
  readonly owner?: readonly [attribute: string, type: string, named: string] | undefined;
}

const holders: readonly PolicyHolder[] = [
  { type: "aws_iam_role", attribute: "assume_role_policy" },
  { type: "aws_iam_role_policy", attribute: "policy", owner: ["role", "aws_iam_role", "name"] },
  { type: "aws_iam_user_policy", attribute: "policy", owner: ["user", "aws_iam_user", "name"] },
  { type: "aws_iam_group_policy", attribute: "policy", owner: ["group", "aws_iam_group", "name"] },
  { type: "aws_iam_policy", attribute: "policy" },
  { type: "aws_kms_key", attribute: "policy" },
  { type: "aws_kms_key_policy", attribute: "policy", owner: ["key_id", "aws_kms_key", "key_id"] },
  { type: "aws_s3_bucket_policy", attribute: "policy", owner: ["bucket", "aws_s3_bucket", "bucket"] },
  { type: "aws_vpc_endpoint", attribute: "policy" },
  {
    type: "aws_vpc_endpoint_policy",
    attribute: "policy",
    owner: ["vpc_endpoint_id", "aws_vpc_endpoint", "id"],
  },
  { type: "aws_sns_topic_policy", attribute: "policy", owner: ["arn", "aws_sns_topic", "arn"] },
  { type: "aws_sqs_queue_policy", attribute: "policy", owner: ["queue_url", "aws_sqs_queue", "url"] },
];

const narrower =
  "allow only the needed actions, resources and principals, keep all conditions and Deny statements, and plan again";

const holderOf = (one: ResourceChange) => holders.find(({ type }) => type === one.type);

/** Whether a resource exists before and after this plan. False for an unknown value: this plan creates the resource. */
export function stays(plan: Plan, type: string, attribute: string, value: unknown): boolean {
  if (typeof value !== "string") return false;
  const of = changesOf(plan).filter((one) => one.type === type);
  const goes = of.some((one) => isDestroyed(one) && before(one)[attribute] === value);
  const comes = of.some((one) => isCreated(one) && after(one)[attribute] === value);
  return !goes && !comes;
}

const ownerStays = (plan: Plan, { owner }: PolicyHolder, values: Values) =>
  owner !== undefined && stays(plan, owner[1], owner[2], values[owner[0]]);

/** Whether a managed policy is attached to a role that stays. Without its Deny statements the role may do more. */
const attachedRolesStay = (plan: Plan, about: ResourceChange) =>
  about.type === "aws_iam_policy" &&
  priorResources(plan, "aws_iam_policy_attachment")
    .filter(({ values }) => values?.policy_arn === before(about).arn)
    .flatMap(({ values }) => (Array.isArray(values?.roles) ? values.roles : []))
    .some((role) => stays(plan, "aws_iam_role", "name", role));

/** The policies that the owner of a new policy already has. */
function ownersPolicies(plan: Plan, { type, attribute, owner }: PolicyHolder, values: Values): string {
  const documents = priorResources(plan, type)
    .filter((one) => owner !== undefined && one.values?.[owner[0]] === values[owner[0]])
    .flatMap((one) => text(one.values?.[attribute]) ?? []);
  return together(documents);
}

/** Several documents as one. If one of them is not valid JSON, neither is the result. */
function together(documents: readonly string[]): string {
  try {
    return JSON.stringify({
      Statement: documents.flatMap(
        (document) => (JSON.parse(document) as { Statement?: unknown }).Statement ?? [],
      ),
    });
  } catch {
    return documents.join("\n");
  }
}

export const permissionsRule: Rule = {
  name: "wider-permissions",
  title: "A policy allows more",
  find: (plan) => [
    ...changesOf(plan).flatMap((about) => {
      const holder = holderOf(about);
      if (holder === undefined) return [];
      const { attribute } = holder;
      const [owner = ""] = holder.owner ?? [];
      const isSameOwner = before(about)[owner] === after(about)[owner];
      // A new owner's policies widen no existing permissions. `publicRule` checks them.
      if (isCreated(about) && !(isDestroyed(about) && isSameOwner) && !ownerStays(plan, holder, after(about)))
        return [];
      const stay = ownerStays(plan, holder, before(about)) || attachedRolesStay(plan, about);
      if (isRemoved(about) && !stay) return [];
      const now = policyAfter(plan, about, attribute);
      if (isSensitive(about, attribute) || (now === undefined && isUnknown(about, attribute))) return [];
      const own =
        isSameOwner || after(about)[owner] === undefined ? text(before(about)[attribute]) : undefined;
      const old = own ?? ownersPolicies(plan, holder, after(about));
      const wider = widenings(old, now ?? noPolicy);
      if (wider.length === 0) return [];
      return [{ about, reason: `It ${joinFirst(wider.map(code))}.`, instead: narrower }];
    }),
    ...changesOf(plan).flatMap((one) => attached(plan, one)),
  ],
};

const attachLess = "attach a customer managed policy with only the needed actions, or do not attach one";

const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);

/** Policies that are attached to existing resources, and permissions boundaries that are removed from them. */
function attached(plan: Plan, about: ResourceChange): Finding[] {
  const owner = /^aws_iam_(role|user|group)_policy_attachment$/.exec(about.type)?.[1];
  if (
    owner !== undefined &&
    isCreated(about) &&
    stays(plan, `aws_iam_${owner}`, "name", after(about)[owner])
  ) {
    const [old, now] = [before(about).policy_arn, after(about).policy_arn];
    if (old === now) return [];
    const reason = `The ${owner} ${code(String(after(about)[owner]))} gets all permissions of ${code(text(now) ?? "a new policy")}.`;
    return [{ about, reason, instead: attachLess }];
  }
  if (about.type === "aws_iam_policy_attachment") return attachedToMany(plan, about);
  if (!["aws_iam_role", "aws_iam_user"].includes(about.type) || about.change.before === null) return [];
  if (about.change.after === null || about.change.after === undefined) return [];
  const attachedBefore = list(before(about).managed_policy_arns);
  const more = list(after(about).managed_policy_arns).filter((arn) => !attachedBefore.includes(arn));
  const [old, now] = [before(about), after(about)].map((values) => text(values.permissions_boundary));
  // An empty block stands for no inline policy.
  const inline = (values: Values) =>
    (Array.isArray(values.inline_policy) ? values.inline_policy : []).flatMap(
      (one) => text(valuesOf(one).policy) || [],
    );
  const known = !isUnknown(about, "inline_policy") && !isSensitive(about, "inline_policy");
  const wider = known ? widenings(together(inline(before(about))), together(inline(after(about)))) : [];
  return [
    ...(wider.length > 0 ? [{ about, reason: `It ${joinFirst(wider.map(code))}.`, instead: narrower }] : []),
    ...(more.length > 0
      ? [{ about, reason: `It gets all permissions of ${more.map(code).join(", ")}.`, instead: attachLess }]
      : []),
    ...(old && old !== now
      ? [
          {
            about,
            reason: `It loses the permissions boundary ${code(old)}.`,
            instead: "keep the permissions boundary",
          },
        ]
      : []),
  ];
}

/** The existing roles, users and groups that an attachment with lists of them gains: all, if its policy is another. */
function attachedToMany(plan: Plan, about: ResourceChange): Finding[] {
  const names = (values: Values, kind: string) => list(values[`${kind}s`]);
  const hadPolicy = before(about).policy_arn === after(about).policy_arn;
  const gained = ["role", "user", "group"].flatMap((kind) =>
    names(after(about), kind)
      .filter((name) => !hadPolicy || !names(before(about), kind).includes(name))
      .filter((name) => stays(plan, `aws_iam_${kind}`, "name", name))
      .map((name) => `the ${kind} ${code(name)}`),
  );
  if (gained.length === 0) return [];
  const policy = code(text(after(about).policy_arn) ?? String(after(about).name));
  return [{ about, reason: `All permissions of ${policy} go to ${joinFirst(gained)}.`, instead: attachLess }];
}

/** A policy of an existing resource that the plan does not show. */
export const unknownPermissionsRule: Rule = {
  name: "unknown-permissions",
  title: "A policy cannot be compared",
  find: (plan) =>
    changesOf(plan).flatMap((about) => {
      const holder = holderOf(about);
      if (holder === undefined || isRemoved(about)) return [];
      const { attribute } = holder;
      // An attribute that is not configured has AWS's default policy.
      const unknown =
        isUnknown(about, attribute) &&
        policyAfter(plan, about, attribute) === undefined &&
        isConfigured(plan, about, attribute);
      const sensitive = isSensitive(about, attribute);
      // A new resource has no earlier policy to compare with.
      const old = text(before(about)[attribute]) !== undefined || ownerStays(plan, holder, after(about));
      if (!old || !(unknown || sensitive)) return [];
      return [
        {
          about,
          reason: unknown
            ? `Its ${code(attribute)} is known only after the apply, because it refers to a resource that this plan creates.`
            : `Its ${code(attribute)} is marked sensitive, so the review does not read it.`,
          instead: unknown
            ? "apply the resource that it refers to in a separate change and plan again, or check the statements in the configuration"
            : "check the policy in the configuration",
        },
      ];
    }),
};

/** What a new or changed policy allows everyone to do. */
export function publicPolicy(about: ResourceChange, plan: Plan): string | undefined {
  const attribute = holderOf(about)?.attribute;
  if (attribute === undefined || !(isCreated(about) || about.change.actions.includes("update")))
    return undefined;
  if (isSensitive(about, attribute)) return undefined;
  // Only the VPC reaches an endpoint, so that the account in a resource's ARN keeps it from being public.
  const isEndpoint = about.type.startsWith("aws_vpc_endpoint");
  const grants = (policy = noPolicy) => unrestrictedGrants(policy, { exceptOfAnAccount: isEndpoint });
  const old = grants(text(before(about)[attribute]));
  const now = grants(policyAfter(plan, about, attribute)).filter((grant) => !old.includes(grant));
  return now.length > 0 ? `It ${joinFirst(now.map(code))}.` : undefined;
}
