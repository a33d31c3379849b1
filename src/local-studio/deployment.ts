import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { lockTimeout, providerProblem } from "../cli/terraform-cli.ts";
import { consentVariable } from "../removal/guard.ts";
import { type RehearsedState, readState } from "./rehearsed-state.ts";
import { rehearsalVariable, type SynthesisProps, synthesizedStack } from "./rehearsed-synthesis.ts";
import { type Finished, runTethered, type TetheredProps } from "./tethered.ts";

export interface DeploymentProps {
  /** Name of the environment. The stack has the same name. */
  readonly environmentName: string;
  /** The run folder, which contains the synthesized output, the state and the outputs. */
  readonly folder: string;
  /** Terraform's state. @default `terraform.tfstate` in `folder` */
  readonly statePath?: string | undefined;
  readonly logs: string;
  /** Also deploys the lifecycle rules of the buckets, which takes 50 s longer. @default false */
  readonly complete?: boolean | undefined;
  /** Any Python that runs `tether.py`. */
  readonly python: string;
  /** Endpoint, credentials and Terraform's configuration. */
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress?: ((text: string) => void) | undefined;
}

export interface StackFacts {
  readonly region: string;
  /** Whether the home file system is retained when the domain is deleted. */
  readonly retainsHomes: boolean;
}

/** Deploys and destroys the unchanged stack of one environment with the real cdktf and Terraform. */
export class Deployment {
  private readonly props: DeploymentProps;
  /** Folder of the synthesized output. */
  readonly output: string;
  readonly synthesisFile: string;
  readonly statePath: string;

  constructor(props: DeploymentProps) {
    this.props = props;
    this.output = join(props.folder, "cdktf.out");
    this.synthesisFile = join(props.folder, "synthesis.json");
    this.statePath = props.statePath ?? join(props.folder, "terraform.tfstate");
  }

  get stackFolder(): string {
    return join(this.output, "stacks", this.props.environmentName);
  }

  /** Synthesizes the stack, and an override file with the differences of a rehearsal (see `rehearsalOverride`). */
  async synthesize(signal?: AbortSignal): Promise<StackFacts> {
    const { environmentName, complete } = this.props;
    const synthesis: SynthesisProps = { environmentName, statePath: this.statePath, complete };
    writeFileSync(this.synthesisFile, JSON.stringify(synthesis));
    const { status, output } = await this.run("synth", [process.execPath, "--import", "tsx", "main.ts"], {
      signal,
    });
    if (status !== 0) {
      throw new Problem({
        message: `The settings or the stack are not valid:\n${output}`,
        remedy: "correct them, then start again",
        log: this.logOf("synth"),
      });
    }
    return this.facts();
  }

  /** Facts about the stack as it was last synthesized, or applied from another terminal. */
  facts(): StackFacts {
    const stack = synthesizedStack(this.stackFolder);
    const domains = Object.values(stack.resource.aws_sagemaker_domain ?? {});
    return {
      region: stack.provider.aws[0]?.region ?? "us-east-1",
      retainsHomes: domains.some((domain) => domain.retention_policy?.home_efs_file_system === "Retain"),
    };
  }

  /** Runs `cdktf deploy`; resolves to the number of resources by Terraform resource type. */
  async deploy(signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
    this.check("deploy", await this.cdktf("deploy", { signal }));
    return this.state().resources;
  }

  /** Runs `cdktf destroy`, which also deletes the spaces that people created in the domain. */
  async destroy(): Promise<void> {
    const deleteWorkIn = this.state().output("studio_domain_id");
    this.check("destroy", await this.cdktf("destroy", { deleteWorkIn }));
  }

  /** What another terminal needs in addition to the variables of the AWS account. */
  session(aws: Readonly<Record<string, string>>) {
    const { TERRAFORM_BINARY_NAME, TF_CLI_CONFIG_FILE } = this.props.environment;
    const variables: Record<string, string> = {
      ...aws,
      [rehearsalVariable]: this.synthesisFile,
      // The CDKTF CLI also reads its options from CDKTF_ variables.
      CDKTF_OUTPUT: this.output,
      CDKTF_SKIP_PROVIDER_LOCK: "true",
      CDKTF_DISABLE_PLUGIN_CACHE_ENV: "1",
      CHECKPOINT_DISABLE: "1",
      ...(TERRAFORM_BINARY_NAME === undefined ? {} : { TERRAFORM_BINARY_NAME }),
      ...(TF_CLI_CONFIG_FILE === undefined ? {} : { TF_CLI_CONFIG_FILE }),
    };
    return { stackFolder: this.stackFolder, statePath: this.statePath, variables };
  }

