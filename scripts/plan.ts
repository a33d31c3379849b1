import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { environments } from "../src/environments.ts";
import { projectFolder } from "../src/local-studio/paths.ts";
import { Problem } from "../src/local-studio/problem.ts";
import { createRunFolder } from "../src/local-studio/run-folder.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { findTerraform, providerProblem, terraformEnvironment } from "../src/local-studio/terraform-cli.ts";
import { type Plan, priorResources, readPlan, regionOf, text } from "../src/plan-review/plan.ts";
import { report, unknownNamesText } from "../src/plan-review/report.ts";
import { reviewOf, statusOf } from "../src/plan-review/review.ts";
import { asksForApps } from "../src/plan-review/risks/studio.ts";
import type { RunningApps } from "../src/plan-review/running-apps.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { runCommand } from "./lib/command.ts";
import { listOf, type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment } from "./lib/environment-option.ts";
import { onInterrupt } from "./lib/interrupt.ts";
import { type Program, runProgram } from "./lib/program.ts";
import { askForRunningApps } from "./lib/running-apps.ts";

const options = {
  accept: {
    value: "NAME",
    repeated: true,
    help: "accept the risk that the review calls NAME; once for each",
  },
  out: { value: "FILE", help: "the review, as Markdown (default: cdktf.out/plan/ENVIRONMENT.md)" },
  save: { value: "FILE", help: "the plan, for terraform apply (default: cdktf.out/plan/ENVIRONMENT.tfplan)" },
  plan: {
    value: "FILE",
    help: "review this plan, and plan nothing: what terraform plan -out wrote, or the JSON of\nterraform show -json; of any configuration",
  },
  in: {
    value: "FOLDER",
    help: "with --plan: the initialized folder the plan was made in (default: FILE's own)",
  },
  "ask-aws": { help: "with --plan: ask Studio, with your credentials, for apps that run" },
  help: { help: "show this" },
} as const satisfies Options;

const names = environments.map(({ name }) => name);

const help = `usage: npm run plan -- [environment] [options]
       npm run plan -- --plan FILE [options]

Synthesizes an environment of src/environments.ts (${names.join(", ")}; without a name, the first), plans it with Terraform, and
reviews the plan: the risks first, with what is lost, for whom, and what to do instead; then all changes by concern; then
the change in fixed monthly cost. The review is Markdown, on the terminal and in a file. Nothing is applied.

${optionsHelp(options)}

Exit status: 0 when nothing changes, 2 for changes, 3 for changes with a risk that no --accept names, 1 when anything
failed, for a wrong command line, or an --accept that names no risk of this plan, 130 when interrupted.
Needs Terraform, and AWS credentials that may read what is deployed and lock the state. ListApps and ListSpaces tell whether
an app is in the way. A saved plan holds sensitive values as they are: keep it as you keep the state.`;

function problems(values: Values): readonly string[] {
  const withPlan = ["in", "ask-aws"].filter((name) => values[name] !== undefined);
  return [
    ...(values.plan === undefined ? withPlan.map((name) => `--${name} goes with --plan only`) : []),
    ...(values.plan !== undefined && values.save !== undefined
      ? ["--save goes with a plan of our own: --plan has its file already"]
      : []),
  ];
}

interface Planned {
  /** How the review calls it. */
  readonly of: string;
  readonly plan: Plan;
  readonly out: string | undefined;
  readonly region: string | undefined;
  readonly ask: boolean;
}

