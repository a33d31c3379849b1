import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { projectFolder } from "../cli/paths.ts";
import { linesOf, signalGroup } from "../cli/processes.ts";
import type { JobFolder } from "./job-folder.ts";
import type { JobEvent, JobOrder, JobOutcome } from "./job-order.ts";
import { LogBatch } from "./log-batch.ts";
import type { SpaceRuntime } from "./space.ts";

/** How the jobs of one run are started. */
export interface JobRuntime extends SpaceRuntime {
  readonly jobScript?: string | undefined;
  /** Seconds between SIGTERM and SIGKILL. @default 20; on AWS 120 (SageMaker API, "StopTrainingJob") */
  readonly jobGraceSeconds?: number | undefined;
}

export interface JobContainerProps {
  readonly order: JobOrder;
  /** The host's name. */
  readonly host: string;
  readonly runtime: JobRuntime;
  readonly folder: JobFolder;
  readonly report: (event: JobEvent) => void;
}

/** Maximum length of an event in CloudWatch Logs (PutLogEvents: 1 MB including overhead). */
const longestLine = 1_000_000;

/** One instance of a job. `job.py` runs the command in folders like the container's. */
export class JobContainer {
  private readonly props: JobContainerProps;
  private child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  private signal: "stop" | "kill" | undefined;

  constructor(props: JobContainerProps) {
    this.props = props;
  }

  /** Sends SIGTERM to the command. */
  stop(): void {
    this.signal ??= "stop";
    this.send("stop");
  }

  /** Sends SIGKILL to all processes. */
  kill(): void {
    this.signal = "kill";
    this.send("kill");
  }

  /** Ends all processes when the app host ends. */
  close(): void {
    this.kill();
    this.child?.stdin.end();
  }

  private send(word: "stop" | "kill"): void {
    if (this.child?.stdin.writable) this.child.stdin.write(`${word}\n`);
  }

  async run(): Promise<JobOutcome> {
    const { folder, host, order, report, runtime } = this.props;
    // The only difference from AWS is the location of /opt/ml.
    const here = (word: string) =>
      word === "/opt/ml" || word.startsWith("/opt/ml/") ? folder.local(word) : word;
    const script = runtime.jobScript ?? join(projectFolder, "src/local-studio/image/job.py");
    const child = spawn(runtime.python, [script], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    this.child = child;
    child.stdin.on("error", () => {});
    const variables = Object.entries(order.environment).map(([name, value]) => [name, here(value)]);
    const request = {
      home: join(folder.path, "home/sagemaker-user"),
      prefix: join(folder.path, "opt/conda"),
      command: order.command.map(here),
      environment: { ...runtime.environment, ...order.credentials, ...Object.fromEntries(variables) },
    };
    child.stdin.write(`${JSON.stringify(request)}\n`);
    if (this.signal) this.send(this.signal);
    let ended: JobOutcome | undefined;
    const errors: string[] = [];
    const batch = new LogBatch((lines) => report({ host, lines }));
    const closed = new Promise<void>((resolve, reject) => {
      child.once("close", () => resolve());
      child.once("error", reject);
    });
    const reading = linesOf(child.stdout, (line) => {
      const event = JSON.parse(line) as ContainerEvent;
      if (event.event === "started") report({ started: true });
      else if (event.event === "line") {
        batch.add({ timestamp: event.timestamp, message: event.text.slice(0, longestLine) });
      } else
        ended = event.event === "exited" ? { exitCode: event.exitCode } : { failureReason: event.reason };
    });
    try {
      await Promise.all([closed, reading, linesOf(child.stderr, (line) => errors.push(line))]);
    } catch (error) {
      signalGroup(child, "SIGKILL");
      throw error;
    } finally {
      batch.flush();
    }
    if (ended === undefined && this.signal !== "kill") {
      throw new Error(`job.py exited without a result. ${errors.slice(-5).join(" ")}`);
    }
    return ended ?? {};
  }
}

type ContainerEvent =
  | { readonly event: "started" }
  | { readonly event: "line"; readonly timestamp: number; readonly text: string }
  | { readonly event: "exited"; readonly exitCode: number }
  | { readonly event: "failed"; readonly reason: string };
