import type { Action, Plan, ResourceChange, Values } from "../../src/plan-review/plan.ts";
import { type ReviewProps, reviewOf } from "../../src/plan-review/review.ts";
import { rules } from "../../src/plan-review/risks/index.ts";

type Before = Values | null;

/** Creates a change like `terraform show -json`. The default actions follow from `before` and `after`. */
export function change(
  address: string,
  before: Before,
  after: Before,
  more: Partial<ResourceChange["change"]> & Pick<Partial<ResourceChange>, "previous_address"> = {},
): ResourceChange {
  const [, type = "", name = "", index] = /^([^.]+)\.([^[]+)(?:\["?([^"\]]+)"?\])?$/.exec(address) ?? [];
  const { previous_address, ...own } = more;
  const actions: Action[] = before === null ? ["create"] : after === null ? ["delete"] : ["update"];
  return {
    address,
    mode: "managed",
    type,
    name,
    ...(index === undefined ? {} : { index }),
    ...(previous_address === undefined ? {} : { previous_address }),
    change: { actions, before, after, after_unknown: {}, ...own },
  };
}

export const replaced = (
  address: string,
  before: Values,
  after: Values,
  ...paths: string[]
): ResourceChange =>
  change(address, before, after, {
    actions: ["delete", "create"],
    replace_paths: paths.map((path) => [path]),
  });

/** Creates a plan with these changes. Its prior state contains their `before` values and other existing resources. */
export function plan(
  changes: readonly ResourceChange[],
  existing: Readonly<Record<string, Values>> = {},
): Plan {
  const resources = [
    ...changes
      .filter(({ change }) => change.before !== null)
      .map(({ address, type, change }) => ({ address, type, values: change.before as Values })),
    ...Object.entries(existing).map(([address, values]) => ({
      address,
      type: address.split(".")[0] ?? "",
      values,
    })),
  ];
  return {
    format_version: "1.2",
    resource_changes: changes,
    prior_state: { values: { root_module: { resources } } },
  };
}

export const review = (of: Plan, props: Partial<Omit<ReviewProps, "plan">> = {}) =>
  reviewOf({ plan: of, apps: { running: [] }, rules, accept: [], ...props });

/** Returns the names of the risks of a plan. */
export const risksOf = (...args: Parameters<typeof plan>): readonly string[] =>
  review(plan(...args)).risks.map(({ name }) => name);
