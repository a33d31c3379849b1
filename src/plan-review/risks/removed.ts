import { stateFileOf } from "../../settings/state-file.ts";
import { removedProblem, removedRemedy } from "../../state/removed.ts";
import type { Rule } from "./rule.ts";

/** State files whose environment was renamed or removed: the plan of another environment does not show their resources. */
export const removedRule: Rule = {
  name: "removed-environment",
  title: "An environment is deployed, but not in the settings",
  find: (_plan, _apps, removed) =>
    removed.map((environment) => ({
      about: {
        address: stateFileOf(environment.name),
        type: "terraform_state",
        name: environment.name,
        change: { actions: ["no-op"], before: null },
      },
      reason: `${removedProblem(environment)} Its resources stay and cost money, and this plan does not change them.`,
      instead: removedRemedy(environment),
    })),
};
