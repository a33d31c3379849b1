import { basename, dirname, join, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { environmentOrRemovedOption, removed } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { enterRehearsal, rehearsalOptions } from "../src/cli/rehearsal-option.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { Steps } from "../src/cli/steps.ts";
import { environments } from "../src/environments.ts";
import { acceptOption, acceptProblems } from "../src/plan-review/accept-option.ts";
import {
  applyStep,
  fromProject,
  rehearsed,
  savedPlan,
  type Target,
} from "../src/plan-review/apply-command.ts";
import { type Plan, regionOf, text } from "../src/plan-review/plan.ts";
import { planEnvironment, Runner, runningAppsIfNeeded } from "../src/plan-review/planning.ts";
import { unknownNamesText } from "../src/plan-review/report.ts";
import { reviewOf, statusOf } from "../src/plan-review/review.ts";
import { allRules } from "../src/plan-review/risks/index.ts";
import { readSavedPlan } from "../src/plan-review/saved-plan.ts";
import { type WriteProps, writeReview } from "../src/plan-review/write.ts";
import { removedInBuckets } from "../src/state/buckets.ts";
import type { RemovedEnvironment } from "../src/state/removed.ts";

const options = {
  ...environmentOrRemovedOption,
  ...acceptOption,
  out: {
    value: "FILE",
    help: "write the review to FILE as Markdown (default: cdktf.out/plan/ENVIRONMENT.md)",
  },
  json: {
    value: "FILE",
    help: "write the review to FILE as JSON (default: cdktf.out/plan/ENVIRONMENT.json)",
  },
  sarif: {
    value: "FILE",
    help: "write the risks to FILE as SARIF, for code scanning (default: cdktf.out/plan/ENVIRONMENT.sarif)",
  },
  save: {
    value: "FILE",
    help: "save the plan, which npm run apply applies (default: cdktf.out/plan/ENVIRONMENT.tfplan)",
  },
  plan: {
    value: "FILE",
    help: "review an existing plan of any Terraform configuration: a file of terraform plan -out,\nor the output of terraform show -json",
  },
  in: {
    value: "FOLDER",
    help: "with --plan: the initialized folder of the plan (default: the folder of FILE)",
  },
  synthesized: {
    help: "plan what is in cdktf.out already, for example from an earlier job without credentials",
  },
  ...rehearsalOptions,
  "ask-aws": { help: "with --plan: list running apps and spaces in Studio with your AWS credentials" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run plan -- [options]
       npm run plan -- --plan FILE [options]
       npm run plan -- --rehearsal [options]

Synthesizes an environment of src/environments.ts, plans it with Terraform, and reviews the plan. The review lists the
risks first, with what is lost, for whom, and what to do instead. Then it lists what was changed outside of Terraform, all
changes by area, and the change of the fixed monthly cost. It ends with the command that applies this plan and accepts its
risks. It is printed, and written as Markdown, JSON and SARIF (src/plan-review/README.md). Nothing is applied. For an
environment that is in a state file, but not in src/environments.ts any more, it plans the destroy.

${optionsHelp(options)}

Exit status: 0 for no changes, 4 for changes, 3 for changes with a risk that was not accepted, 1 for an error or if an
--accept names no risk of this plan, 2 for an invalid command line, 130 if interrupted.
Requires Terraform, and AWS credentials that can read the deployed resources and lock the state. With sagemaker:ListApps
and sagemaker:ListSpaces, the review also finds running apps that block a change.
A saved plan contains sensitive values in plain text: protect it like the state.`;

async function problems(values: Values): Promise<readonly string[]> {
  const withPlan = ["in", "ask-aws"].filter((name) => values[name] !== undefined);
  const withoutPlan = ["environment", "save", "synthesized"].filter((name) => values[name] !== undefined);
  const notRehearsed = ["plan", "save", "synthesized"].filter((name) => values[name] !== undefined);
  return [
    ...acceptProblems(values, await allRules()),
    ...(values.plan === undefined
      ? withPlan.map((name) => `--${name} requires --plan`)
      : withoutPlan.map((name) => `--${name} cannot be combined with --plan`)),
    ...(values.rehearsal === undefined
      ? []
      : notRehearsed.map((name) => `--${name} cannot be combined with --rehearsal`)),
    ...(values.run !== undefined && values.rehearsal === undefined ? ["--run requires --rehearsal"] : []),
  ];
}

interface Planned extends Pick<WriteProps, "subject" | "file" | "paths"> {
  readonly plan: Plan;
  readonly region: string | undefined;
  readonly ask: boolean;
  /** Where the plan can be applied. @default nowhere */
  readonly target?: Target | undefined;
  /** Other environments that are in a state file, but not in the settings. */
  readonly others?: readonly RemovedEnvironment[] | undefined;
}

interface Tools {
  readonly steps: Steps;
  readonly runner: Runner;
}

async function main(values: Values): Promise<number> {
  const signal = onInterrupt({
    message: "Stopping: where Terraform runs, it first releases its state lock.",
    cleanUp: () => {},
  });
  const folder = createRunFolder();
  const steps = new Steps();
  try {
    const tools = { steps, runner: new Runner(folder.path, signal) };
    const { plan, region, ask, target, others, ...written } =
      values.plan === undefined
        ? await planned(values, folder.path, tools)
        : await readSaved(resolve(text(values.plan) ?? ""), values, tools);
    const apps = await runningAppsIfNeeded(plan, { region, ask, steps, signal });
    const rules = await allRules();
    const review = reviewOf({ plan, apps, rules, accept: listOf(values.accept), removed: others });
    const next = target && applyStep(target, review);
    console.log(writeReview({ ...written, review, rules, next }));
    if (review.unknownNames.length > 0) console.error(unknownNamesText(review));
    return statusOf(review);
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    folder.remove();
  }
}

/** The path of each format, and of the saved plan. */
const pathsOf = (values: Values, byDefault: (extension: string) => string | undefined) => {
  const path = (option: string, extension: string) => {
    const given = text(values[option]) ?? byDefault(extension);
    return given && resolve(given);
  };
  return { markdown: path("out", "md"), json: path("json", "json"), sarif: path("sarif", "sarif") };
};

async function planned(values: Values, folder: string, tools: Tools): Promise<Planned> {
  const session = values.rehearsal === undefined ? undefined : enterRehearsal(values);
  // The rehearsal's folder contains the applied stack, so a plan needs another folder.
  const output = join(session === undefined ? projectFolder : folder, "cdktf.out");
  const file = (name: string) => join(session?.folder ?? output, "plan", name);
  const { name, plan, region, saved } = await planEnvironment({
    ...{ environmentName: session?.environmentName ?? text(values.environment), output, ...tools },
    save: (of) => resolve(text(values.save) ?? file(`${of}.tfplan`)),
    synthesized: values.synthesized === true,
  });
  if (session === undefined) console.error(`written: ${saved}`);
  if (session === undefined)
    for (const warning of await removedInBuckets(environments)) console.warn(warning);
  const others = session === undefined ? removed.filter((one) => one.name !== name) : [];
  return {
    ...{ subject: name, plan, region, ask: true },
    paths: pathsOf(values, (extension) => file(`${name}.${extension}`)),
    others,
    target: session === undefined ? savedPlan(saved, "--environment", name) : rehearsed(session.run),
  };
}

async function readSaved(file: string, values: Values, tools: Tools): Promise<Planned> {
  const folder = resolve(text(values.in) ?? dirname(file));
  const { plan, isAppliable } = await readSavedPlan({ file, folder, ...tools });
  return {
    ...{ subject: basename(file), file: fromProject(file), plan },
    ...{ region: regionOf(plan), ask: values["ask-aws"] === true },
    paths: pathsOf(values, () => undefined),
    target: isAppliable ? savedPlan(file, "--in", fromProject(folder)) : undefined,
  };
}

await runCommand({ name: "npm run plan", options, help, problems, run: main });
