import { join } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { apply } from "../src/github/apply.ts";
import { jobContext, jobTokens } from "../src/github/context.ts";
import { plan } from "../src/github/plan.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  help: { help: "show this help" },
} as const satisfies Options;

const operands = ["plan", "apply"];

const help = `usage: npm run github -- plan|apply [options]

Runs the steps of .github/workflows/environment.yml, with the stacks that its first job synthesized into cdktf.out.

  plan    plan an environment, and write the review to the run's summary, and as JSON and SARIF into cdktf.out/plan; on the
          main branch, save the plan beside the state. The label "accept NAME" on the pull request accepts the risk NAME
  apply   apply the plan of this run, whose SHA-256 is in PLAN_SHA256

${optionsHelp(options)}

Exit status: 0 for success, 1 if a step failed or the plan cannot be applied, 2 for an invalid command line, 3 if the plan
has a risk that no label accepts, 4 if a scheduled run finds changes. Requires the variables of a GitHub Actions job, AWS
credentials and Terraform; plan also requires GITHUB_TOKEN, and apply unzip.`;

async function main(values: Values, operand: string | undefined): Promise<number> {
  if (operand === undefined) {
    console.error(`- expected one of ${operands.join(", ")}\nSee npm run github -- --help`);
    return 2;
  }
  const environment = resolveEnvironment(chosenEnvironment(values));
  const context = jobContext(process.env);
  for (const token of jobTokens) delete process.env[token];
  const signal = onInterrupt({
    message: "Stopping: where Terraform runs, it first releases its state lock.",
    cleanUp: () => {},
  });
  const step = { environment, context, output: join(projectFolder, "cdktf.out"), signal };
  return operand === "plan" ? plan(step) : apply({ ...step, sha256: process.env.PLAN_SHA256 ?? "" });
}

await runCommand({
  name: "npm run github",
  options,
  operands,
  help,
  run: main,
});
