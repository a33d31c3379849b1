import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { apply } from "../src/github/apply.ts";
import { jobContext } from "../src/github/context.ts";
import { review } from "../src/github/review.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  help: { help: "show this help" },
} as const satisfies Options;

const operands = ["review", "apply"];

const help = `usage: npm run github -- review|apply [options]

Runs the steps of the workflows in .github/workflows.

  review  plan the changes of a pull request, save the plan next to the state, and update the review comment;
          the label "accept NAME" on the pull request accepts the risk NAME
  apply   apply only the reviewed plan of the merged pull request

${optionsHelp(options)}

Exit status: 0 for success, 1 if a step failed or no reviewed plan can be applied, 2 for an invalid command line, 3 if the
plan has a risk that was not accepted. Requires the variables of a GitHub Actions job, GITHUB_TOKEN, AWS credentials,
Terraform, git and unzip.`;

async function main(values: Values, operand: string | undefined): Promise<number> {
  if (operand === undefined) {
    console.error(`- expected one of ${operands.join(", ")}\nSee npm run github -- --help`);
    return 2;
  }
  const environment = resolveEnvironment(chosenEnvironment(values));
  const context = jobContext(process.env);
  const signal = onInterrupt({
    message: "Stopping: waiting for Terraform to release its state lock.",
    cleanUp: () => {},
  });
  return (operand === "review" ? review : apply)({ environment, context, folder: projectFolder, signal });
}

await runCommand({
  name: "npm run github",
  options,
  operands,
  help,
  run: main,
});
