import type { ITerraformDependable, MapTerraformIterator } from "cdktf";
import type { Construct } from "constructs";
import { userRoleArn } from "../identity/conditions.ts";
import type { EnvironmentRole } from "../identity/execution-role.ts";
import type { UserRoles } from "../identity/user-roles.ts";
import type { NamedRole } from "../jobs/schedules.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { Budget, BudgetStopPolicy } from "./budget.ts";
import { GuardRails } from "./guard-rails.ts";
import { UserBudgets } from "./user-budgets.ts";

/** The policy that AWS Budgets attaches when the budget is spent, if the settings ask for it. */
export function budgetStopPolicy(
  scope: Construct,
  { account, environment, prefix }: EnvironmentContext,
): BudgetStopPolicy | undefined {
  const { budget, budgetPerUser } = environment.guardRails;
  return budget?.stopAtPercent === undefined && budgetPerUser?.stopAtPercent === undefined
    ? undefined
    : new BudgetStopPolicy(scope, "budget_stop", { prefix, account });
}

export interface EnvironmentGuardRailsProps {
  readonly context: EnvironmentContext;
  readonly role: EnvironmentRole;
  /** The users' own roles. @default none: everybody has `role` */
  readonly users: UserRoles | undefined;
  readonly userProfiles: MapTerraformIterator;
  /** Role of EventBridge Scheduler, which starts the jobs of the settings' schedules. */
  readonly schedulerRole: NamedRole | undefined;
  readonly stopPolicy: BudgetStopPolicy | undefined;
}

/** Limits what people can start, and what it costs. Returns the policies that a domain must wait for. */
export function environmentGuardRails(
  scope: Construct,
  { context, role, schedulerRole, stopPolicy, userProfiles, users }: EnvironmentGuardRailsProps,
): readonly ITerraformDependable[] {
  const { account, environment, prefix } = context;
  const { allowedInstanceTypes, budget, budgetPerUser, maximumSpacesPerUser, requiredTags } =
    environment.guardRails;
  const { policies } = new GuardRails(scope, "guard_rails", {
    prefix,
    account,
    roles: [[role.name], users?.names ?? []],
    allowedInstanceTypes,
    maximumSpacesPerUser,
    requiredTags: Object.fromEntries(requiredTags.map((key) => [key, environment.tags[key] ?? ""])),
  });
  if (budget !== undefined) {
    const scheduler = schedulerRole === undefined ? [] : [schedulerRole];
    const { stopAtPercent } = budget;
    new Budget(scope, "budget", {
      prefix,
      account,
      environment: environment.name,
      budget,
      stop:
        stopPolicy === undefined || stopAtPercent === undefined
          ? undefined
          : {
              roleArns: [
                ...[role, ...scheduler].map(({ arn }) => arn),
                ...(users === undefined ? [] : [userRoleArn(account, prefix, "*")]),
              ],
              roleNames: [[role, ...scheduler].map(({ name }) => name), users?.names ?? []],
              policy: stopPolicy,
              atPercent: stopAtPercent,
            },
    });
  }
  if (budgetPerUser !== undefined) {
    const { stopAtPercent: atPercent } = budgetPerUser;
    new UserBudgets(scope, "user_budgets", {
      ...{ prefix, account, userProfiles, budget: budgetPerUser },
      stop:
        stopPolicy === undefined || atPercent === undefined || users === undefined
          ? undefined
          : { users, atPercent, policy: stopPolicy },
    });
  }
  return policies;
}
