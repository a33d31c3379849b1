import { nameOf } from "../kinds.ts";
import { code, count, joinFirst } from "../markdown.ts";
import { after, before, changesOf, isUpdated, type ResourceChange, valuesOf } from "../plan.ts";
import type { Rule } from "./rule.ts";

/** GB that a query may scan. 0 in the state means no limit. */
const cutoffOf = (values: Readonly<Record<string, unknown>>): number => {
  const [configuration] = Array.isArray(values.configuration) ? values.configuration : [];
  return (Number(valuesOf(configuration).bytes_scanned_cutoff_per_query ?? 0) || Infinity) / 1024 ** 3;
};

const words = (cutoff: number) => (cutoff === Infinity ? "any amount" : `${cutoff} GB`);

/** One finding for all workgroups with the same change: a grant for everybody changes each user's. */
export const queryLimitRule: Rule = {
  name: "larger-queries",
  title: "Queries may scan more",
  find: (plan) => {
    const groups = new Map<string, ResourceChange[]>();
    for (const one of changesOf(plan)) {
      if (one.type !== "aws_athena_workgroup" || !isUpdated(one)) continue;
      const [from, to] = [cutoffOf(before(one)), cutoffOf(after(one))];
      if (to <= from) continue;
      const change = `${code(words(to))} instead of ${code(words(from))}`;
      groups.set(change, [...(groups.get(change) ?? []), one]);
    }
    return [...groups].flatMap(([change, all]) =>
      all.slice(0, 1).map((about) => ({
        about,
        reason: `A query may scan ${change} in ${count(all.length, "workgroup")} (${joinFirst(
          all.map((one) => code(nameOf(one))),
          10,
        )}).`,
        instead: "leave `bytesScannedCutoffGb` as it was",
      })),
    );
  },
};