  state(): RehearsedState {
    return readState(this.statePath);
  }

  private async cdktf(
    command: "deploy" | "destroy",
    options: { readonly signal?: AbortSignal | undefined; readonly deleteWorkIn?: string | undefined },
  ): Promise<Finished> {
    let total = 0;
    let count = 0;
    const [word, plan] =
      command === "deploy" ? ["Creation", /Plan: (\d+) to add/] : ["Destruction", /(\d+) to destroy/];
    // For example `dev  aws_s3_object.payload_file (payload/file)["start.sh"]: Creation complete after 0s`.
    const complete = new RegExp(`^\\S*\\s+[a-z0-9_]+\\..*: ${word} complete after`);
    // For example the AWS provider waits until the lifecycle rules of a bucket have been stable for 50 s.
    const waiting = /^\S*\s+([a-z0-9_]+)\..*: Still (?:creat|destroy)ing/;
    const onLine = (line: string) => {
      total = Number(plan.exec(line)?.[1] ?? total);
      if (complete.test(line)) count += 1;
      if (/Acquiring state lock/.test(line))
        this.props.onProgress?.("waiting for the state lock, which another terminal holds");
      const slow = waiting.exec(line)?.[1];
      const rest = slow === undefined ? "" : `, waiting for ${slow}`;
      if (total > 0) this.props.onProgress?.(`${count} of ${total} resources${rest}`);
    };
    const cdktf = join(projectFolder, "node_modules/cdktf-cli/bundle/bin/cdktf");
    const stack = [this.props.environmentName, "--output", this.output];
    // `synthesize` has run the CDKTF app. The settings may have been edited since then and be incomplete.
    const flags = ["--auto-approve", "--skip-synth", "--skip-provider-lock", "--no-color"];
    return this.run(command, [process.execPath, cdktf, command, ...stack, ...flags], { onLine, ...options });
  }

  private run(
    name: string,
    command: readonly string[],
    options: Pick<TetheredProps, "onLine" | "signal"> & { readonly deleteWorkIn?: string | undefined },
  ): Promise<Finished> {
    const { deleteWorkIn, ...tethered } = options;
    mkdirSync(this.props.logs, { recursive: true });
    const temporary = join(this.props.folder, "tmp");
    mkdirSync(temporary, { recursive: true });
    return runTethered({
      python: this.props.python,
      command,
      environment: {
        ...process.env,
        CDKTF_OUTDIR: this.output,
        CDKTF_DISABLE_PLUGIN_CACHE_ENV: "1",
        CI: "1",
        // Waits for an apply in another terminal.
        TF_CLI_ARGS_destroy: lockTimeout,
        // A killed provider leaves its socket behind. The path of a socket is limited to 104 bytes on macOS and to 108
        // on Linux; Terraform adds a name of up to 17.
        ...(temporary.length <= 80 ? { TMPDIR: temporary } : {}),
        ...this.props.environment,
        [rehearsalVariable]: this.synthesisFile,
        [consentVariable]: deleteWorkIn,
      },
      log: this.logOf(name),
      ...tethered,
    });
  }

  private logOf(name: string): string {
    return join(this.props.logs, `${name}.log`);
  }

  private check(name: string, { status, output }: Finished): void {
    if (status === 0) return;
    const log = this.logOf(name);
    const errors = output.split("\n").filter((line) => /Error:/.test(line));
    throw (
      providerProblem(output, log) ??
      new Problem({
        message: `\`cdktf ${name}\` failed with status ${status}.\n${[...new Set(errors)].slice(0, 5).join("\n")}`,
        remedy: "read the messages of Terraform in the log",
        log,
      })
    );
  }
}
