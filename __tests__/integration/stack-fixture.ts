import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { copyProject } from "../../scripts/lib/project-copy.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { linesOf, signalGroup } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/local-studio/terraform-cli.ts";

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** One environment's stack in a copy of the project, as a team's clone is, on a local AWS of its own. */
export class StackFixture {
  readonly folder: string;
  readonly localAws: LocalAws;
  readonly sagemaker: SageMakerClient;
  /** What an AWS SDK's client needs to speak to the local AWS. */
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
    /** Where Terraform finds its provider. */
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

  /** `settings` are those of the environment `dev`, as TypeScript. */
  static start(settings: string): Promise<StackFixture> {
    return StackFixture.startIn(copyProject(`[{ name: "dev", ${settings} }]`), "dev");
  }

  /** The same for a stack of any app, which is removed in the end. */
  static async startIn(
    project: ReturnType<typeof copyProject>,
    stackName: string,
    /** Runs the processing jobs of the local AWS. @default jobs run nothing */
    appHost?: string,
  ): Promise<StackFixture> {
    const { python } = await pythonEnvironment("aws");
    const localAws = await startLocalAws({
      python,
      ...(appHost === undefined ? {} : { appHost }),
      log: join(project.folder, "local-aws.log"),
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

  /**
   * Without the lifecycle rules of the buckets: after writing them, Terraform's provider looks on for 50 s whether they
   * are stable. They hold nothing back when a stack is destroyed.
   */
  private async synthesize(): Promise<void> {
    const { code, output } = await this.run(process.execPath, ["--import", "tsx", "main.ts"], this.folder);
    if (code !== 0) throw new Error(output);
    const file = join(this.stackFolder, "cdk.tf.json");
    const stack = JSON.parse(readFileSync(file, "utf8")) as {
      resource: { aws_s3_bucket_lifecycle_configuration?: unknown };
    };
    delete stack.resource.aws_s3_bucket_lifecycle_configuration;
    const references = /\s*"aws_s3_bucket_lifecycle_configuration\.\w+",/g;
    writeFileSync(file, JSON.stringify(stack, undefined, 2).replaceAll(references, ""));
    const init = await this.terraform(["init", "-no-color"]);
    if (init.code !== 0) throw new Error(init.output);
  }

  /** Another stack than the one synthesized, from the next apply on. */
  edit(was: string, becomes: string): void {
    const file = join(this.stackFolder, "cdk.tf.json");
    const stack = readFileSync(file, "utf8");
    if (!stack.includes(was)) throw new Error(`no ${was} in ${file}`);
    writeFileSync(file, stack.replaceAll(was, becomes));
  }

  terraform(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.run(this.binary, args, this.stackFolder, environment);
  }

  /** `npm run leftovers`. */
  leftovers(args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const script = ["--import", "tsx", "scripts/leftovers.ts", "--environment", "dev", ...args];
    return this.run(process.execPath, script, this.folder, environment);
  }

  /**
   * Kills Terraform with its provider and its scripts, as `kill -9` does, once the local AWS was asked for as many changes
   * as `pick` says, given how many resources Terraform plans to change. A change is what is neither Describe, Get, Head
   * nor List. The code is null where it was killed.
   */
  async killAfter(pick: (planned: number) => number, args: readonly string[]): Promise<Ended> {
    // Faults count what they match; these break nothing.
    const counted = ["*:[!DGHL]*", "*:D[!e]*", "*:De[!s]*"];
    const after = Number.MAX_SAFE_INTEGER;
    await this.localAws.setFaults(counted.map((operation) => ({ operation, fault: "error", after })));
    let point = Number.POSITIVE_INFINITY;
    const ended = await this.run(this.binary, args, this.stackFolder, {}, async (child, lines) => {
      while (child.exitCode === null && child.signalCode === null) {
        const asked = (await this.localAws.faults()).reduce((sum, { matched }) => sum + matched, 0);
        if (asked >= point) signalGroup(child, "SIGKILL");
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

  /** `npx cdktf destroy`, as a person types it. */
  destroy(environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const cdktf = join(this.folder, "node_modules/cdktf-cli/bundle/bin/cdktf");
    const flags = ["--auto-approve", "--skip-provider-lock", "--no-color"];
    return this.run(process.execPath, [cdktf, "destroy", "dev", ...flags], this.folder, environment);
  }

  /** Addresses of all that Terraform's state holds. */
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
      // A group of its own, so that a test can kill all of it at once.
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
