import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { projectFolder } from "./paths.ts";
import { linesOf, signalGroup } from "./processes.ts";

export interface LifecycleConfig {
  readonly name: string;
  /** The script, base64-encoded, as CreateStudioLifecycleConfig got it. */
  readonly content: string;
}

export interface ContainerProps {
  /** Python of the environment that stands in for SageMaker Distribution. */
  readonly python: string;
  /** @default `src/local-studio/image/container.py` */
  readonly script?: string;
  readonly home: string;
  /** Where the app's own prefix is made, the counterpart of /opt/conda. */
  readonly prefix: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly lifecycleConfigs: readonly LifecycleConfig[];
  readonly log: string;
  /** AWS's limit is 5 minutes. */
  readonly lifecycleTimeoutSeconds: number;
}

/** One app: `container.py` runs the lifecycle configurations, then JupyterLab, until its standard input closes. */
export class Container {
  /** Resolves once JupyterLab answers; rejects with the reason when it never will. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  /** How many seconds JupyterLab waited for each lifecycle configuration, by its name. */
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
    this.ready.catch(() => {}); // whoever asks for it gets the reason; nobody asking is no crash
    this.child.stdin.on("error", () => {}); // it ended before it read its order: `ready` tells
    this.child.stdin.write(`${JSON.stringify({ ...order, port: 0 })}\n`);
  }

  /** Process below which the whole app runs. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Port of JupyterLab, while it answers. */
  get port(): number | undefined {
    return this.child.exitCode === null && this.child.signalCode === null ? this.readyPort : undefined;
  }

  /** Closes the container's standard input, which ends everything in it; ends it by force where that fails. */
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
        .then(() =>
          reject(
            new Error(
              `The container ended before JupyterLab answered (log: ${log}). ${errors.slice(-5).join(" ")}`,
            ),
          ),
        );
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
