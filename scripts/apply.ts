import { cpSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { type Consent, confirmed, requireTerminal } from "../src/cli/consent.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { enterRehearsal, rehearsalOptions } from "../src/cli/rehearsal-option.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { Steps } from "../src/cli/steps.ts";
import { lockTimeout } from "../src/cli/terraform-cli.ts";
import { type Session, writeExports } from "../src/local-studio/session.ts";
import { acceptOption, acceptProblems } from "../src/plan-review/accept-option.ts";
import { regionOf, text } from "../src/plan-review/plan.ts";
import { planEnvironment, Runner, runningAppsIfNeeded } from "../src/plan-review/planning.ts";
import { report, unknownNamesText } from "../src/plan-review/report.ts";
import { reviewOf, reviewStatus, statusOf } from "../src/plan-review/review.ts";
import { allRules } from "../src/plan-review/risks/index.ts";
import { readSavedPlan } from "../src/plan-review/saved-plan.ts";

const options = {
  plan: { value: "FILE", help: "apply the plan that npm run plan saved in FILE" },
  in: {
    value: "FOLDER",
    help: "with --plan: the initialized folder of the plan (default: cdktf.out/stacks/ENVIRONMENT)",
  },
  ...rehearsalOptions,
  ...environmentOption,
  ...acceptOption,
  yes: { help: "with --rehearsal: apply without confirmation" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run apply -- --plan FILE [options]
       npm run apply -- --rehearsal [options]

With --plan, applies exactly a saved plan, as the last lines of its review say. Like Terraform, it does not ask: the review
comes first. It prints the review again, and a plan with a risk that was not accepted is not applied.

With --rehearsal, applies a change of src/environments.ts to a running rehearsal: synthesizes, plans, prints the review of
\`npm run plan -- --rehearsal\`, asks for confirmation, and applies that plan.

${optionsHelp(options)}

Exit status: 0 if the plan was applied or has no changes, 4 if the answer was not yes, 3 if a risk was not accepted, 1 for
an error or if an --accept names no risk of this plan, 2 for an invalid command line, 130 if interrupted.`;

const problems = async (values: Values): Promise<readonly string[]> => [
  ...acceptProblems(values, await allRules()),
  ...(values.plan === undefined && values.rehearsal === undefined
    ? ["--plan FILE or --rehearsal is required. To deploy to AWS without a saved plan, run npx cdktf deploy"]
    : []),
  ...["plan", "in"]
    .filter((name) => values[name] !== undefined && values.rehearsal !== undefined)
    .map((name) => `--${name} cannot be combined with --rehearsal`),
  ...["run", "yes"]
    .filter((name) => values[name] !== undefined && values.rehearsal === undefined)
    .map((name) => `--${name} requires --rehearsal`),
  ...(values.in !== undefined && values.environment !== undefined
    ? ["--in cannot be combined with --environment"]
    : []),
];

async function main(values: Values): Promise<number> {
  // Before the plan, which takes a while.
  if (values.rehearsal === true && values.yes !== true) requireTerminal("applied");
  const session = values.rehearsal === undefined ? undefined : enterRehearsal(values);
  const signal = onInterrupt({
    message: "Stopping: where Terraform runs, it first releases its state lock.",
    cleanUp: () => {},
  });
  const folder = createRunFolder();
  const steps = new Steps();
  const runner = new Runner(folder.path, signal);
  try {
    const { name, plan, region, saved, stack } =
      session === undefined
        ? await savedPlanOf(values, { steps, runner })
        : await planEnvironment({
            environmentName: session.environmentName,
            output: join(folder.path, "cdktf.out"),
            save: (of) => join(folder.path, `${of}.tfplan`),
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
    if (session !== undefined) {
      if (values.yes !== true && !(await confirmed(consent(session.environmentName, signal)))) return status;
      // From here on the rehearsal can destroy the resources of this plan, even if the apply fails partway.
      cpSync(stack, session.stackFolder, {
        recursive: true,
        filter: (path) => !basename(path).startsWith(".terraform"),
      });
    }
    await steps.run("terraform apply", () =>
      runner.terraform(stack, "apply", "-input=false", lockTimeout, saved),
    );
    if (session !== undefined) writeExports(session);
    console.log(session === undefined ? `Applied ${saved}.` : `Applied to the rehearsal of ${name}.`);
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    throw staleProblem(error, session) ?? error;
  } finally {
    folder.remove();
  }
}

async function savedPlanOf(values: Values, tools: { readonly steps: Steps; readonly runner: Runner }) {
  const name = chosenEnvironment(values).name;
  const saved = resolve(text(values.plan) ?? "");
  const stack = resolve(text(values.in) ?? join(projectFolder, "cdktf.out/stacks", name));
  const { plan, isAppliable } = await readSavedPlan({ file: saved, folder: stack, ...tools });
  if (!isAppliable) {
    const remedy = "pass the file that `npm run plan` saved, or that `terraform plan -out` wrote";
    throw new Problem({ message: `--plan: ${saved} is JSON, which Terraform cannot apply.`, remedy });
  }
  const subject = values.in === undefined ? name : basename(saved);
  return { name: subject, plan, region: regionOf(plan), saved, stack };
}

/** Recognizes Terraform's error about a state that changed after the plan. */
function staleProblem(error: unknown, session: Session | undefined): Problem | undefined {
  if (!(error instanceof Problem) || !/Saved plan is stale/.test(error.message)) return undefined;
  return session === undefined
    ? new Problem({
        message: "The state has changed since this plan was made: nothing was applied.",
        remedy: "plan again, and read the new review",
      })
    : new Problem({
        message: "Another terminal changed the rehearsal after this plan was made: nothing was applied.",
        remedy: "run this command again when the other terminal is done",
      });
}

const consent = (environment: string, signal: AbortSignal): Consent => ({
  ...{ word: "yes", to: `apply this to the rehearsal of ${environment}`, done: "applied", signal },
});

await runCommand({ name: "npm run apply", options, help, problems, run: main });
