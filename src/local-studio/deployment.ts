import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { consentVariable } from "../studio-removal/guard.ts";
import { projectFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { providerProblem } from "./terraform-cli.ts";
import { type Finished, runTethered, type TetheredProps } from "./tethered.ts";

export interface DeploymentProps {
  /** Name of the environment, which is the stack's. */
  readonly environmentName: string;
  /** The run's own folder: synthesized output, state and outputs stay in it. */
  readonly folder: string;
  readonly logs: string;
  /** Any Python that runs `tether.py`. */
  readonly python: string;
  /** Endpoint, credentials and Terraform's configuration. */
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress?: (text: string) => void;
}

/** What a rehearsal has to know of the stack's JSON. */
interface SynthesizedStack {
  readonly provider: { readonly aws: readonly { readonly region: string }[] };
  readonly resource: Readonly<Record<string, Readonly<Record<string, SynthesizedResource>>>>;
}

interface SynthesizedResource {
  readonly lifecycle?: { readonly prevent_destroy?: boolean };
  readonly retention_policy?: { readonly home_efs_file_system?: string };
}

export interface StackFacts {
  readonly region: string;
  /** Whether the home file system stays, on purpose, when the domain goes. */
  readonly retainsHomes: boolean;
}

/** Deploys one environment's stack, as it is, with the real cdktf and Terraform, and destroys it. */
export class Deployment {
  private readonly props: DeploymentProps;
  private readonly output: string;

  constructor(props: DeploymentProps) {
    this.props = props;
    this.output = join(props.folder, "cdktf.out");
  }

  get stackFolder(): string {
    return join(this.output, "stacks", this.props.environmentName);
  }

  /** Writes the stack's JSON, and beside it what is different in a rehearsal: only the state, and what forbids destroying. */
  async synthesize(signal?: AbortSignal): Promise<StackFacts> {
    const { status, output } = await this.run("synth", [process.execPath, "--import", "tsx", "main.ts"], {
      signal,
    });
    const log = this.logOf("synth");
    if (status !== 0) {
      throw new Problem({
        message: `The settings or the stack have problems:\n${output}`,
        remedy: "correct them, then start again",
        log,
      });
    }
    const file = join(this.stackFolder, "cdk.tf.json");
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch {
      throw new Problem({
        message: `There is no environment "${this.props.environmentName}".`,
        remedy: "name one of those in src/environments.ts with --environment",
        log,
      });
    }
    const stack = JSON.parse(text) as SynthesizedStack;
    const override = rehearsalOverride(stack, join(this.props.folder, "terraform.tfstate"));
    writeFileSync(
      join(this.stackFolder, "rehearsal_override.tf.json"),
      `${JSON.stringify(override, undefined, 2)}\n`,
    );
    const domains = Object.values(stack.resource.aws_sagemaker_domain ?? {});
    return {
      region: stack.provider.aws[0]?.region ?? "us-east-1",
      retainsHomes: domains.some((domain) => domain.retention_policy?.home_efs_file_system === "Retain"),
    };
  }

  /** `cdktf deploy`; resolves to the number of resources by Terraform's type. */
  async deploy(signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const created = new Map<string, number>();
    this.check("deploy", await this.cdktf("deploy", created, { signal }));
    return created;
  }

  /** `cdktf destroy`, also of what people made in the domain of this id. */
  async destroy(deleteWorkIn?: string): Promise<void> {
    this.check("destroy", await this.cdktf("destroy", new Map(), { deleteWorkIn }));
  }

  private async cdktf(
    command: "deploy" | "destroy",
    done: Map<string, number>,
    options: { readonly signal?: AbortSignal | undefined; readonly deleteWorkIn?: string | undefined },
  ): Promise<Finished> {
    let total = 0;
    const [word, plan] =
      command === "deploy" ? ["Creation", /Plan: (\d+) to add/] : ["Destruction", /(\d+) to destroy/];
    // Such as `dev  aws_s3_object.payload_file (payload/file)["start.sh"]: Creation complete after 0s`.
    const complete = new RegExp(`^\\S*\\s+([a-z0-9_]+)\\..*: ${word} complete after`);
    // Such as the provider's wait until a bucket's lifecycle rules have been stable for 50 s.
    const waiting = /^\S*\s+([a-z0-9_]+)\..*: Still (?:creat|destroy)ing/;
    const onLine = (line: string) => {
      total = Number(plan.exec(line)?.[1] ?? total);
      const kind = complete.exec(line)?.[1];
      if (kind !== undefined) done.set(kind, (done.get(kind) ?? 0) + 1);
      const count = [...done.values()].reduce((sum, one) => sum + one, 0);
      const slow = waiting.exec(line)?.[1];
      const rest = slow === undefined ? "" : `, waiting for ${slow}`;
      if (total > 0) this.props.onProgress?.(`${count} of ${total} resources${rest}`);
    };
    const cdktf = join(projectFolder, "node_modules/cdktf-cli/bundle/bin/cdktf");
    const stack = [this.props.environmentName, "--output", this.output];
    const flags = ["--auto-approve", "--skip-provider-lock", "--no-color"];
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
        // A provider that is ended in the middle leaves its socket behind. A socket's path has 104 bytes at most on
        // macOS, 108 on Linux; Terraform adds a name of up to 17.
        ...(temporary.length <= 80 ? { TMPDIR: temporary } : {}),
        ...this.props.environment,
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
        remedy: "read Terraform's messages in the log",
        log,
      })
    );
  }
}

/** What differs from a deployment to AWS, as a file that Terraform merges over the synthesized one. */
export function rehearsalOverride(stack: Pick<SynthesizedStack, "resource">, statePath: string): object {
  const resource: Record<string, Record<string, object>> = {};
  for (const [type, byName] of Object.entries(stack.resource)) {
    for (const [name, { lifecycle }] of Object.entries(byName)) {
      const overrides = {
        ...(lifecycle?.prevent_destroy ? { lifecycle: { prevent_destroy: false } } : {}),
        ...(type === "aws_s3_bucket" ? { force_destroy: true } : {}),
      };
      if (Object.keys(overrides).length > 0) resource[type] = { ...resource[type], [name]: overrides };
    }
  }
  return { terraform: { backend: { local: { path: statePath } } }, resource };
}
