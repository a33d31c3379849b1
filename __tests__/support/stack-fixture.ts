import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { linesOf, signalGroup } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { leaveOutLifecycleRules } from "../../src/local-studio/lifecycle-rules.ts";
import {
  type AppHostAddress,
  type LocalAws,
  type LocalAwsProps,
  startLocalAws,
} from "../../src/local-studio/local-aws.ts";

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** One environment's stack in a copy of the project, like a team's clone, on a separate local AWS. */
export class StackFixture {
  readonly folder: string;
  readonly localAws: LocalAws;
  readonly sagemaker: SageMakerClient;
  /** Client settings for the local AWS. */
  readonly client: ReturnType<LocalAws["clientSettings"]>;
  readonly environment: NodeJS.ProcessEnv;
  private readonly stackName: string;
  private readonly binary: string;
  private readonly remove: () => void;

  private constructor(parts: {
    readonly project: ReturnType<typeof copyProject>;
    readonly stackName: string;
    readonly localAws: LocalAws;
    readonly binary: string;
    /** Variables that configure the source of Terraform's provider. */
    readonly provider: NodeJS.ProcessEnv;
  }) {
    const { project, localAws, binary, provider } = parts;
    this.folder = project.folder;
    this.stackName = parts.stackName;
    this.remove = project.remove;
    this.localAws = localAws;
    this.binary = binary;
    this.environment = {
      ...process.env,
      ...provider,
      ...localAws.environment,
      TERRAFORM_BINARY_NAME: binary,
      CDKTF_DISABLE_PLUGIN_CACHE_ENV: "1",
      CI: "1",
    };
    this.client = localAws.clientSettings();
    this.sagemaker = new SageMakerClient(this.client);
  }

  /** `settings` are the settings of the environment `dev`, in TypeScript. */
  static start(settings: string): Promise<StackFixture> {
    return StackFixture.startIn(copyProject(`[{ name: "dev", ${settings} }]`), "dev");
  }

  /** Starts with a stack of any app. Its copy of the project is removed at the end. */
  static async startIn(
    project: ReturnType<typeof copyProject>,
    stackName: string,
    /** Runs the processing jobs of the local AWS. @default jobs complete without running */
    appHost?: AppHostAddress,
    more: Pick<LocalAwsProps, "iam"> = {},
  ): Promise<StackFixture> {
    const { python } = await pythonEnvironment("aws");
    const localAws = await startLocalAws({
      python,
      appHost,
      log: join(project.folder, "local-aws.log"),
      ...more,
    });
    const binary = (await findTerraform()).command;
    const provider = await terraformEnvironment({ command: binary, runFolder: project.folder });
    const fixture = new StackFixture({ project, stackName, localAws, binary, provider });
    await fixture.synthesize();
    return fixture;
  }

  get stackFolder(): string {
    return join(this.folder, "cdktf.out/stacks", this.stackName);
  }

  private async synthesize(): Promise<void> {
    const { code, output } = await this.run(process.execPath, ["--import", "tsx", "main.ts"], this.folder);
    if (code !== 0) throw new Error(output);
    leaveOutLifecycleRules(this.stackFolder);
    const init = await this.terraform(["init", "-no-color"]);
    if (init.code !== 0) throw new Error(init.output);
  }

  /** Edits the synthesized stack for the next apply. */
  edit(before: string, after: string): void {
    const file = join(this.stackFolder, "cdk.tf.json");
    const stack = readFileSync(file, "utf8");
    if (!stack.includes(before)) throw new Error(`${file} does not contain ${before}`);
    writeFileSync(file, stack.replaceAll(before, after));
  }

  terraform(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.run(this.binary, args, this.stackFolder, environment);
  }

  /** Runs `npm run leftovers`. */
  leftovers(args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const script = ["--import", "tsx", "scripts/leftovers.ts", "--environment", "dev", ...args];
    return this.run(process.execPath, script, this.folder, environment);
  }

  /**
   * Kills Terraform, its provider and its scripts with SIGKILL after a number of changing requests to the local AWS.
   * `pick` returns this number for the number of planned resources. Changing requests are all except Describe, Get,
   * Head and List. The exit code is null after a kill.
   */
  async killAfter(pick: (planned: number) => number, args: readonly string[]): Promise<Ended> {
    // These faults only count the matching requests.
    const counted = ["*:[!DGHL]*", "*:D[!e]*", "*:De[!s]*"];
    const after = Number.MAX_SAFE_INTEGER;
    await this.localAws.setFaults(counted.map((operation) => ({ operation, fault: "error", after })));
    let point = Number.POSITIVE_INFINITY;
    const ended = await this.run(this.binary, args, this.stackFolder, {}, async (child, lines) => {
      while (child.exitCode === null && child.signalCode === null) {
        const requests = (await this.localAws.faults()).reduce((sum, { matched }) => sum + matched, 0);
        if (requests >= point) signalGroup(child, "SIGKILL");
        const plan = lines.map((line) => /^Plan: (\d+) to add, \d+ to change, (\d+) to destroy/.exec(line));
        const found = plan.find((match) => match !== null);
        if (found && point === Number.POSITIVE_INFINITY) point = pick(Number(found[1]) + Number(found[2]));
        await setTimeout(10);
      }
    });
    await this.localAws.setFaults([]);
    return ended;
  }

  async apply(): Promise<void> {
    const { code, output } = await this.terraform(["apply", "-auto-approve", "-no-color"]);
    if (code !== 0) throw new Error(output);
  }

  /** Runs `npx cdktf destroy`. */
  destroy(environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const cdktf = join(this.folder, "node_modules/cdktf-cli/bundle/bin/cdktf");
    const flags = ["--auto-approve", "--skip-provider-lock", "--no-color"];
    return this.run(process.execPath, [cdktf, "destroy", "dev", ...flags], this.folder, environment);
  }

  /** The addresses of the resources in Terraform's state. */
  async state(): Promise<string[]> {
    const { output } = await this.terraform(["state", "list"]);
    return output.split("\n").filter((line) => /^[a-z_]+\./.test(line));
  }

  async output(name: string): Promise<string> {
    return (await this.terraform(["output", "-raw", name])).output;
  }

  run(
    command: string,
    args: readonly string[],
    cwd: string,
    environment: NodeJS.ProcessEnv = {},
    started: (child: ChildProcess, lines: readonly string[]) => Promise<void> = async () => {},
  ): Promise<Ended> {
    return new Promise((resolve, reject) => {
      // In a separate process group, so that a test can kill all processes at once.
      const child = spawn(command, args, {
        cwd,
        env: { ...this.environment, ...environment },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      const lines: string[] = [];
      const take = (line: string) => lines.push(line);
      void linesOf(child.stdout, take);
      void linesOf(child.stderr, take);
      child.once("error", reject);
      started(child, lines).catch(reject);
      child.once("close", (code) => resolve({ code, output: lines.join("\n") }));
    });
  }

  async stop(): Promise<void> {
    await this.localAws.stop();
    this.remove();
  }
}
