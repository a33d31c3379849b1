import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { linesOf, signalGroup } from "./processes.ts";

export interface LocalAwsProps {
  /** Python of the environment `aws`. */
  readonly python: string;
  /** Without an app host, apps are in service by themselves. */
  readonly appHost?: string;
  /** Faults from the start. */
  readonly faults?: readonly FaultRule[];
  /** Processing jobs that run at a time. @default as many as there are cores */
  readonly parallelJobs?: number;
  readonly log: string;
  /** @default `src/local-studio/aws/server.py` */
  readonly script?: string;
}

/** `src/local-studio/aws/faults.py` has every member's meaning. */
export interface FaultRule {
  /** Such as `sagemaker:CreateDomain`, `ec2:Delete*` or `*`. */
  readonly operation: string;
  readonly fault: "throttle" | "error" | "expired-token" | "latency";
  readonly after?: number;
  readonly count?: number;
  readonly probability?: number;
  readonly seed?: number;
  readonly seconds?: number;
}

/** What came of a schedule that fired: a job, or the error of its last attempt. */
export interface FiredSchedule {
  readonly ScheduleArn: string;
  readonly ScheduledTime: string;
  readonly ExecutionId: string;
  readonly ProcessingJobArn?: string;
  readonly Error?: string;
}

/** A rule, how many requests were its, and how many of them it broke. */
export interface FaultReport extends FaultRule {
  readonly matched: number;
  readonly broken: number;
}

export interface LocalAws {
  readonly endpoint: string;
  /** What makes an AWS SDK, the AWS CLI or Terraform speak to it. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for one client of the AWS SDK. */
  clientSettings(region?: string): {
    readonly region: string;
    readonly endpoint: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Everything that exists in the account, apart from what accounts have from the start. */
  inventory(): Promise<readonly string[]>;
  /** Puts these rules in place of those before; none end all faults. */
  setFaults(rules: readonly FaultRule[]): Promise<void>;
  faults(): Promise<readonly FaultReport[]>;
  /** Fails a processing job as AWS's own failures do. */
  interruptProcessingJob(name: string): Promise<void>;
  /** Fires a schedule now, whatever its expression says. */
  fireSchedule(name: string, group?: string): Promise<FiredSchedule>;
  /** Fires every schedule that is due after one moment and up to another, as though that time passed. */
  passTime(after: Date, until: Date): Promise<readonly FiredSchedule[]>;
  stop(): Promise<void>;
}

/** Starts `server.py` and waits until it answers; it ends when its standard input closes. */
export async function startLocalAws(props: LocalAwsProps): Promise<LocalAws> {
  const script = props.script ?? join(projectFolder, "src/local-studio/aws/server.py");
  const args = [
    ...[script, "--port", "0"],
    ...(props.appHost ? ["--app-host", props.appHost] : []),
    ...(props.faults ? ["--faults", JSON.stringify(props.faults)] : []),
    ...(props.parallelJobs ? ["--parallel-jobs", String(props.parallelJobs)] : []),
  ];
  const child = spawn(props.python, args, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const log = createWriteStream(props.log);
  child.stderr.pipe(log);
  child.stdin.on("error", () => {});
  const endpoint = await new Promise<string>((resolve, reject) => {
    void linesOf(child.stdout, (line) => {
      const ready = /^\{"endpoint": *"([^"]+)"\}$/.exec(line.trim());
      if (ready?.[1]) resolve(ready[1]);
      else log.write(`${line}\n`);
    });
    child.once("error", reject);
    void exited.then(() =>
      reject(
        new Problem({
          message: `The local AWS ended before it answered (status ${child.exitCode}).`,
          remedy: "see its log",
          log: props.log,
        }),
      ),
    );
  });
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const order = async (path: string, members: unknown): Promise<unknown> => {
    const response = await fetch(`${endpoint}/local-aws/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(members),
    });
    if (!response.ok) throw new TypeError(`The local AWS refuses this:\n${await response.text()}`);
    return response.json();
  };
  return {
    endpoint,
    environment: {
      // An IP address: with a host name, the SDKs would put the bucket's name in front of it.
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    },
    clientSettings: (region = "us-east-1") => ({ region, endpoint, credentials }),
    inventory: async () => (await (await fetch(`${endpoint}/local-aws/inventory`)).json()) as string[],
    setFaults: async (rules) => void (await order("faults", rules)),
    faults: async () => (await (await fetch(`${endpoint}/local-aws/faults`)).json()) as FaultReport[],
    interruptProcessingJob: async (ProcessingJobName) =>
      void (await order("processing-jobs/interrupt", { ProcessingJobName })),
    fireSchedule: async (Name, GroupName = "default") =>
      (await order("schedules/fire", { Name, GroupName })) as FiredSchedule,
    passTime: async (after, until) => {
      const members = { After: after.toISOString(), Until: until.toISOString() };
      return ((await order("schedules/pass-time", members)) as { Fired: FiredSchedule[] }).Fired;
    },
    stop: async () => {
      child.stdin.end();
      const timer = setTimeout(() => signalGroup(child, "SIGKILL"), 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}
