import { projectFolder } from "../src/local-studio/paths.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { apply } from "./github/apply.ts";
import { jobContext } from "./github/context.ts";
import { review } from "./github/review.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";
import { onInterrupt } from "./lib/interrupt.ts";

const options = {
  environment: { value: "NAME", help: "one of src/environments.ts (default: the first)" },
  help: { help: "show this" },
} as const satisfies Options;

const operands = ["review", "apply"];

const help = `usage: npm run github -- review|apply [options]

What the workflows in .github/workflows run.

  review  plan what a pull request would change, keep the plan beside the state, and keep one comment up to date;
          a label "accept NAME" on the pull request accepts the risk of that name
  apply   apply the plan that the comment of the merged pull request shows, or nothing

${optionsHelp(options)}

Exit status: 0 when it is done, 1 when a step failed or there is no reviewed plan that can be applied, 2 for a wrong
command line, 3 when the plan has a risk that nobody accepted. Needs the variables of a GitHub Actions job and
GITHUB_TOKEN, AWS credentials, Terraform, git and unzip.`;

async function main(values: Values, operand: string | undefined): Promise<number> {
  if (operand === undefined) {
    console.error(`- one of ${operands.join(", ")} is wanted\nSee npm run github -- --help`);
    return 2;
  }
  const environment = resolveEnvironment(chosenEnvironment(values));
  const context = jobContext(process.env);
  const signal = onInterrupt({ message: "Waiting for Terraform to end in order …", cleanUp: () => {} });
  return (operand === "review" ? review : apply)({ environment, context, folder: projectFolder, signal });
}

await runCommand({
  name: "npm run github",
  options,
  operands,
  help,
  problems: environmentProblems,
  run: main,
});
