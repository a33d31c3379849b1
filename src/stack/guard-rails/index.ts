import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import type { EnvironmentRole } from "../identity/execution-role.ts";
import type { UserRoles } from "../identity/user-roles.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { Budget, BudgetStopPolicy } from "./budget.ts";
import { GuardRails } from "./guard-rails.ts";

/** The policy that AWS Budgets attaches when the budget is spent, if the settings ask for it. */
export function budgetStopPolicy(
  scope: Construct,
  { account, environment, prefix }: EnvironmentContext,
): BudgetStopPolicy | undefined {
  return environment.guardRails.budget?.stopAtPercent === undefined
    ? undefined
    : new BudgetStopPolicy(scope, "budget_stop", { prefix, account });
}

export interface EnvironmentGuardRailsProps {
  readonly context: EnvironmentContext;
  readonly role: EnvironmentRole;
  /** The users' own roles. @default none: everybody has `role` */
  readonly users: UserRoles | undefined;
  readonly stopPolicy: BudgetStopPolicy | undefined;
}

/** Limits what people can start, and what it costs. Returns the policies that a domain must wait for. */
export function environmentGuardRails(
  scope: Construct,
  { context, role, stopPolicy, users }: EnvironmentGuardRailsProps,
): readonly ITerraformDependable[] {
  const { account, environment, prefix } = context;
  const { allowedInstanceTypes, budget, maximumSpacesPerUser, requiredTags } = environment.guardRails;
  const { policies } = new GuardRails(scope, "guard_rails", {
    prefix,
    account,
    roles: [[role.name], users?.names ?? []],
    allowedInstanceTypes,
    maximumSpacesPerUser,
    requiredTags: Object.fromEntries(requiredTags.map((key) => [key, environment.tags[key] ?? ""])),
  });
  if (budget !== undefined) {
    const { stopAtPercent } = budget;
    new Budget(scope, "budget", {
      prefix,
      account,
      environment: environment.name,
      budget,
      stop:
        stopPolicy === undefined || stopAtPercent === undefined
          ? undefined
          : { role, users, policy: stopPolicy, atPercent: stopAtPercent },
    });
  }
  return policies;
}
