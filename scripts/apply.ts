import { cpSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { runCommand } from "../src/cli/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { Problem } from "../src/cli/problem.ts";
import { enterRehearsal, lockPatience, rehearsalOptions } from "../src/cli/rehearsal-option.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { Steps } from "../src/cli/steps.ts";
import { type Session, writeExports } from "../src/local-studio/session.ts";
import { acceptOption, acceptProblems } from "../src/plan-review/accept-option.ts";
import { planEnvironment, Runner, runningAppsIfNeeded } from "../src/plan-review/planning.ts";
import { report, unknownNamesText } from "../src/plan-review/report.ts";
import { reviewOf, reviewStatus, statusOf } from "../src/plan-review/review.ts";
import { allRules } from "../src/plan-review/risks/index.ts";

const options = {
  ...rehearsalOptions,
  ...environmentOption,
  ...acceptOption,
  yes: { help: "apply without confirmation" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run apply -- --rehearsal [options]

Applies a change of src/environments.ts to a running rehearsal: synthesizes, plans, prints the review of
\`npm run plan -- --rehearsal\`, asks for confirmation, and applies that plan. A plan with a risk that was not accepted is
not applied. To deploy to AWS, run \`npx cdktf deploy ENVIRONMENT\`.

${optionsHelp(options)}

Exit status: 0 if the plan was applied or has no changes, 4 if the answer was not yes, 3 if a risk was not accepted, 1 for
an error or if an --accept names no risk of this plan, 2 for an invalid command line, 130 if interrupted.`;

const problems = async (values: Values): Promise<readonly string[]> => [
  ...acceptProblems(values, await allRules()),
  ...(values.rehearsal === undefined
    ? [
        "--rehearsal is required: this command applies to rehearsals only. To deploy to AWS, run npx cdktf deploy ENVIRONMENT",
      ]
    : []),
];

async function main(values: Values): Promise<number> {
  if (values.yes !== true && !process.stdin.isTTY) {
    throw new Problem({
      message: "Confirmation needs a terminal, and there is none: nothing was applied.",
      remedy: "read the review of npm run plan -- --rehearsal, then add --yes",
    });
  }
  const session = enterRehearsal(values);
  const signal = onInterrupt({
    message: "Stopping: waiting for Terraform to release its state lock.",
    cleanUp: () => {},
  });
  const folder = createRunFolder();
  const steps = new Steps();
  const runner = new Runner(folder.path, signal);
  try {
    const { name, plan, region, saved, stack } = await planEnvironment({
      environmentName: session.environmentName,
      output: join(folder.path, "cdktf.out"),
      save: (of) => join(folder.path, `${of}.tfplan`),
      args: [lockPatience],
      ...{ steps, runner },
    });
    const apps = await runningAppsIfNeeded(plan, { region, ask: true, steps, signal });
    const review = reviewOf({ plan, apps, rules: await allRules(), accept: listOf(values.accept) });
    console.log(report(name, review));
    if (review.unknownNames.length > 0) console.error(unknownNamesText(review));
    const status = statusOf(review);
    if (status !== reviewStatus.changes) {
      if (status === reviewStatus.risk)
        console.error("Nothing was applied. To accept the risks, add --accept NAME for each of them.");
      return status;
    }
    if (values.yes !== true && !(await confirmed(session, signal))) return status;
    // From here on the rehearsal can destroy the resources of this plan, even if the apply fails partway.
    cpSync(stack, session.stackFolder, {
      recursive: true,
      filter: (path) => !basename(path).startsWith(".terraform"),
    });
    await steps.run("terraform apply", () =>
      runner.terraform(stack, "apply", "-input=false", lockPatience, saved),
    );
    writeExports(session);
    console.log(`Applied to the rehearsal of ${name}.`);
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    throw conflictProblem(error) ?? error;
  } finally {
    folder.remove();
  }
}

/** Recognizes Terraform's errors about a state that another terminal changed or locked. */
function conflictProblem(error: unknown): Problem | undefined {
  const output = error instanceof Problem ? error.message : "";
  const message = /Saved plan is stale/.test(output)
    ? "Another terminal changed the rehearsal after this plan was made: nothing was applied."
    : /Error acquiring the state lock/.test(output)
      ? "Terraform in another terminal has held the state lock for more than 2 minutes: nothing was applied."
      : undefined;
  return (
    message && new Problem({ message, remedy: "run this command again when the other terminal is done" })
  );
}

async function confirmed({ environmentName }: Session, signal: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const question = `Type yes to apply this to the rehearsal of ${environmentName}: `;
    const answer = await terminal.question(question, { signal });
    if (answer === "yes") return true;
    console.log(`The answer "${answer}" is not yes: nothing was applied.`);
    return false;
  } finally {
    terminal.close();
  }
}

await runCommand({ name: "npm run apply", options, help, problems, run: main });
