import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../cli/paths.ts";
import { linesOf, signalGroup } from "../cli/processes.ts";
import { JobFolder, PlatformFailure } from "./job-folder.ts";
import type { JobEvent, JobOrder, JobOutcome } from "./job-order.ts";
import { downloadInputs, OutputUpload } from "./job-transfer.ts";
import { LogBatch } from "./log-batch.ts";
import type { SpaceRuntime } from "./space.ts";

/** How the jobs of one run are started. */
export interface JobRuntime extends SpaceRuntime {
  readonly jobScript?: string | undefined;
  /** Seconds between SIGTERM and SIGKILL. @default 20; on AWS 120 (SageMaker API, "StopTrainingJob") */
  readonly jobGraceSeconds?: number | undefined;
}

/** Maximum length of an event in CloudWatch Logs (PutLogEvents: 1 MB including overhead). */
const longestLine = 1_000_000;

/** One processing or training job. `job.py` runs the entrypoint in folders like the container's; this class acts as SageMaker. */
export class Job {
  private readonly order: JobOrder;
  private readonly runtime: JobRuntime;
  private readonly folder: JobFolder;
  private readonly report: (event: JobEvent) => void;
  private child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  private stopped: "stop" | "kill" | undefined;
  private grace: NodeJS.Timeout | undefined;

  /** Creates `folder` and removes it at the end, like the file system of a container. */
  constructor(order: JobOrder, runtime: JobRuntime, folder: string, report: (event: JobEvent) => void) {
    this.order = order;
    this.runtime = runtime;
    this.folder = new JobFolder(folder);
    this.report = report;
  }

  async run(): Promise<JobOutcome> {
    const { folder, order } = this;
    const client = this.s3();
    const outputs = new OutputUpload(client, order.outputs, folder);
    try {
      await folder.create(order);
      if (order.inputs.length > 0) this.report({ downloading: true });
      await downloadInputs(client, order.inputs, folder);
      if (this.stopped) return {};
      const outcome = await outputs.during(this.runContainer());
      if (this.stopped === "kill") return outcome;
      const exitMessage = await folder.exitMessage(order.message);
      const completed = outcome.exitCode === 0 && !outcome.timedOut && !this.stopped;
      this.report({ uploading: true });
      await outputs.upload(completed ? "completed" : "ended");
      return { ...outcome, exitMessage: exitMessage || undefined };
    } catch (error) {
      if (error instanceof PlatformFailure) return { failureReason: error.message };
      throw error;
    } finally {
      clearTimeout(this.grace);
      client.destroy();
      await folder.remove();
    }
  }

  /** Sends SIGTERM, then SIGKILL after the grace period. */
  stop(): void {
    this.stopped ??= "stop";
    this.send("stop");
    this.grace ??= setTimeout(() => this.send("kill"), (this.runtime.jobGraceSeconds ?? 20) * 1000);
  }

  /** Simulates the loss of the instance. */
  kill(): void {
    this.stopped = "kill";
    this.send("kill");
  }

  /** Ends all processes of the job when the app host ends. */
  close(): void {
    this.kill();
    this.child?.stdin.end();
  }

  private send(word: "stop" | "kill"): void {
    if (this.child?.stdin.writable) this.child.stdin.write(`${word}\n`);
  }

  private get environment(): Readonly<Record<string, string>> {
    return { ...this.runtime.environment, ...this.order.credentials };
  }

  private s3(): S3Client {
    const {
      AWS_ENDPOINT_URL,
      AWS_ACCESS_KEY_ID = "",
      AWS_SECRET_ACCESS_KEY = "",
      AWS_SESSION_TOKEN,
    } = this.environment;
    return new S3Client({
      region: this.order.region,
      ...(AWS_ENDPOINT_URL ? { endpoint: AWS_ENDPOINT_URL } : {}),
      credentials: {
        accessKeyId: AWS_ACCESS_KEY_ID,
        secretAccessKey: AWS_SECRET_ACCESS_KEY,
        ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
      },
    });
  }

  private async runContainer(): Promise<JobOutcome> {
    const { python, jobScript } = this.runtime;
    // The only difference from AWS is the location of /opt/ml.
    const here = (word: string) =>
      word === "/opt/ml" || word.startsWith("/opt/ml/") ? this.folder.local(word) : word;
    this.child = spawn(python, [jobScript ?? join(projectFolder, "src/local-studio/image/job.py")], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    const { child } = this;
    child.stdin.on("error", () => {});
    const order = {
      home: join(this.folder.path, "home/sagemaker-user"),
      prefix: join(this.folder.path, "opt/conda"),
      command: this.order.command.map(here),
      environment: { ...this.environment, ...this.order.environment },
    };
    child.stdin.write(`${JSON.stringify(order)}\n`);
    if (this.stopped) this.send(this.stopped);
    let timedOut = false;
    let timer: NodeJS.Timeout | undefined;
    let ended: JobOutcome | undefined;
    const errors: string[] = [];
    const batch = new LogBatch((lines) => this.report({ lines }));
    const closed = new Promise<void>((resolve, reject) => {
      child.once("close", () => resolve());
      child.once("error", reject);
    });
    const reading = linesOf(child.stdout, (line) => {
      const event = JSON.parse(line) as ContainerEvent;
      if (event.event === "started") {
        this.report({ started: true });
        timer = setTimeout(() => {
          timedOut = true;
          this.stop();
        }, this.order.seconds * 1000);
      } else if (event.event === "line") {
        batch.add({ timestamp: event.timestamp, message: event.text.slice(0, longestLine) });
      } else if (event.event === "exited") {
        ended = { exitCode: event.exitCode, timedOut: timedOut || undefined };
      } else {
        ended = { failureReason: event.reason };
      }
    });
    try {
      await Promise.all([closed, reading, linesOf(child.stderr, (line) => errors.push(line))]);
    } catch (error) {
      signalGroup(child, "SIGKILL");
      throw error;
    } finally {
      clearTimeout(timer);
      batch.flush();
    }
    if (ended === undefined && this.stopped !== "kill") {
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
