import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { enterRehearsal, lockPatience, rehearsalOptions } from "../src/cli/rehearsal-option.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { Steps } from "../src/cli/steps.ts";
import { acceptOption, acceptProblems } from "../src/plan-review/accept-option.ts";
import { type Plan, readPlan, regionOf, text } from "../src/plan-review/plan.ts";
import { planEnvironment, Runner, runningAppsIfNeeded } from "../src/plan-review/planning.ts";
import { report, unknownNamesText } from "../src/plan-review/report.ts";
import { reviewOf, statusOf } from "../src/plan-review/review.ts";

const options = {
  ...environmentOption,
  ...acceptOption,
  out: {
    value: "FILE",
    help: "write the review to FILE as Markdown (default: cdktf.out/plan/ENVIRONMENT.md)",
  },
  save: {
    value: "FILE",
    help: "save the plan for terraform apply (default: cdktf.out/plan/ENVIRONMENT.tfplan)",
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
  "ask-aws": { help: "with --plan: list running apps in Studio with your AWS credentials" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run plan -- [options]
       npm run plan -- --plan FILE [options]
       npm run plan -- --rehearsal [options]

Synthesizes an environment of src/environments.ts, plans it with Terraform, and reviews the plan. The review lists the
risks first, with what is lost, for whom, and what to do instead. Then it lists what was changed outside of Terraform, all
changes by area, and the change of the fixed monthly cost. It is printed and written to a Markdown file. Nothing is applied.

${optionsHelp(options)}

Exit status: 0 for no changes, 4 for changes, 3 for changes with a risk that was not accepted, 1 for an error or if an
--accept names no risk of this plan, 2 for an invalid command line, 130 if interrupted.
Requires Terraform, and AWS credentials that can read the deployed resources and lock the state. With sagemaker:ListApps
and sagemaker:ListSpaces, the review also finds running apps that block a change.
A saved plan contains sensitive values in plain text: protect it like the state.`;

function problems(values: Values): readonly string[] {
  const withPlan = ["in", "ask-aws"].filter((name) => values[name] !== undefined);
  const withoutPlan = ["environment", "save", "synthesized"].filter((name) => values[name] !== undefined);
  const notRehearsed = ["plan", "save", "synthesized"].filter((name) => values[name] !== undefined);
  return [
    ...acceptProblems(values),
    ...(values.plan === undefined
      ? withPlan.map((name) => `--${name} requires --plan`)
      : withoutPlan.map((name) => `--${name} cannot be combined with --plan`)),
    ...(values.rehearsal === undefined
      ? []
      : notRehearsed.map((name) => `--${name} cannot be combined with --rehearsal`)),
    ...(values.run !== undefined && values.rehearsal === undefined ? ["--run requires --rehearsal"] : []),
  ];
}

interface Planned {
  /** The subject of the review. */
  readonly of: string;
  readonly plan: Plan;
  readonly out: string | undefined;
  readonly region: string | undefined;
  readonly ask: boolean;
}

async function main(values: Values): Promise<number> {
  const signal = onInterrupt({
    message: "Stopping: waiting for Terraform to release its state lock.",
    cleanUp: () => {},
  });
  const folder = createRunFolder();
  const steps = new Steps();
  try {
    const runner = new Runner(folder.path, signal);
    const file = text(values.plan);
    const { of, plan, out, region, ask } =
      file === undefined
        ? await planned(values, { folder: folder.path, steps, runner })
        : await readSaved(resolve(file), values, steps, runner);
    const apps = await runningAppsIfNeeded(plan, { region, ask, steps, signal });
    const review = reviewOf({ plan, apps, accept: listOf(values.accept) });
    const markdown = report(of, review);
    console.log(markdown);
    if (out !== undefined) {
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, markdown);
      console.error(`written: ${out}`);
    }
    if (review.unknownNames.length > 0) console.error(unknownNamesText(review));
    return statusOf(review);
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    folder.remove();
  }
}

async function planned(
  values: Values,
  { folder, ...tools }: { readonly folder: string; readonly steps: Steps; readonly runner: Runner },
): Promise<Planned> {
  const session = values.rehearsal === undefined ? undefined : enterRehearsal(values);
  // The rehearsal's folder contains the applied stack, so a plan needs another folder.
  const output = join(session === undefined ? projectFolder : folder, "cdktf.out");
  const fileOf = (option: "out" | "save", file: string) =>
    resolve(text(values[option]) ?? join(session?.folder ?? output, "plan", file));
  const { name, plan, region, saved } = await planEnvironment({
    ...{ environmentName: session?.environmentName ?? text(values.environment), output, ...tools },
    save: (of) => fileOf("save", `${of}.tfplan`),
    args: session === undefined ? undefined : [lockPatience],
    synthesized: values.synthesized === true,
  });
  if (session === undefined) console.error(`written: ${saved}`);
  return { of: name, plan, out: fileOf("out", `${name}.md`), region, ask: true };
}

async function readSaved(file: string, values: Values, steps: Steps, runner: Runner): Promise<Planned> {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    const message = `--plan: ${error instanceof Error ? error.message : error}`;
    throw new Problem({ message, remedy: "pass a file that `terraform plan -out` wrote" });
  }
  // A plan file is a zip archive.
  const saved = content.subarray(0, 2).toString("latin1") === "PK";
  const folder = resolve(text(values.in) ?? dirname(file));
  const json = saved
    ? await steps.run("terraform show", () => runner.terraform(folder, "show", "-json", file))
    : content.toString("utf8");
  const plan = readPlan(json, file);
  const out = text(values.out);
  return {
    of: file.split("/").at(-1) ?? file,
    plan,
    out: out === undefined ? undefined : resolve(out),
    region: regionOf(plan),
    ask: values["ask-aws"] === true,
  };
}

await runCommand({ name: "npm run plan", options, help, problems, run: main });
