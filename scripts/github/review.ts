import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../src/local-studio/problem.ts";
import { capture } from "../../src/local-studio/processes.ts";
import type { ResolvedEnvironment } from "../../src/settings/types.ts";
import { runProgram } from "../lib/program.ts";
import { commentBody, keepComment, type ReviewedPlan } from "./comment.ts";
import type { JobContext } from "./context.ts";
import { savePlan, sha256, stateBackend } from "./saved-plan.ts";

export interface StepProps {
  readonly environment: ResolvedEnvironment;
  readonly context: JobContext;
  /** The project's. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** What `npm run plan` ends with. */
const statuses = { nothing: 0, changes: 2, risk: 3 } as const;

/** Plans what the pull request would change, keeps the plan, and says in the pull request's comment what it is. */
export async function review({ environment, context, folder, signal }: StepProps): Promise<number> {
  const { pullRequest } = context;
  if (pullRequest === undefined) {
    throw new Problem({
      message: "No pull request started this job, so there is nowhere to put the review.",
      remedy: "run it on the event pull_request (.github/workflows/plan.yml)",
    });
  }
  const { number, labels } = pullRequest;
  const backend = stateBackend(environment);
  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-review-"));
  try {
    const [file, saved] = [join(temporary, "review.md"), join(temporary, "plan.tfplan")];
    const plan = [process.execPath, "--import", "tsx", "scripts/plan.ts", environment.name];
    const accepted = labels.flatMap((label) => {
      const name = /^accept (.+)$/.exec(label)?.[1];
      return name === undefined ? [] : ["--accept", name];
    });
    const { status } = await runProgram({
      command: [...plan, "--out", file, "--save", saved, ...accepted],
      cwd: folder,
      signal,
      shown: true,
      // Terraform, its provider and all that they start have no business with the pull request.
      environment: { ...process.env, GITHUB_TOKEN: undefined },
    });
    const known = Object.values<number>(statuses).includes(status);
    let reviewed: ReviewedPlan | undefined;
    if (known) {
      const content = status === statuses.nothing ? undefined : readFileSync(saved);
      const hash = content === undefined ? null : sha256(content);
      reviewed = { tree: await treeOf(folder), sha256: hash };
      if (content !== undefined) await savePlan(backend, reviewed, content);
    }
    const failed = `## The plan of \`${environment.name}\` failed with status ${status}\n\nThe run's log says why.`;
    const body = commentBody({
      environment: environment.name,
      review: known && existsSync(file) ? readFileSync(file, "utf8") : failed,
      plan: reviewed,
      run: context.run,
    });
    await keepComment(context.github, { pullRequest: number, environment: environment.name, body });
    console.log(`The comment of pull request ${number} is up to date.`);
    if (!known) return 1;
    return status === statuses.risk ? statuses.risk : 0;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Git's hash of everything that is checked out: unlike a commit's, a squash or a rebase does not change it. */
export async function treeOf(folder: string): Promise<string> {
  const result = await capture("git", ["rev-parse", "HEAD^{tree}"], { cwd: folder });
  if (result?.status === 0) return result.stdout.trim();
  throw new Problem({
    message: `git does not say what is checked out: ${result?.stderr.trim() ?? "there is no git"}`,
    remedy: "run it in a clone, with git on the PATH",
  });
}
