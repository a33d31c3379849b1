import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../cli/problem.ts";
import { capture } from "../cli/processes.ts";
import { runProgram } from "../cli/program.ts";
import { reviewStatus } from "../plan-review/review.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { commentBody, keepComment, type ReviewedPlan } from "./comment.ts";
import type { JobContext } from "./context.ts";
import { savePlan, sha256, stateBackend } from "./saved-plan.ts";

export interface StepProps {
  readonly environment: ResolvedEnvironment;
  readonly context: JobContext;
  /** The project folder. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Plans the changes of a pull request, saves the plan, and writes the review to the pull request's comment. */
export async function review({ environment, context, folder, signal }: StepProps): Promise<number> {
  const { pullRequest } = context;
  if (pullRequest === undefined) {
    throw new Problem({
      message: "This job was not started by a pull request, so there is no pull request to comment on.",
      remedy: "run it on the event pull_request (.github/workflows/plan.yml)",
    });
  }
  const { number, labels } = pullRequest;
  const backend = stateBackend(environment);
  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-review-"));
  try {
    const [file, saved] = [join(temporary, "review.md"), join(temporary, "plan.tfplan")];
    const plan = [process.execPath, "--import", "tsx", "scripts/plan.ts", "--environment", environment.name];
    const accepted = labels.flatMap((label) => {
      const name = /^accept (.+)$/.exec(label)?.[1];
      return name === undefined ? [] : ["--accept", name];
    });
    const { status } = await runProgram({
      command: [...plan, "--out", file, "--save", saved, ...accepted],
      cwd: folder,
      signal,
      shown: true,
      // Terraform and its provider must not get the GitHub token.
      environment: { ...process.env, GITHUB_TOKEN: undefined },
    });
    const known = Object.values<number>(reviewStatus).includes(status);
    let reviewed: ReviewedPlan | undefined;
    if (known) {
      const content = status === reviewStatus.noChanges ? undefined : readFileSync(saved);
      const hash = content === undefined ? null : sha256(content);
      reviewed = { tree: await treeOf(folder), sha256: hash };
      if (content !== undefined) await savePlan(backend, reviewed, content);
    }
    const failed = `## The plan of \`${environment.name}\` failed with status ${status}\n\nSee the log of the workflow run.`;
    const body = commentBody({
      environment: environment.name,
      review: known && existsSync(file) ? readFileSync(file, "utf8") : failed,
      plan: reviewed,
      run: context.run,
    });
    await keepComment(context.github, { pullRequest: number, environment: environment.name, body });
    console.log(`Updated the review comment of pull request ${number}.`);
    if (!known) return 1;
    return status === reviewStatus.risk ? status : 0;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Git's tree hash of the checkout. Unlike a commit's hash, it does not change with a squash or a rebase. */
export async function treeOf(folder: string): Promise<string> {
  const result = await capture("git", ["rev-parse", "HEAD^{tree}"], { cwd: folder });
  if (result?.status === 0) return result.stdout.trim();
  throw new Problem({
    message: `git cannot read the checkout: ${result?.stderr.trim() ?? "git was not found"}`,
    remedy: "run this command in a clone, with git on the PATH",
  });
}
