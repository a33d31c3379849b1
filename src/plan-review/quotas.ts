import { GetAccountSummaryCommand, IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { ListScheduleGroupsCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { awsNames } from "../settings/names.ts";

/** Guess: the groups that EventBridge Scheduler allows an account in a Region. */
const mostGroups = 500;

/** What an account has of a resource that each user needs one of. */
export interface QuotaUse {
  /** All in the account. */
  readonly used: number;
  /** Those of the environment's users. */
  readonly own: number;
  readonly quota: number;
}

export interface AccountUse {
  readonly roles: QuotaUse;
  readonly groups: QuotaUse;
}

/** One message for each quota of the account that the environment's users would exceed. */
export function quotaProblems(name: string, users: number, { groups, roles }: AccountUse): string[] {
  const problem = (what: string, { own, quota, used }: QuotaUse, remedy: string) => {
    const others = used - own;
    if (others + users <= quota) return [];
    return [
      `${name} needs ${users} ${what}, one for each user, and the account has ${others} others: ${others + users} of ` +
        `${quota} that its quota allows. ${remedy}, or use fewer users or another account`,
    ];
  };
  return [
    ...problem("roles", roles, 'Raise "Roles per account" of IAM in Service Quotas (up to 10,000)'),
    ...problem(
      "schedule groups",
      groups,
      "Ask AWS Support for more schedule groups of EventBridge Scheduler",
    ),
  ];
}

export interface QuotaClients {
  readonly iam: Pick<IAMClient, "send">;
  readonly scheduler: Pick<SchedulerClient, "send">;
}

/** Counts the account's roles and schedule groups, and those whose names begin with `ownPrefix`. */
export async function accountUse(ownPrefix: string, { iam, scheduler }: QuotaClients): Promise<AccountUse> {
  const { SummaryMap = {} } = await iam.send(new GetAccountSummaryCommand({}));
  const { Roles = 0, RolesQuota = Number.POSITIVE_INFINITY } = SummaryMap;
  const isOwn = (name: string | undefined) => name?.startsWith(ownPrefix) === true;
  let ownRoles = 0;
  for (let Marker: string | undefined, more = true; more; ) {
    const page = await iam.send(new ListRolesCommand({ Marker, MaxItems: 1000 }));
    ownRoles += (page.Roles ?? []).filter(({ RoleName }) => isOwn(RoleName)).length;
    Marker = page.Marker;
    more = page.IsTruncated === true;
  }
  const groups = { used: 0, own: 0, quota: mostGroups };
  for (let NextToken: string | undefined, more = true; more; ) {
    const page = await scheduler.send(new ListScheduleGroupsCommand({ NextToken, MaxResults: 100 }));
    const names = (page.ScheduleGroups ?? []).map(({ Name }) => Name);
    groups.used += names.length;
    groups.own += names.filter(isOwn).length;
    NextToken = page.NextToken;
    more = NextToken !== undefined;
  }
  return { roles: { used: Roles, own: ownRoles, quota: RolesQuota }, groups };
}

export type QuotaCheck = { readonly problems: readonly string[] } | { readonly notChecked: string };

/** Checks the account's quotas with the caller's credentials. A failed call is returned as `notChecked`. */
export async function checkQuotas(
  environment: ResolvedEnvironment,
  clients?: QuotaClients | undefined,
): Promise<QuotaCheck> {
  const { existing, name, region, userProfiles } = environment;
  if (existing.executionRoleArn !== undefined || existing.domainId !== undefined) return { problems: [] };
  const used = clients ?? {
    iam: new IAMClient({ region, maxAttempts: 2 }),
    scheduler: new SchedulerClient({ region, maxAttempts: 2 }),
  };
  try {
    const use = await accountUse(awsNames(prefixOf(name)).user(""), used);
    return { problems: quotaProblems(name, userProfiles.length, use) };
  } catch (error) {
    return { notChecked: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}
