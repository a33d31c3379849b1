import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../src/local-studio/problem.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { findTerraform } from "../../src/local-studio/terraform-cli.ts";
import { type Program, runProgram } from "../lib/program.ts";
import { planAgain, reviewedPlan } from "./comment.ts";
import { type StepProps, treeOf } from "./review.ts";
import { loadPlan, stateBackend } from "./saved-plan.ts";

/** GitHub REST API, "Get a pull request": `merge_commit_sha` is what the base branch got, for each way of merging. */
interface PullRequest {
  readonly number: number;
  readonly merge_commit_sha: string | null;
  readonly merged_at: string | null;
}

/** Applies the plan that the merged pull request's comment shows, when it is of just what is on the main branch now. */
export async function apply({ environment, context, folder, signal }: StepProps): Promise<number> {
  const backend = stateBackend(environment);
  const { github, commit } = context;
  const pullRequests = await github.list<PullRequest>(`commits/${commit}/pulls`);
  const merged = pullRequests.find(
    ({ merge_commit_sha, merged_at }) => merged_at !== null && merge_commit_sha === commit,
  );
  if (merged === undefined) {
    throw new Problem({
      message: `Commit ${commit} came without a pull request, so nobody reviewed a plan of it: nothing was applied.`,
      remedy: planAgain,
    });
  }
  const plan = await reviewedPlan(github, { pullRequest: merged.number, environment: environment.name });
  const tree = await treeOf(folder);
  if (plan.tree !== tree) {
    throw new Problem({
      message:
        `The plan in pull request ${merged.number} is of other files (tree ${plan.tree}) than those on the main branch ` +
        `(tree ${tree}): something else was merged in between. Nothing was applied.`,
      remedy: `${planAgain}. "Require branches to be up to date before merging" in the branch's protection prevents it`,
    });
  }
  if (plan.sha256 === null) {
    console.log(`The plan that was reviewed in pull request ${merged.number} changes nothing.`);
    return 0;
  }
  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-apply-"));
  try {
    const saved = join(temporary, "plan.tfplan");
    writeFileSync(saved, await loadPlan(backend, plan));
    // The plan names files beside the stack: the same content synthesizes to the same bytes again.
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

/** A saved plan is a zip archive, with the provider versions that it was made with: an apply takes no others. */
async function lockFileIn(plan: string): Promise<string> {
  const result = await capture("unzip", ["-p", plan, ".terraform.lock.hcl"]);
  if (result?.status === 0) return result.stdout;
  throw new Problem({
    message: `The provider's version cannot be read from the plan: ${result?.stderr.trim() ?? "there is no unzip"}`,
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
          "The state has changed since the plan was reviewed: Terraform refused it, nothing was applied.",
        remedy: planAgain,
      });
    }
    if (status !== 0) return 1;
  }
  return 0;
}
