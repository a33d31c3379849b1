import { modelOfProfile } from "../../settings/ai.ts";
import { code } from "../markdown.ts";
import { before, changesOf, isCreated, isUpdated, text } from "../plan.ts";
import { policyAfter } from "../policy-document.ts";
import type { Rule } from "./rule.ts";

/** System-defined inference profiles that a policy names. */
const profilesOf = (policy: string | undefined): readonly string[] => [
  ...new Set([...(policy ?? "").matchAll(/:inference-profile\/([\w.:-]+)/g)].flatMap(([, id = ""]) => id)),
];

/** Inference profiles that send requests to other Regions. */
export const aiRegionsRule: Rule = {
  name: "ai-regions",
  title: "Prompts may be processed in other Regions",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => one.type === "aws_iam_policy" && (isCreated(one) || isUpdated(one)))
      .flatMap((about) => {
        const old = profilesOf(text(before(about).policy));
        const added = profilesOf(policyAfter(plan, about, "policy")).filter(
          (id) => modelOfProfile(id) !== undefined && !old.includes(id),
        );
        if (added.length === 0) return [];
        const places = added.map(
          (id) =>
            `${code(id)} (${id.startsWith("global.") ? "any commercial Region" : `the Regions of ${code(id.split(".")[0] ?? "")}`})`,
        );
        return [
          {
            about,
            reason: `People may send code and samples of their data to ${places.join(", ")}.`,
            instead: "name a model without a prefix in `ai`, which is called only in the Region of `ai`",
          },
        ];
      }),
};
