import { code } from "../markdown.ts";
import { after, before, changesOf, isDestroyed, isUpdated, type ResourceChange, text } from "../plan.ts";
import type { Rule } from "./rule.ts";

/** The number of instances beyond which the rule of src/stack/jobs/instance-limit.ts stops a job. */
const limitOf = (values: Readonly<Record<string, unknown>>) =>
  Number(/"InstanceCount":\[\{"numeric":\[">",(\d+)\]/.exec(text(values.event_pattern) ?? "")?.[1] ?? "NaN");

function reasonOf(one: ResourceChange): string | undefined {
  const [from, to] = [limitOf(before(one)), limitOf(after(one))];
  if (one.type !== "aws_cloudwatch_event_rule" || Number.isNaN(from)) return undefined;
  if (isDestroyed(one)) return `Jobs with more instances than ${from} are not stopped any more.`;
  return isUpdated(one) && to > from
    ? `A job may have ${code(String(to))} instances instead of ${code(String(from))}.`
    : undefined;
}

export const instanceLimitRule: Rule = {
  name: "more-instances",
  title: "Jobs may have more instances",
  find: (plan) =>
    changesOf(plan).flatMap((about) => {
      const reason = reasonOf(about);
      return reason === undefined
        ? []
        : [{ about, reason, instead: "leave `jobs.maximumInstances` as it was" }];
    }),
};
