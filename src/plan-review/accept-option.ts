import { listOf, type Options, type Values } from "../cli/command-line.ts";
import type { Rule } from "./risks/rule.ts";

/** The option of commands that review a plan. */
export const acceptOption = {
  accept: {
    value: "NAME",
    repeated: true,
    help: "accept the risk NAME of the review; can be repeated",
  },
} as const satisfies Options;

/** The names that no plan can have, because they do not begin with a rule. */
export const acceptProblems = ({ accept }: Values, rules: readonly Rule[]): readonly string[] =>
  listOf(accept)
    .filter((name) => !rules.some((rule) => name.startsWith(`${rule.name}:`)))
    .map(
      (name) => `--accept must be a name from a review, such as replaced-domain:studio_domain, got "${name}"`,
    );
