import { code } from "../plan-review/markdown.ts";
import type { Risk } from "../plan-review/review.ts";
import { type Acceptance, labelOf } from "./acceptances.ts";

export interface SummaryProps {
  /** The report of `npm run plan`, in Markdown. */
  readonly report: string;
  readonly risks: readonly Pick<Risk, "name" | "accepted">[];
  readonly acceptances: readonly Acceptance[];
  /** The pull request whose labels accept risks, if there is one. */
  readonly pullRequest: number | undefined;
}

/** Bytes of a step's summary: GitHub, "Workflow commands", step isolation and limits: 1 MiB. */
export const longestSummary = 1024 * 1024;

/** A run's summary: who accepted which risk and when, what stops the apply, and the report. */
export function summaryOf({ report, risks, acceptances, pullRequest }: SummaryProps): string {
  const lines = risks.map(({ name, accepted }) => {
    const by = acceptances.find(({ label }) => label === labelOf(name));
    return accepted && by !== undefined
      ? `- Accepted: ${code(name)} by @${by.by} at ${by.at}, with a label on #${by.pullRequest}`
      : `- **Stops the apply:** ${code(name)}. To accept it, ${
          pullRequest === undefined
            ? "make the change in a pull request"
            : `add the label ${code(labelOf(name))} to #${pullRequest}, and run the failed jobs again`
        }.`;
  });
  const head = lines.length === 0 ? "" : `${lines.join("\n")}\n\n`;
  const room = longestSummary - Buffer.byteLength(head);
  if (Buffer.byteLength(report) <= room) return head + report;
  const note =
    "**The report is longer than GitHub's limit for summaries, and is cut. The log of this step has all of it.**\n\n";
  const kept = Buffer.from(report)
    .subarray(0, room - Buffer.byteLength(note))
    .toString("utf8");
  return head + note + kept.slice(0, kept.lastIndexOf("\n") + 1);
}
