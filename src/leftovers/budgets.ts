import {
  DeleteBudgetActionCommand,
  DeleteBudgetCommand,
  paginateDescribeBudgetActionsForBudget,
  paginateDescribeBudgets,
} from "@aws-sdk/client-budgets";
import { type Tools, unlessGone } from "../removal/aws.ts";
import { awsNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

/** The budgets by their names: the environment's prefix, and one for each user. The actions first: they use the name. */
export async function findBudgets(
  { account: AccountId, prefix }: EnvironmentNames,
  { clients: { budgets: client } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const ofUsers = awsNames(prefix).user("");
  for await (const { Budgets = [] } of paginateDescribeBudgets({ client }, { AccountId })) {
    for (const { BudgetName = "" } of Budgets) {
      if (BudgetName !== prefix && !BudgetName.startsWith(ofUsers)) continue;
      const budget = { AccountId, BudgetName };
      for await (const { Actions = [] } of paginateDescribeBudgetActionsForBudget({ client }, budget)) {
        for (const { ActionId = "" } of Actions) {
          found.push({
            kind: "budget action",
            // The provider's IDs (terraform-provider-aws, `BudgetActionCreateResourceID` and `BudgetCreateResourceID`).
            id: `${AccountId}:${ActionId}:${BudgetName}`,
            remove: () =>
              unlessGone(() => client.send(new DeleteBudgetActionCommand({ ...budget, ActionId }))),
          });
        }
      }
      found.push({
        kind: "budget",
        id: `${AccountId}:${BudgetName}`,
        remove: () => client.send(new DeleteBudgetCommand(budget)),
      });
    }
  }
  return found;
}
