import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { callerAccount } from "../cli/caller-account.ts";
import { chosenEnvironment, removed } from "../cli/environment-option.ts";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { type Program, runProgram } from "../cli/program.ts";
import type { Steps } from "../cli/steps.ts";
import { findTerraform, lockTimeout, terraformEnvironment } from "../cli/terraform-cli.ts";
import { terraformProblem } from "../cli/terraform-problems.ts";
import { type ResolvedEnvironment, resolveEnvironment } from "../settings/environment.ts";
import { untestedVersionWarning } from "../settings/marimo.ts";
import { committedProviderLock } from "../settings/provider-lock.ts";
import { removedProblem, removedRemedy } from "../state/removed.ts";
import { listRunningApps } from "./list-running-apps.ts";
import { type Plan, priorResources, readPlan, text } from "./plan.ts";
import { checkQuotas } from "./quotas.ts";
import { canBeBlockedByApps } from "./risks/studio.ts";
import type { RunningApps } from "./running-apps.ts";

export interface PlanProps {
  /** The environment's name. @default the first of src/environments.ts */
  readonly environmentName: string | undefined;
  /** The folder for the synthesized stacks. */
  readonly output: string;
  /** Plan the stacks that are in the folder. @default synthesize them first */
  readonly synthesized?: boolean | undefined;
  /** Returns the path for the saved plan of an environment. */
  readonly save: (name: string) => string;
  /** Additional arguments of `terraform plan`. */
  readonly args?: readonly string[] | undefined;
  readonly steps: Steps;
  readonly runner: Runner;
}

export interface PlannedEnvironment {
  readonly name: string;
  readonly region: string;
  readonly plan: Plan;
  readonly saved: string;
  /** The stack's folder. */
  readonly stack: string;
}

/**
 * Synthesizes an environment, unless it is synthesized, and plans it, with this process's credentials and environment
 * variables. The plan of a removed environment is its destroy.
 */
export async function planEnvironment(props: PlanProps): Promise<PlannedEnvironment> {
  const { output, steps, runner, args = [] } = props;
  if (props.synthesized !== true) {
    await steps.run("synthesize", async () => {
      const environment = { ...process.env, CDKTF_OUTDIR: output };
      const node = [process.execPath, "--import", "tsx", "main.ts"];
      await runner.run({ what: "synthesize", command: node, cwd: projectFolder, environment });
    });
  }
  // After the synthesis, which validates the settings.
  const environment = resolveEnvironment(chosenEnvironment({ environment: props.environmentName }));
  const { name, region, awsProviderVersion } = environment;
  const stack = join(output, "stacks", name);
  const old = removed.find((one) => one.name === name);
  if (old !== undefined && old.resources === undefined)
    throw new Problem({ message: removedProblem(old), remedy: removedRemedy(old) });
  const warning = untestedVersionWarning(environment);
  if (warning) console.warn(warning);
  await steps.run("check the account and its quotas", async () => {
    await callerAccount(environment);
    if (old === undefined) await refuseQuotas(environment, stack);
  });
  runner.providerVersion = awsProviderVersion;
  const saved = props.save(name);
  const readOnly = committedProviderLock(name) === undefined ? [] : ["-lockfile=readonly"];
  await steps.run("terraform init", () => runner.terraform(stack, "init", "-input=false", ...readOnly));
  mkdirSync(dirname(saved), { recursive: true });
  const plan = await steps.run("terraform plan", async () => {
    const destroy = old === undefined ? [] : ["-destroy"];
    await runner.terraform(stack, "plan", "-input=false", lockTimeout, ...destroy, ...args, `-out=${saved}`);
    return readPlan(await runner.terraform(stack, "show", "-json", saved), saved);
  });
  return { name, region, plan, saved, stack };
}

async function refuseQuotas(environment: ResolvedEnvironment, stack: string): Promise<void> {
  const quotas = await checkQuotas(environment, stack);
  if ("notChecked" in quotas) console.warn(`The account's quotas were not checked: ${quotas.notChecked}`);
  else if (quotas.problems.length > 0)
    throw new Problem({ message: quotas.problems.join("\n"), remedy: "see above; nothing was planned" });
}

/** The running apps of the plan's domains, if the plan has a change that a running app can block. */
export async function runningAppsIfNeeded(
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
  if (!props.ask) return { notChecked: "--ask-aws was not given" };
  if (region === undefined) return { notChecked: "the plan has no constant provider region" };
  if (domainIds.length === 0 || !canBeBlockedByApps(plan)) return { running: [] };
  return props.steps.run("list running apps and spaces", () =>
    listRunningApps({ region, domainIds, signal }),
  );
}

/** Runs this machine's Terraform, and the synthesis before it, and returns what they print. */
export class Runner {
  /** The provider's version constraint, once it is known. */
  providerVersion: string | undefined;
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
      ...(await terraformEnvironment({
        command: terraform,
        runFolder: this.runFolder,
        providerVersion: this.providerVersion,
      })),
    };
    const words = [terraform, command, ...(command === "show" ? [] : ["-no-color"]), ...args];
    return this.run({ what: `terraform ${command}`, command: words, cwd, environment });
  }

  async run(program: Omit<Program, "signal"> & { readonly what: string }): Promise<string> {
    const { status, stdout, stderr } = await runProgram({ ...program, signal: this.signal });
    this.signal.throwIfAborted();
    if (status === 0) return stdout;
    const output = `${stderr.trim() || stdout.trim()}`.split("\n").slice(-40).join("\n");
    throw (
      terraformProblem(output) ??
      new Problem({
        message: `\`${program.what}\` failed with status ${status}:\n${output}`,
        remedy: `see the output above. The command ran in ${program.cwd}`,
      })
    );
  }
}
