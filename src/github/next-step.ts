import { inShell } from "../local-studio/session.ts";
import type { NextStep } from "../plan-review/apply-command.ts";
import type { Review } from "../plan-review/review.ts";
import { labelOf } from "./acceptances.ts";
import type { JobContext } from "./context.ts";

export interface NextStepProps {
  readonly environment: string;
  readonly context: Pick<JobContext, "event" | "runId"> & { readonly repository: string };
  readonly review: Review;
  /** The pull request whose labels accept risks, if there is one. */
  readonly labelled: number | undefined;
}

/** The commands of GitHub's CLI after which a plan of the main branch is applied. Each risk needs its label first. */
export function nextStep({ environment, context, review, labelled }: NextStepProps): NextStep | undefined {
  const { event, runId, repository } = context;
  const open = review.risks.filter(({ accepted }) => !accepted).map(({ name }) => inShell(labelOf(name)));
  if (!review.changed || (open.length > 0 && labelled === undefined)) return undefined;
  const repo = `--repo ${repository}`;
  const labels = open.flatMap((label) => [
    `gh label create ${label} --force ${repo}`,
    `gh pr edit ${labelled} --add-label ${label} ${repo}`,
  ]);
  const steps = (words: string, last: string): NextStep => ({
    words: `${open.length > 0 ? "These commands accept all risks above. " : ""}${words}:`,
    command: [...labels, last].join("\n"),
  });
  if (event === "pull_request")
    return steps(
      "After the merge, the run on the main branch plans again and applies its own plan once it is approved",
      `gh pr merge ${labelled} ${repo}`,
    );
  if (event === "schedule")
    return steps(
      "This run saves no plan. A new run plans again and applies its own plan once it is approved",
      `gh workflow run deploy.yml --ref main ${repo}`,
    );
  if (open.length > 0)
    return steps("The last one plans again in this run", `gh run rerun ${runId} --failed ${repo}`);
  // `-F` sends a number, which the API requires (GitHub REST API, "Review pending deployments for a workflow run").
  return steps(
    "To approve exactly this plan, once the job Apply waits",
    `gh api repos/${repository}/actions/runs/${runId}/pending_deployments -f state=approved -f comment=reviewed ` +
      `-F "environment_ids[]=$(gh api repos/${repository}/environments/${environment} --jq .id)"`,
  );
}
