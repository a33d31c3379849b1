import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../cli/problem.ts";
import { capture } from "../cli/processes.ts";
import { runProgram } from "../cli/program.ts";
import { createRunFolder } from "../cli/run-folder.ts";
import { findTerraform, lockTimeout, terraformEnvironment } from "../cli/terraform-cli.ts";
import type { StepProps } from "./plan.ts";
import { loadPlan, planAgain, stateBackend } from "./saved-plan.ts";

export interface ApplyProps extends StepProps {
  /** SHA-256 of the plan: the output of the run's plan job. */
  readonly sha256: string;
}

/** Applies the plan of an earlier job of the same run, with the stack that was planned. */
export async function apply({ environment, context, output, signal, sha256 }: ApplyProps): Promise<number> {
  const content = await loadPlan(stateBackend(environment), { runId: context.runId, sha256 });
  const folder = createRunFolder();
  try {
    const saved = join(folder.path, "plan.tfplan");
    writeFileSync(saved, content);
    const cwd = join(output, "stacks", environment.name);
    writeFileSync(join(cwd, ".terraform.lock.hcl"), await lockFileIn(saved));
    const { command } = await findTerraform();
    const providerVersion = environment.awsProviderVersion;
    const found = await terraformEnvironment({ command, runFolder: folder.path, providerVersion });
    for (const words of [
      ["init", "-input=false", "-lockfile=readonly"],
      ["apply", "-input=false", lockTimeout, saved],
    ]) {
      const program = {
        command: [command, ...words],
        cwd,
        environment: { ...process.env, ...found },
        signal,
        shown: true,
      } as const;
      const { status, stderr } = await runProgram(program);
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
  } finally {
    folder.remove();
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