async function main(values: Values, operand: string | undefined): Promise<number> {
  if (operand !== undefined && values.plan !== undefined) {
    console.error(`- "${operand}" and --plan are two plans: give one of them\nSee npm run plan -- --help`);
    return 1;
  }
  const signal = onInterrupt({
    message: "Stopping: Terraform ends and gives its lock back.",
    cleanUp: () => {},
  });
  const folder = createRunFolder();
  const steps = new Steps();
  try {
    const runner = new Runner(folder.path, signal);
    const file = text(values.plan);
    const { of, plan, out, region, ask } =
      file === undefined
        ? await planEnvironment(values, operand, steps, runner)
        : await readSaved(resolve(file), values, steps, runner);
    const apps = await askIfNeeded(plan, { region, ask, steps, signal });
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

async function planEnvironment(
  values: Values,
  operand: string | undefined,
  steps: Steps,
  runner: Runner,
): Promise<Planned> {
  const output = join(projectFolder, "cdktf.out");
  await steps.run("synthesize", async () => {
    const environment = { ...process.env, CDKTF_OUTDIR: output };
    const node = [process.execPath, "--import", "tsx", "main.ts"];
    await runner.run({ what: "synthesize", command: node, cwd: projectFolder, environment });
  });
  // Only now, since the synthesis has found the settings to be in order.
  const { name, region } = resolveEnvironment(chosenEnvironment({ environment: operand }));
  const stack = join(output, "stacks", name);
  const fileOf = (option: "out" | "save", ending: string) =>
    resolve(text(values[option]) ?? join(output, "plan", `${name}.${ending}`));
  const saved = fileOf("save", "tfplan");

  await steps.run("terraform init", () => runner.terraform(stack, "init", "-input=false"));
  mkdirSync(dirname(saved), { recursive: true });
  const plan = await steps.run("terraform plan", async () => {
    await runner.terraform(stack, "plan", "-input=false", `-out=${saved}`);
    return readPlan(await runner.terraform(stack, "show", "-json", saved), saved);
  });
  console.error(`written: ${saved}`);
  return { of: name, plan, out: fileOf("out", "md"), region, ask: true };
}

async function readSaved(file: string, values: Values, steps: Steps, runner: Runner): Promise<Planned> {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    const message = `--plan: ${error instanceof Error ? error.message : error}`;
    throw new Problem({ message, remedy: "name a file that `terraform plan -out` wrote" });
  }
  // A plan file is a zip archive; JSON begins with a brace.
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

async function askIfNeeded(
  plan: Plan,
  props: {
    readonly region: string | undefined;
    readonly ask: boolean;
    readonly steps: Steps;
    readonly signal: AbortSignal;
  },
): Promise<RunningApps> {
  const domainIds = priorResources(plan, "aws_sagemaker_domain").flatMap(
    ({ values }) => text(values?.id) ?? [],
  );
  const { region, signal } = props;
  if (!props.ask) return { notAsked: "--ask-aws was not given" };
  if (region === undefined) return { notAsked: "the plan does not say its region" };
  if (domainIds.length === 0 || !asksForApps(plan)) return { running: [] };
  return props.steps.run("ask Studio which apps run", () => askForRunningApps({ region, domainIds, signal }));
}

/** Runs Terraform as this machine has it, and what comes before it, to what they print. */
class Runner {
  private readonly runFolder: string;
  private readonly signal: AbortSignal;

  constructor(runFolder: string, signal: AbortSignal) {
    this.runFolder = runFolder;
    this.signal = signal;
  }

  async terraform(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
    const { command: terraform } = await findTerraform();
    const environment = {
      ...process.env,
      ...(await terraformEnvironment({ command: terraform, runFolder: this.runFolder })),
    };
    const words = [terraform, command, ...(command === "show" ? [] : ["-no-color"]), ...args];
    return this.run({ what: `terraform ${command}`, command: words, cwd, environment });
  }

  async run(program: Omit<Program, "signal"> & { readonly what: string }): Promise<string> {
    const { status, stdout, stderr } = await runProgram({ ...program, signal: this.signal });
    this.signal.throwIfAborted();
    if (status === 0) return stdout;
    const said = `${stderr.trim() || stdout.trim()}`.split("\n").slice(-40).join("\n");
    throw (
      providerProblem(said) ??
      new Problem({
        message: `\`${program.what}\` failed with status ${status}:\n${said}`,
        remedy: `see the message above; it ran in ${program.cwd}`,
      })
    );
  }
}

await runCommand({
  name: "npm run plan",
  options,
  operands: names,
  help,
  problems,
  usageStatus: 1,
  run: main,
});
