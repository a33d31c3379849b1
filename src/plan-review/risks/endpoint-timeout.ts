import { after, before, changesOf, isDestroyed, isUpdated, type ResourceChange, text } from "../plan.ts";
import type { Rule } from "./rule.ts";

/** The hours of src/stack/services/endpoint-timeout.ts. */
const hoursOf = (values: Readonly<Record<string, unknown>>) =>
  Number(/\$millis\(\) - (\d+)/.exec(text(values.definition) ?? "")?.[1] ?? "NaN") / 3_600_000;

function reasonOf(one: ResourceChange): string | undefined {
  const [from, to] = [hoursOf(before(one)), hoursOf(after(one))];
  if (one.type !== "aws_sfn_state_machine" || Number.isNaN(from)) return undefined;
  if (isDestroyed(one))
    return "Endpoints on instances that exist are not deleted any more, and cost while idle.";
  return isUpdated(one) && to > from
    ? `An endpoint on instances is deleted after ${to} hours instead of ${from}, and costs until then.`
    : undefined;
}

export const endpointTimeoutRule: Rule = {
  name: "longer-endpoints",
  title: "Endpoints on instances may run longer",
  find: (plan) =>
    changesOf(plan).flatMap((about) => {
      const reason = reasonOf(about);
      return reason === undefined
        ? []
        : [
            {
              about,
              reason,
              instead:
                "delete these endpoints first (`npm run leftovers` lists them), or leave `services.instanceEndpoints` as it was",
            },
          ];
    }),
};
