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
  const names: string[] = [];
  const ofUsers = awsNames(prefix).user("");
  // AWS may answer NotFoundException where there is none (AWS Budgets API, DescribeBudgets, errors).
  await unlessGone(async () => {
    for await (const { Budgets = [] } of paginateDescribeBudgets({ client }, { AccountId }))
      names.push(...Budgets.map(({ BudgetName = "" }) => BudgetName));
  });
  const found: Leftover[] = [];
  for (const BudgetName of names.filter((name) => name === prefix || name.startsWith(ofUsers))) {
    const budget = { AccountId, BudgetName };
    for await (const { Actions = [] } of paginateDescribeBudgetActionsForBudget({ client }, budget)) {
      for (const { ActionId = "" } of Actions) {
        found.push({
          kind: "budget action",
          // The provider's IDs (terraform-provider-aws, `BudgetActionCreateResourceID` and `BudgetCreateResourceID`).
          id: `${AccountId}:${ActionId}:${BudgetName}`,
          remove: () => unlessGone(() => client.send(new DeleteBudgetActionCommand({ ...budget, ActionId }))),
        });
      }
    }
    found.push({
      kind: "budget",
      id: `${AccountId}:${BudgetName}`,
      remove: () => client.send(new DeleteBudgetCommand(budget)),
    });
  }
  return found;
}
