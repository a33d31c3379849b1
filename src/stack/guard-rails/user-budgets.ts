import { BudgetsBudget } from "@cdktf/provider-aws/lib/budgets-budget/index.js";
import { BudgetsBudgetAction } from "@cdktf/provider-aws/lib/budgets-budget-action/index.js";
import { Fn, type MapTerraformIterator } from "cdktf";
import { Construct } from "constructs";
import type { ResolvedBudget } from "../../settings/guard-rails.ts";
import { awsNames, userTag } from "../../settings/names.ts";
import { userRoleArn } from "../identity/conditions.ts";
import type { UserRoles } from "../identity/user-roles.ts";
import { attributeOfEach } from "../support/attribute-of-each.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { attachingRole, type BudgetStopPolicy, monthlyCost, stopAction } from "./budget.ts";

export interface UserBudgetsProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The names of the user profiles are its keys. */
  readonly userProfiles: MapTerraformIterator;
  readonly budget: ResolvedBudget;
  /** AWS Budgets prevents the user from starting apps and jobs. @default alerts only */
  readonly stop?:
    | { readonly users: UserRoles; readonly policy: BudgetStopPolicy; readonly atPercent: number }
    | undefined;
}

/**
 * A monthly budget for each user, with alerts and an action on this user's role only. It counts all that has the user's
 * tag: the values of `CostFilters` of one key are alternatives, so it cannot ask for the environment's tag as well.
 */
export class UserBudgets extends Construct {
  constructor(scope: Construct, id: string, props: UserBudgetsProps) {
    super(scope, id);
    const { account, budget, prefix, stop, userProfiles } = props;
    const user = Fn.lower(userProfiles.key);
    const budgets = new BudgetsBudget(this, "budget", {
      forEach: userProfiles,
      name: awsNames(prefix).user(user),
      // Joined by Terraform: in its strings "$" before "{" is an escape.
      ...monthlyCost(budget, Fn.join("$", [`user:${userTag}`, user])),
    });
    if (stop === undefined) return;

    const { attachPolicy, role } = attachingRole(this, {
      ...{ account, policy: stop.policy, name: awsNames(prefix).userBudgetsRole },
      roleArns: [userRoleArn(account, prefix, "*")],
    });
    const { atPercent, policy, users } = stop;
    new BudgetsBudgetAction(this, "stop", {
      forEach: userProfiles,
      budgetName: attributeOfEach(budgets, "name", userProfiles),
      ...stopAction(budget, policy, atPercent, [attributeOfEach(users.role, "name", userProfiles)]),
      executionRoleArn: role.arn,
      dependsOn: [attachPolicy],
    });
  }
}
