import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  GetAccountSummaryCommand,
  IAMClient,
  paginateListPolicies,
  paginateListRoles,
} from "@aws-sdk/client-iam";
import { paginateListScheduleGroups, SchedulerClient } from "@aws-sdk/client-scheduler";
import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { valuesOf } from "./plan.ts";

/** Quotas of a new account (IAM User Guide, "IAM and AWS STS quotas"). The schedule groups of a Region: guess. */
const defaults = { roles: 1000, policies: 1500, perRole: 10, groups: 500 };
/** Of an account in a Region, and not adjustable (Amazon Athena User Guide, "Service Quotas"). */
const mostWorkgroups = 1000;
/** Of an account in a Region. Guess: AWS documents that there is a quota, and its value only in its console. */
const mostInferenceProfiles = 1000;

/** What the account has of a resource. */
export interface QuotaUse {
  /** Those that are not the environment's. */
  readonly others: number;
  readonly quota: number;
}

export interface AccountUse {
  readonly roles: QuotaUse;
  readonly policies: QuotaUse;
  readonly groups: QuotaUse;
  /** Policies that a role can have. */
  readonly perRole: number;
}

/** What an environment needs in the account. */
export interface Needs {
  readonly roles: number;
  readonly policies: number;
  readonly groups: number;
  readonly workgroups: number;
  readonly inferenceProfiles: number;
  /** Policies of the role that has the most. */
  readonly perRole: number;
}

/** Counts instances in the JSON of a synthesized stack. */
export function needsOf(stack: unknown): Needs {
  const { locals, resource } = valuesOf(stack);
  const blocks = (type: string) => Object.values(valuesOf(valuesOf(resource)[type])).map(valuesOf);
  const sizeOf = (each: unknown): number => {
    if (each === undefined) return 1;
    const local = /^\$\{local\.([\w-]+)\}$/.exec(String(each))?.[1];
    const list = /^\$\{toset\((\[.*\])\)\}$/s.exec(String(each))?.[1];
    if (list !== undefined) return (JSON.parse(list) as unknown[]).length;
    return Object.keys(valuesOf(local === undefined ? each : valuesOf(locals)[local])).length;
  };
  const count = (type: string) => blocks(type).reduce((sum, block) => sum + sizeOf(block.for_each), 0);
  // Users have every policy but those that only other roles have, and the one that AWS Budgets attaches.
  const attached = blocks("aws_iam_policy_attachment").filter(({ roles }) =>
    /users_role/.test(String(roles)),
  );
  // A team's policy names the roles of its members.
  const memberships = new Map<string, number>();
  for (const { roles } of blocks("aws_iam_policy_attachment"))
    for (const role of Array.isArray(roles) ? roles.map(String) : [])
      if (!role.startsWith("${")) memberships.set(role, (memberships.get(role) ?? 0) + 1);
  const teams = [...memberships.values()].reduce((most, one) => Math.max(most, one), 0);
  return {
    roles: count("aws_iam_role"),
    policies: count("aws_iam_policy"),
    groups: count("aws_scheduler_schedule_group"),
    workgroups: count("aws_athena_workgroup"),
    inferenceProfiles: count("aws_bedrock_inference_profile"),
    perRole: attached.length + teams + Math.min(1, count("aws_budgets_budget_action")),
  };
}

