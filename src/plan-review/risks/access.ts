import { accessChanges } from "../access.ts";
import { joinFirst } from "../markdown.ts";
import type { Rule } from "./rule.ts";

/**
 * Grants of `access` and `teams` that write or send SQL, that use another account or Lake Formation, that read a secret, or
 * that cost money.
 */
export const accessRule: Rule = {
  name: "data-access",
  title: "People can write data, run queries, read a secret, or use data that others grant",
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
