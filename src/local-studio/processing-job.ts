import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createReadStream, createWriteStream, lstatSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { GetObjectCommand, PutObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "./paths.ts";
import { linesOf, signalGroup } from "./processes.ts";
import type { SpaceRuntime } from "./space.ts";

/** What POST /jobs says of the job to run. */
export interface JobOrder {
  readonly name: string;
  readonly arn: string;
  readonly region: string;
  /** CreateProcessingJob's own request, as far as it matters here. */
  readonly configuration: {
    readonly AppSpecification: {
      readonly ContainerEntrypoint?: readonly string[];
      readonly ContainerArguments?: readonly string[];
    };
    readonly Environment?: Readonly<Record<string, string>>;
    readonly ProcessingInputs?: readonly { readonly S3Input: S3Place }[];
    readonly ProcessingOutputConfig?: {
      readonly KmsKeyId?: string;
      readonly Outputs?: readonly {
        readonly S3Output: S3Place & { readonly S3UploadMode: "Continuous" | "EndOfJob" };
      }[];
    };
    readonly ProcessingResources: { readonly ClusterConfig: { readonly InstanceType: string } };
    readonly StoppingCondition?: { readonly MaxRuntimeInSeconds: number };
  };
}

interface S3Place {
  readonly S3Uri: string;
  readonly LocalPath: string;
}

export type JobEvent =
  | { readonly accepted: true }
  | { readonly started: true }
  | { readonly lines: readonly LogLine[] }
  | { readonly outcome: JobOutcome };

export interface LogLine {
  readonly timestamp: number;
  readonly message: string;
}

export interface JobOutcome {
  readonly exitCode?: number;
  readonly timedOut?: boolean;
  readonly failureReason?: string;
  readonly exitMessage?: string;
}

/** How every processing job of one run is started. */
export interface JobRuntime extends SpaceRuntime {
  readonly jobScript?: string;
  /** Between SIGTERM and SIGKILL. @default 20; AWS's is 120 (SageMaker API, "StopTrainingJob") */
  readonly jobGraceSeconds?: number;
}

/** 1 day (SageMaker API, "StoppingCondition"). */
const defaultSeconds = 86_400;
/** Characters that an event of CloudWatch Logs takes (PutLogEvents: 1 MB with its overhead). */
const longestLine = 1_000_000;

/** Why SageMaker itself, and not the container, fails the job. */
class PlatformFailure extends Error {}

/** One processing job: `job.py` runs its entrypoint in folders like the container's; this is what SageMaker does around it. */
export class ProcessingJob {
  private readonly order: JobOrder;
  private readonly runtime: JobRuntime;
  private readonly folder: string;
  private readonly report: (event: JobEvent) => void;
  private child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  private stopped: "stop" | "kill" | undefined;
  private grace: NodeJS.Timeout | undefined;

  /** `folder` is made, and removed at the end, as a container's is. */
  constructor(order: JobOrder, runtime: JobRuntime, folder: string, report: (event: JobEvent) => void) {
    this.order = order;
    this.runtime = runtime;
    this.folder = folder;
    this.report = report;
  }

  async run(): Promise<JobOutcome> {
    const client = this.s3();
    try {
      await this.makeFolders();
      await this.download(client);
      if (this.stopped) return {};
      const outcome = await this.runContainer();
      if (this.stopped === "kill") return outcome;
      const exitMessage = await this.exitMessage();
      await this.upload(client, outcome.exitCode === 0 && !outcome.timedOut && !this.stopped);
      return { ...outcome, ...(exitMessage ? { exitMessage } : {}) };
    } catch (error) {
      if (error instanceof PlatformFailure) return { failureReason: error.message };
      throw error;
    } finally {
      clearTimeout(this.grace);
      client.destroy();
      await makeWritable(this.folder);
      await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** SIGTERM, and SIGKILL after the grace period. */
  stop(): void {
    this.stopped ??= "stop";
    this.tell("stop");
    this.grace ??= setTimeout(() => this.tell("kill"), (this.runtime.jobGraceSeconds ?? 20) * 1000);
  }

  /** What the loss of the instance does. */
  kill(): void {
    this.stopped = "kill";
    this.tell("kill");
  }

  /** Ends everything of the job, as the app host ends. */
  close(): void {
    this.kill();
    this.child?.stdin.end();
  }

  private tell(word: "stop" | "kill"): void {
    if (this.child?.stdin.writable) this.child.stdin.write(`${word}\n`);
  }

  private s3(): S3Client {
    const { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = this.runtime.environment;
    return new S3Client({
      region: this.order.region,
      ...(AWS_ENDPOINT_URL ? { endpoint: AWS_ENDPOINT_URL } : {}),
      credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
    });
  }

  /** Where a path of the container is here: /opt/ml is a folder of the job's own. */
  private local(path: string): string {
    const local = resolve(join(this.folder, path));
    if (local !== this.folder && !local.startsWith(this.folder + sep)) {
      throw new PlatformFailure(`ClientError: ${path} is outside of the container's folders.`);
    }
    return local;
  }

  /** SageMaker Developer Guide, "How Amazon SageMaker Processing Provides Configuration Information for Your Processing Container". */
  private async makeFolders(): Promise<void> {
    const { configuration } = this.order;
    await rm(this.folder, { recursive: true, force: true });
    const config = this.local("/opt/ml/config");
    const outputs = configuration.ProcessingOutputConfig?.Outputs ?? [];
    const inputs = configuration.ProcessingInputs ?? [];
    for (const path of [
      config,
      this.local("/opt/ml/output"),
      ...inputs.map(({ S3Input }) => this.local(S3Input.LocalPath)),
      ...outputs.map(({ S3Output }) => this.local(S3Output.LocalPath)),
    ]) {
      await mkdir(path, { recursive: true });
    }
    await writeFile(join(config, "processingjobconfig.json"), JSON.stringify(configuration));
    await writeFile(
      join(config, "resourceconfig.json"),
      JSON.stringify({
        current_host: "algo-1",
        current_instance_type: configuration.ProcessingResources.ClusterConfig.InstanceType,
        hosts: ["algo-1"],
        network_interface_name: "eth0",
      }),
    );
    // Root's on AWS, and the image's user is not root: aws/sagemaker-distribution lists it among its known issues.
    for (const { S3Output } of outputs) await chmod(this.local(S3Output.LocalPath), 0o555);
  }

  private async download(client: S3Client): Promise<void> {
    for (const { S3Input } of this.order.configuration.ProcessingInputs ?? []) {
      const { bucket, key: prefix } = parseUri(S3Input.S3Uri);
      let found = 0;
      try {
        for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
          for (const { Key = "" } of page.Contents ?? []) {
            if (Key.endsWith("/")) continue; // a folder of the console's
            const path = join(this.local(S3Input.LocalPath), relativeTo(prefix, Key));
            if (!path.startsWith(this.local(S3Input.LocalPath) + sep)) continue;
            const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
            await mkdir(dirname(path), { recursive: true });
            await pipeline(Body as Readable, createWriteStream(path));
            found += 1;
          }
        }
      } catch (error) {
        // The beginning is AWS's: aws-samples/sagemaker-run-notebook#32.
        throw new PlatformFailure(`ClientError: Failed to download data. ${S3Input.S3Uri}: ${words(error)}`);
      }
      if (found === 0) {
        throw new PlatformFailure(`ClientError: Failed to download data. No object below ${S3Input.S3Uri}`);
      }
    }
  }

  private async runContainer(): Promise<JobOutcome> {
    const { AppSpecification, Environment, StoppingCondition } = this.order.configuration;
    const { python, jobScript, environment } = this.runtime;
    // The one thing that differs from AWS's: where /opt/ml is.
    const here = (word: string) =>
      word === "/opt/ml" || word.startsWith("/opt/ml/") ? this.local(word) : word;
    this.child = spawn(python, [jobScript ?? join(projectFolder, "src/local-studio/image/job.py")], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    const { child } = this;
    child.stdin.on("error", () => {});
    const order = {
      home: join(this.folder, "home/sagemaker-user"),
      prefix: join(this.folder, "opt/conda"),
      command: [
        ...(AppSpecification.ContainerEntrypoint ?? []),
        ...(AppSpecification.ContainerArguments ?? []),
      ].map(here),
      environment: { ...environment, ...Environment },
    };
    child.stdin.write(`${JSON.stringify(order)}\n`);
    if (this.stopped) this.tell(this.stopped);
    let timedOut = false;
    let timer: NodeJS.Timeout | undefined;
    let ended: JobOutcome | undefined;
    const errors: string[] = [];
    const batch = new Batch((lines) => this.report({ lines }));
    const closed = new Promise<void>((resolve, reject) => {
      child.once("close", () => resolve());
      child.once("error", reject);
    });
    const reading = linesOf(child.stdout, (line) => {
      const event = JSON.parse(line) as ContainerEvent;
      if (event.event === "started") {
        this.report({ started: true });
        const seconds = StoppingCondition?.MaxRuntimeInSeconds ?? defaultSeconds;
        timer = setTimeout(() => {
          timedOut = true;
          this.stop();
        }, seconds * 1000);
      } else if (event.event === "line") {
        batch.add({ timestamp: event.timestamp, message: event.text.slice(0, longestLine) });
      } else if (event.event === "exited") {
        ended = { exitCode: event.exitCode, ...(timedOut ? { timedOut } : {}) };
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
      throw new Error(`job.py ended without a word. ${errors.slice(-5).join(" ")}`);
    }
    return ended ?? {};
  }

  /** SageMaker Developer Guide, "Save and Access Metadata Information About Your Processing Job": the first 1 KB, in UTF-8. */
  private async exitMessage(): Promise<string | undefined> {
    const bytes = await readFile(this.local("/opt/ml/output/message")).catch(() => undefined);
    if (bytes === undefined) return undefined;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new PlatformFailure("ClientError: /opt/ml/output/message is not encoded in UTF-8.");
    }
    // The limit may be within a character, of which `stream` keeps the beginning back.
    return new TextDecoder().decode(bytes.subarray(0, 1024), { stream: true });
  }

  /**
   * Whether a failed or stopped job's outputs are uploaded is not documented: here they are not, unless they are
   * uploaded continuously.
   */
  private async upload(client: S3Client, completed: boolean): Promise<void> {
    const { Outputs, KmsKeyId } = this.order.configuration.ProcessingOutputConfig ?? {};
    for (const { S3Output } of Outputs ?? []) {
      if (!completed && S3Output.S3UploadMode === "EndOfJob") continue;
      const { bucket, key } = parseUri(S3Output.S3Uri);
      const root = this.local(S3Output.LocalPath);
      try {
        for (const file of await filesBelow(root)) {
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: [key.replace(/\/$/, ""), file].filter(Boolean).join("/"),
              Body: createReadStream(join(root, file)),
              ContentLength: lstatSync(join(root, file)).size,
              ...(KmsKeyId ? { ServerSideEncryption: "aws:kms", SSEKMSKeyId: KmsKeyId } : {}),
            }),
          );
        }
      } catch (error) {
        // Words of our own.
        throw new PlatformFailure(`ClientError: Failed to upload data. ${S3Output.S3Uri}: ${words(error)}`);
      }
    }
  }
}

type ContainerEvent =
  | { readonly event: "started" }
  | { readonly event: "line"; readonly timestamp: number; readonly text: string }
  | { readonly event: "exited"; readonly exitCode: number }
  | { readonly event: "failed"; readonly reason: string };

/** Gathers lines for a moment: a request for each would take longer than the job. */
class Batch {
  private lines: LogLine[] = [];
  private timer: NodeJS.Timeout | undefined;
  private readonly send: (lines: readonly LogLine[]) => void;

  constructor(send: (lines: readonly LogLine[]) => void) {
    this.send = send;
  }

  add(line: LogLine): void {
    this.lines.push(line);
    this.timer ??= setTimeout(() => this.flush(), 100);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.lines.length > 0) this.send(this.lines);
    this.lines = [];
  }
}

function parseUri(uri: string): { bucket: string; key: string } {
  const [bucket = "", ...key] = uri.replace(/^s3:\/\//, "").split("/");
  return { bucket, key: key.join("/") };
}

/** The path of an object below the input's folder; that of an object named whole is its name. */
function relativeTo(prefix: string, key: string): string {
  if (prefix.endsWith("/") || prefix === "") return key.slice(prefix.length);
  if (key.startsWith(`${prefix}/`)) return key.slice(prefix.length + 1);
  return key.slice(prefix.lastIndexOf("/") + 1);
}

/** Regular files alone: symbolic links are not followed (SageMaker Developer Guide, "How Amazon SageMaker Processing Configures Input and Output"). */
async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** So that folders without permission to write can be removed. */
async function makeWritable(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((one) => one.isDirectory())) {
    await chmod(join(entry.parentPath, entry.name), 0o755).catch(() => {});
  }
}

function words(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
