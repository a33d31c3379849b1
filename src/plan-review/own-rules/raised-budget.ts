import { after, before, changesOf, isUpdated } from "../plan.ts";
import type { Rule } from "../risks/rule.ts";

/** An example of a team's own rule. It is active, because more can be spent before a higher budget notifies anyone. */
export const raisedBudgetRule: Rule = {
  name: "raised-budget",
  title: "A budget is raised",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => one.type === "aws_budgets_budget" && isUpdated(one))
      .filter((one) => Number(after(one).limit_amount) > Number(before(one).limit_amount))
      .map((about) => ({
        about,
        reason: `Its limit is ${Number(after(about).limit_amount)} US dollars instead of ${Number(before(about).limit_amount)}.`,
        instead: "leave `budget.monthlyUsd` as it was, or ask the person who pays",
      })),
};
