import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../cli/problem.ts";
import { capture } from "../cli/processes.ts";
import { type Program, runProgram } from "../cli/program.ts";
import { findTerraform } from "../cli/terraform-cli.ts";
import { planAgain, reviewedPlan } from "./comment.ts";
import { type StepProps, treeOf } from "./review.ts";
import { loadPlan, stateBackend } from "./saved-plan.ts";

/**
 * `merge_commit_sha` is the commit on the base branch, for each merge method (GitHub REST API, "Get a pull request").
 */
interface PullRequest {
  readonly number: number;
  readonly merge_commit_sha: string | null;
  readonly merged_at: string | null;
}

/**
 * Applies the plan in the merged pull request's comment, if it was made from the current content of the main branch.
 */
export async function apply({ environment, context, folder, signal }: StepProps): Promise<number> {
  const backend = stateBackend(environment);
  const { github, commit } = context;
  const pullRequests = await github.list<PullRequest>(`commits/${commit}/pulls`);
  const merged = pullRequests.find(
    ({ merge_commit_sha, merged_at }) => merged_at !== null && merge_commit_sha === commit,
  );
  if (merged === undefined) {
    throw new Problem({
      message: `Commit ${commit} does not belong to a merged pull request, so it has no reviewed plan: nothing was applied.`,
      remedy: planAgain,
    });
  }
  const plan = await reviewedPlan(github, { pullRequest: merged.number, environment: environment.name });
  const tree = await treeOf(folder);
  if (plan.tree !== tree) {
    throw new Problem({
      message:
        `The plan in pull request ${merged.number} was made from different files (tree ${plan.tree}) than those on the main ` +
        `branch (tree ${tree}), because something else was merged in between: nothing was applied.`,
      remedy: `${planAgain}. The branch protection "Require branches to be up to date before merging" prevents this`,
    });
  }
  if (plan.sha256 === null) {
    console.log(`The reviewed plan of pull request ${merged.number} has no changes.`);
    return 0;
  }
  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-apply-"));
  try {
    const saved = join(temporary, "plan.tfplan");
    writeFileSync(saved, await loadPlan(backend, plan));
    // The plan refers to files next to the stack. The synthesis of the same content writes the same files.
    const run: Omit<Program, "command"> = {
      ...{ cwd: folder, signal, shown: true },
      environment: { ...process.env, GITHUB_TOKEN: undefined },
    };
    const { status } = await runProgram({
      ...run,
      command: [process.execPath, "--import", "tsx", "main.ts"],
    });
    if (status !== 0) return 1;
    const stack = join(folder, "cdktf.out/stacks", environment.name);
    writeFileSync(join(stack, ".terraform.lock.hcl"), await lockFileIn(saved));
    return await terraformApply(stack, saved, run);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The lock file in a saved plan, which is a zip archive. An apply needs the provider versions of the plan. */
async function lockFileIn(plan: string): Promise<string> {
  const result = await capture("unzip", ["-p", plan, ".terraform.lock.hcl"]);
  if (result?.status === 0) return result.stdout;
  throw new Problem({
    message: `The provider's version cannot be read from the plan: ${result?.stderr.trim() ?? "unzip was not found"}`,
    remedy: result === undefined ? "install unzip" : planAgain,
  });
}

async function terraformApply(
  stack: string,
  plan: string,
  run: Omit<Program, "command" | "cwd">,
): Promise<number> {
  const { command } = await findTerraform();
  for (const args of [
    ["init", "-lockfile=readonly"],
    ["apply", plan],
  ]) {
    const words = [...args.slice(0, 1), "-input=false", ...args.slice(1)];
    const { status, stderr } = await runProgram({ ...run, command: [command, ...words], cwd: stack });
    if (/Saved plan is stale/.test(stderr)) {
      throw new Problem({
        message:
          "The state has changed since the plan was reviewed, so Terraform rejected the plan: nothing was applied.",
        remedy: planAgain,
      });
    }
    if (status !== 0) return 1;
  }
  return 0;
}
