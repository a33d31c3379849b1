import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { JobContainer, type JobRuntime } from "./job-container.ts";
import { JobFolder, PlatformFailure } from "./job-folder.ts";
import type { JobEvent, JobOrder, JobOutcome } from "./job-order.ts";
import { downloadInputs, OutputUpload } from "./job-transfer.ts";

/** The longest delay of setTimeout, 24.8 days. Jobs may run for 28. */
const longestTimeout = 2 ** 31 - 1;

/** One processing or training job with all its instances. This class acts as SageMaker. */
export class Job {
  private readonly order: JobOrder;
  private readonly runtime: JobRuntime;
  private readonly folder: JobFolder;
  private readonly instances: readonly { readonly folder: JobFolder; readonly container: JobContainer }[];
  private readonly report: (event: JobEvent) => void;
  private stopped: "stop" | "kill" | undefined;
  private timedOut = false;
  private limit: NodeJS.Timeout | undefined;
  private grace: NodeJS.Timeout | undefined;

  /** Creates `folder` and removes it at the end, like the file systems of the containers. */
  constructor(order: JobOrder, runtime: JobRuntime, folder: string, report: (event: JobEvent) => void) {
    this.order = order;
    this.runtime = runtime;
    this.folder = new JobFolder(folder);
    this.report = report;
    this.instances = order.hosts.map(({ name: host }) => {
      const own = new JobFolder(join(folder, host));
      const props = { order, host, runtime, folder: own, report: (event: JobEvent) => this.pass(event) };
      return { folder: own, container: new JobContainer(props) };
    });
  }

  async run(): Promise<JobOutcome> {
    const { instances, order } = this;
    const client = this.s3();
    const folders = instances.map(({ folder }) => folder);
    const outputs = new OutputUpload(client, order.outputs, folders);
    try {
      for (const [index, host] of order.hosts.entries()) await folders[index]?.create(order, host);
      if (order.inputs.length > 0) this.report({ downloading: true });
      await Promise.all(folders.map((folder) => downloadInputs(client, order.inputs, folder)));
      await outputs.skipRestored();
      await Promise.all(folders.map((folder) => folder.protect(order.ownedByRoot)));
      if (this.stopped) return {};
      const { folder, ...outcome } = await outputs.during(this.runContainers());
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
      for (const folder of [...folders, this.folder]) await folder.remove();
    }
  }

  /** Sends SIGTERM, then SIGKILL after the grace period. */
  stop(): void {
    this.stopped ??= "stop";
    for (const { container } of this.instances) container.stop();
    this.grace ??= setTimeout(
      () => {
        for (const { container } of this.instances) container.kill();
      },
      (this.runtime.jobGraceSeconds ?? 20) * 1000,
    );
  }

  /** Simulates the loss of the instances. */
  kill(): void {
    this.stopped = "kill";
    for (const { container } of this.instances) container.kill();
  }

  /** Ends all processes of the job when the app host ends. */
  close(): void {
    this.stopped = "kill";
    for (const { container } of this.instances) container.close();
  }

  private s3(): S3Client {
    const {
      AWS_ENDPOINT_URL,
      AWS_ACCESS_KEY_ID = "",
      AWS_SECRET_ACCESS_KEY = "",
      AWS_SESSION_TOKEN,
    }: Readonly<Record<string, string>> = { ...this.runtime.environment, ...this.order.credentials };
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

  /** Reports an event of a container. The job has started when its first container has. */
  private pass(event: JobEvent): void {
    const started = "started" in event;
    if (started && this.limit !== undefined) return;
    this.report(event);
    if (!started) return;
    this.limit = setTimeout(
      () => {
        this.timedOut = true;
        this.report({ stopping: true });
        this.stop();
      },
      Math.min(this.order.seconds * 1000, longestTimeout),
    );
  }

  /**
   * Returns the outcome of the first container that fails, or of the first host. Guess: AWS ends the other containers
   * when one fails.
   */
  private async runContainers(): Promise<JobOutcome & { readonly folder: JobFolder }> {
    let failed: (JobOutcome & { readonly folder: JobFolder }) | undefined;
    try {
      const [first] = await Promise.all(
        this.instances.map(async ({ container, folder }) => {
          const outcome = { ...(await container.run()), folder };
          if (outcome.exitCode !== 0 && failed === undefined) {
            failed = outcome;
            // While the job is stopped, each container has its own grace period.
            if (!this.stopped) for (const other of this.instances) other.container.kill();
          }
          return outcome;
        }),
      );
      const outcome = failed ?? first;
      if (outcome === undefined) throw new Error("The job has no hosts.");
      return { ...outcome, timedOut: this.timedOut || undefined };
    } catch (error) {
      for (const { container } of this.instances) container.kill();
      throw error;
    } finally {
      clearTimeout(this.limit);
    }
  }
}
