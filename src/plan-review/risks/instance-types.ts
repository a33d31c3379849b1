import { instanceTypeChanges } from "../instance-types.ts";
import { joinFirst } from "../markdown.ts";
import type { Rule } from "./rule.ts";

/** Instance types that a team's `allowedInstanceTypes` adds. */
export const instanceTypesRule: Rule = {
  name: "more-instance-types",
  title: "Members of a team may run jobs on more instance types",
  find: (plan) =>
    instanceTypeChanges(plan)
      .filter(({ risky }) => risky.length > 0)
      .map(({ about, risky, who }) => ({
        about,
        reason: `${who} can now ${joinFirst(risky, 20)}.`,
        instead: "leave `allowedInstanceTypes` of the team as it was",
      })),
};
