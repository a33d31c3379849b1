import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRunFolder } from "../cli/run-folder.ts";
import { Steps } from "../cli/steps.ts";
import { planEnvironment, Runner, runningAppsIfNeeded } from "../plan-review/planning.ts";
import { reviewOf, reviewStatus, statusOf } from "../plan-review/review.ts";
import { allRules } from "../plan-review/risks/index.ts";
import { writeReview } from "../plan-review/write.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { acceptancesOf, labelOf, mergedAs } from "./acceptances.ts";
import type { JobContext } from "./context.ts";
import { nextStep } from "./next-step.ts";
import { savePlan, sha256, stateBackend } from "./saved-plan.ts";
import { summaryOf } from "./summary.ts";

export interface StepProps {
  readonly environment: ResolvedEnvironment;
  readonly context: JobContext;
  /** The folder with the synthesized stacks, in its folder `stacks`. */
  readonly output: string;
  readonly signal: AbortSignal;
}

/**
 * Plans what an earlier job synthesized, and writes the review to the run's summary. On the main branch it saves a plan that
 * may be applied, and its hash becomes the step's output `sha256`. Returns 3 for a risk that no label accepts, and 4 if a
 * nightly run finds changes.
 */
export async function plan({ environment, context, output, signal }: StepProps): Promise<number> {
  const { github, event, runId } = context;
  const backend = stateBackend(environment);
  const pullRequest = context.pullRequest ?? (await mergedAs(github, context.commit));
  const acceptances = pullRequest === undefined ? [] : await acceptancesOf(github, pullRequest);
  // Before the plan, which takes minutes.
  const rules = await allRules();
  const folder = createRunFolder();
  try {
    const steps = new Steps();
    const saved = join(folder.path, "plan.tfplan");
    const { plan, region } = await planEnvironment({
      ...{ environmentName: environment.name, output, steps, synthesized: true },
      runner: new Runner(folder.path, signal),
      save: () => saved,
      // The role cannot write the lock. Terraform rejects the plan if the state changes before the apply.
      args: ["-lock=false"],
    });
    const apps = await runningAppsIfNeeded(plan, { region, ask: true, steps, signal });
    const labels = new Set(acceptances.map(({ label }) => label));
    const names = reviewOf({ plan, apps, rules, accept: [] }).risks.map(({ name }) => name);
    const review = reviewOf({ plan, apps, rules, accept: names.filter((name) => labels.has(labelOf(name))) });
    const { name } = environment;
    const { repository } = github;
    const next = nextStep({
      ...{ environment: name, review, labelled: pullRequest },
      context: { event, runId, repository },
    });
    const file = (extension: string) => join(output, "plan", `${name}.${extension}`);
    const paths = { markdown: undefined, json: file("json"), sarif: file("sarif") };
    const markdown = writeReview({ subject: name, review, rules, next, paths });
    console.log(markdown);
    const { risks } = review;
    appendFileSync(context.summary, summaryOf({ report: markdown, risks, acceptances, pullRequest }));
    const status = statusOf(review);
    if (status !== reviewStatus.changes || event === "schedule") return status;
    if (context.pullRequest === undefined) {
      const content = readFileSync(saved);
      await savePlan(backend, { runId, sha256: sha256(content) }, content);
      appendFileSync(context.outputs, `sha256=${sha256(content)}\n`);
    }
    return 0;
  } finally {
    folder.remove();
  }
}
