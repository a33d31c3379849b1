import { differencesOf } from "../differences.ts";
import { code, codes } from "../markdown.ts";
import { after, before, changesOf, isDestroyed, isUpdated, type ResourceChange, text } from "../plan.ts";
import type { Rule } from "./rule.ts";

/** Attributes that decide what a trail records, where to, and whether a changed log file shows. */
const recorded = /^(advanced_event_selector|event_selector|enable_log|s3_bucket_name)/;

const weakenings: Readonly<Record<string, (one: ResourceChange) => string | undefined>> = {
  aws_cloudtrail: (one) => {
    if (isDestroyed(one)) {
      return `The trail records nothing more. Its log files stay in ${code(text(before(one).s3_bucket_name) ?? "its bucket")} as long as that bucket.`;
    }
    const paths = differencesOf(one)
      .map(({ path }) => path)
      .filter((path) => recorded.test(path));
    return paths.length > 0 ? `What the trail records changes: ${codes(paths)}.` : undefined;
  },
  aws_cloudwatch_event_rule: (one) => {
    if (!text(before(one).event_pattern)?.includes("via CloudTrail")) return undefined;
    if (isDestroyed(one)) return "Nobody is alerted to these writes any more.";
    return before(one).event_pattern === after(one).event_pattern && before(one).state === after(one).state
      ? undefined
      : "The writes that lead to an alert change.";
  },
};

export const auditRule: Rule = {
  name: "weaker-audit",
  title: "The audit trail records or reports less",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => isUpdated(one) || isDestroyed(one))
      .flatMap((about) => {
        const reason = weakenings[about.type]?.(about);
        const instead =
          "undo the change, unless another trail records these writes, such as the organization's, or the deployers have changed";
        return reason === undefined ? [] : [{ about, reason, instead }];
      }),
};
