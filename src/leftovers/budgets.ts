import {
  DeleteBudgetActionCommand,
  DeleteBudgetCommand,
  DescribeBudgetCommand,
  paginateDescribeBudgetActionsForBudget,
} from "@aws-sdk/client-budgets";
import { type Tools, unlessGone } from "../removal/aws.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

/** The budget by its name, which is the environment's prefix, and its actions. The actions first: they use its name. */
export async function findBudgets(
  { account: AccountId, prefix: BudgetName }: EnvironmentNames,
  { clients: { budgets } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const budget = { AccountId, BudgetName };
  if ((await unlessGone(() => budgets.send(new DescribeBudgetCommand(budget)))) === undefined) return [];
  const found: Leftover[] = [];
  for await (const { Actions = [] } of paginateDescribeBudgetActionsForBudget({ client: budgets }, budget)) {
    for (const { ActionId = "" } of Actions) {
      found.push({
        kind: "budget action",
        // The provider's IDs (terraform-provider-aws, `BudgetActionCreateResourceID` and `BudgetCreateResourceID`).
        id: `${AccountId}:${ActionId}:${BudgetName}`,
        remove: () => unlessGone(() => budgets.send(new DeleteBudgetActionCommand({ ...budget, ActionId }))),
      });
    }
  }
  found.push({
    kind: "budget",
    id: `${AccountId}:${BudgetName}`,
    remove: () => budgets.send(new DeleteBudgetCommand(budget)),
  });
  return found;
}
