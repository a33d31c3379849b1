import { accessChanges } from "../access.ts";
import { joinFirst } from "../markdown.ts";
import type { Rule } from "./rule.ts";

/** Grants of `access` and `teams` that write, that use another account, that read a secret, or that cost money. */
export const accessRule: Rule = {
  name: "data-access",
  title: "People can write data, use another account's data, read a secret, or run queries",
  find: (plan) =>
    accessChanges(plan)
      .filter(({ risky }) => risky.length > 0)
      .map(({ about, risky, who }) => ({
        about,
        reason: `${who} can now ${joinFirst(risky, 20)}.`,
        instead:
          "grant only reading, a shorter list of members, a longer prefix, or a smaller `bytesScannedCutoffGb`",
      })),
};
