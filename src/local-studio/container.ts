import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { projectFolder } from "../cli/paths.ts";
import { linesOf, signalGroup } from "../cli/processes.ts";

export interface LifecycleConfig {
  readonly name: string;
  /** The base64-encoded script, as passed to CreateStudioLifecycleConfig. */
  readonly content: string;
}

export interface ContainerProps {
  /** Python of the virtual environment that replaces SageMaker Distribution. */
  readonly python: string;
  /** @default `src/local-studio/image/container.py` */
  readonly script?: string | undefined;
  readonly home: string;
  /** Where to create the app's own prefix, the equivalent of /opt/conda. */
  readonly prefix: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly lifecycleConfigs: readonly LifecycleConfig[];
  readonly log: string;
  /** AWS's limit is 5 minutes. */
  readonly lifecycleTimeoutSeconds: number;
  /** Token of the gateway: JupyterLab then accepts only the gateway and this user's programs. @default accepts all */
  readonly gatewayToken?: string | undefined;
}

/** One app: `container.py` runs the lifecycle configurations, then JupyterLab, until its standard input is closed. */
export class Container {
  /** Resolves once JupyterLab responds; rejects with the reason if the app fails. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  /** Duration of each lifecycle configuration in seconds, by name. */
  readonly lifecycleSeconds = new Map<string, number>();
  private readyPort: number | undefined;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;

  constructor(props: ContainerProps) {
    const { python, script, ...order } = props;
    this.child = spawn(python, [script ?? join(projectFolder, "src/local-studio/image/container.py")], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    this.exited = new Promise((resolve) => this.child.once("close", () => resolve()));
    this.ready = this.watch(props.log);
    this.ready.catch(() => {}); // prevents an unhandled rejection if nothing awaits `ready`
    this.child.stdin.on("error", () => {}); // the process exited before it read its input: `ready` rejects
    this.child.stdin.write(`${JSON.stringify({ ...order, port: 0 })}\n`);
  }

  /** Root of the app's process tree. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Port of JupyterLab while it is running. */
  get port(): number | undefined {
    return this.child.exitCode === null && this.child.signalCode === null ? this.readyPort : undefined;
  }

  /** Closes the standard input, which ends every process of the container. Kills it after the grace period. */
  async stop(graceMilliseconds = 20_000): Promise<void> {
    this.child.stdin.end();
    const timer = setTimeout(() => signalGroup(this.child, "SIGKILL"), graceMilliseconds);
    await this.exited;
    clearTimeout(timer);
  }

  private async watch(log: string): Promise<void> {
    const errors: string[] = [];
    const reading = linesOf(this.child.stderr, (line) => errors.push(line));
    return new Promise((resolve, reject) => {
      this.child.once("error", (error) =>
        reject(new Error(`The container could not be started: ${error.message}`)),
      );
      void linesOf(this.child.stdout, (line) => {
        const event = parse(line);
        if (event.event === "lifecycle") {
          this.lifecycleSeconds.set(String(event.name), Number(event.seconds));
        }
        if (event.event === "ready") {
          this.readyPort = Number(event.port);
          resolve();
        }
        if (event.event === "failed") reject(new Error(`${event.reason}`));
      })
        .then(() => reading)
        .then(() => {
          const last = errors.slice(-5).join(" ");
          throw new Error(`The container exited before JupyterLab responded (log: ${log}). ${last}`);
        })
        .catch(reject);
    });
  }
}

function parse(line: string): {
  readonly event?: unknown;
  readonly reason?: unknown;
  readonly port?: unknown;
  readonly name?: unknown;
  readonly seconds?: unknown;
} {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