/** One message for each quota of the account that the environment would exceed. */
export function quotaProblems(name: string, needs: Needs, use: AccountUse): string[] {
  const problem = (what: string, needed: number, { others, quota }: QuotaUse, remedy: string) =>
    others + needed <= quota
      ? []
      : [
          `${name} needs ${needed} ${what}, and the account has ${others} others: ${others + needed} of ${quota} that ` +
            `its quota allows. ${remedy}, or use fewer users or another account`,
        ];
  const raise = (quota: string, most: string) => `Raise "${quota}" of IAM in Service Quotas (up to ${most})`;
  return [
    ...problem("roles", needs.roles, use.roles, raise("Roles per account", "10,000")),
    ...problem(
      "customer managed policies",
      needs.policies,
      use.policies,
      raise("Customer managed policies per account", "10,000"),
    ),
    ...problem(
      "schedule groups",
      needs.groups,
      use.groups,
      "Ask AWS Support for more schedule groups of EventBridge Scheduler",
    ),
    ...(needs.workgroups <= mostWorkgroups
      ? []
      : [
          `${name} needs ${needs.workgroups} Athena workgroups, and Amazon Athena allows ${mostWorkgroups} in an account and ` +
            "Region. Grant `athena` to fewer users, by teams",
        ]),
    ...(needs.inferenceProfiles <= mostInferenceProfiles
      ? []
      : [
          `${name} needs ${needs.inferenceProfiles} inference profiles, and Amazon Bedrock allows ${mostInferenceProfiles} in an ` +
            "account and Region. Raise the quota in Service Quotas, leave out `ai.costByUser`, or name fewer models",
        ]),
    ...(needs.perRole <= use.perRole
      ? []
      : [
          `${name} attaches ${needs.perRole} managed policies to a user's role, and the account's quota allows ` +
            `${use.perRole}. ${raise("Managed policies per role", "25")}, or use fewer settings of \`guardRails\` and \`jobs\`, or fewer teams for each user`,
        ]),
  ];
}

export interface QuotaClients {
  readonly iam: IAMClient;
  readonly scheduler: SchedulerClient;
}

/** Counts what the account has, without the environment's, whose names are `prefix` or begin with it and a hyphen. */
export async function accountUse(prefix: string, { iam, scheduler }: QuotaClients): Promise<AccountUse> {
  const isOther = (name = "") => name !== prefix && !name.startsWith(`${prefix}-`);
  const { SummaryMap = {} } = await iam.send(new GetAccountSummaryCommand({}));
  const others = { roles: 0, policies: 0, groups: 0 };
  for await (const { Roles = [] } of paginateListRoles({ client: iam, pageSize: 1000 }, {}))
    others.roles += Roles.filter(({ RoleName }) => isOther(RoleName)).length;
  const own = { Scope: "Local" } as const;
  for await (const { Policies = [] } of paginateListPolicies({ client: iam, pageSize: 1000 }, own))
    others.policies += Policies.filter(({ PolicyName }) => isOther(PolicyName)).length;
  for await (const { ScheduleGroups = [] } of paginateListScheduleGroups(
    { client: scheduler, pageSize: 100 },
    {},
  ))
    others.groups += ScheduleGroups.filter(({ Name }) => isOther(Name)).length;
  // The API's reference does not list RolesQuota, which AWS returns: without it, the default counts.
  const summary: Readonly<Record<string, number>> = SummaryMap;
  return {
    roles: { others: others.roles, quota: summary.RolesQuota ?? defaults.roles },
    policies: { others: others.policies, quota: summary.PoliciesQuota ?? defaults.policies },
    groups: { others: others.groups, quota: defaults.groups },
    perRole: summary.AttachedPoliciesPerRoleQuota ?? defaults.perRole,
  };
}

export type QuotaCheck = { readonly problems: readonly string[] } | { readonly notChecked: string };

/** Checks the account's quotas with the caller's credentials. A failed call is returned as `notChecked`. */
export async function checkQuotas(
  { name, region }: ResolvedEnvironment,
  /** The folder of the synthesized stack. */
  stack: string,
  clients?: QuotaClients | undefined,
): Promise<QuotaCheck> {
  const needs = needsOf(JSON.parse(readFileSync(join(stack, "cdk.tf.json"), "utf8")));
  const used = clients ?? {
    iam: new IAMClient({ region, maxAttempts: 2 }),
    scheduler: new SchedulerClient({ region, maxAttempts: 2 }),
  };
  try {
    return { problems: quotaProblems(name, needs, await accountUse(prefixOf(name), used)) };
  } catch (error) {
    return { notChecked: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}
