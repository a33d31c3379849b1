import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { dirname, join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { linesOf, signalGroup } from "../cli/processes.ts";
import { keptRemedy } from "./kept-folder.ts";

/** The address of the app host and the token that authenticates the control plane of the local AWS. */
export interface AppHostAddress {
  readonly url: string;
  /** A bearer token. Each app host creates a new one. */
  readonly token: string;
}

export interface LocalAwsProps {
  /** Python of the virtual environment `aws`. */
  readonly python: string;
  /**
   * Without an app host, apps become InService without running. With an app host, requests run commands on this
   * machine, so only requests with the access key of `environment` are accepted.
   */
  readonly appHost?: AppHostAddress | undefined;
  /** The initial faults. */
  readonly faults?: readonly FaultRule[] | undefined;
  /** Maximum number of processing jobs that run at the same time. @default the number of CPU cores */
  readonly parallelJobs?: number | undefined;
  /** Holds the requests of apps, jobs and other sessions of roles to the roles' policies. @default false */
  readonly iam?: boolean | undefined;
  readonly log: string;
  /** Snapshot file: the local AWS loads its state from it, if it exists, and saves its state to it. @default none */
  readonly keep?: string | undefined;
  /** @default `src/local-studio/aws/server.py` */
  readonly script?: string | undefined;
}

/** `src/local-studio/aws/faults.py` documents the members. */
export interface FaultRule {
  /** For example `sagemaker:CreateDomain`, `ec2:Delete*` or `*`. */
  readonly operation: string;
  readonly fault:
    | "throttle"
    | "error"
    | "expired-token"
    | "access-denied"
    | "not-subscribed"
    | "no-use-case-form"
    | "latency";
  readonly after?: number | undefined;
  readonly count?: number | undefined;
  readonly probability?: number | undefined;
  readonly seed?: number | undefined;
  readonly seconds?: number | undefined;
}

/** Result of an invocation of a schedule: a job or a pipeline's execution, or the error of the last attempt. */
export interface FiredSchedule {
  readonly ScheduleArn: string;
  readonly ScheduledTime: string;
  readonly ExecutionId: string;
  readonly ProcessingJobArn?: string;
  readonly PipelineExecutionArn?: string;
  readonly Error?: string;
}

/** A rule, the number of requests that matched it, and the number of those that failed. */
export interface FaultReport extends FaultRule {
  readonly matched: number;
  readonly broken: number;
}

/** A line of the bill. */
export interface CannedCost {
  /** Such as `2026-11-03`. */
  readonly Date: string;
  readonly Service: string;
  readonly UsageType: string;
  /** US dollars. */
  readonly Amount: string;
  readonly Tags: Readonly<Record<string, string>>;
}

export interface LocalAws {
  readonly endpoint: string;
  /** Variables that point the AWS SDKs, the AWS CLI and Terraform to it. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for one client of the AWS SDK. */
  clientSettings(region?: string): {
    readonly region: string;
    readonly endpoint: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Lists the resources in the account, except those that every account has. */
  inventory(): Promise<readonly string[]>;
  /** Replaces the fault rules. An empty list ends all faults. */
  setFaults(rules: readonly FaultRule[]): Promise<void>;
  faults(): Promise<readonly FaultReport[]>;
  /** Replaces the costs that Cost Explorer answers with. It knows tags only by the keys in `activeTags`. */
  setCosts(costs: readonly CannedCost[], activeTags: readonly string[]): Promise<void>;
  /** Fails a processing job with an internal error of AWS. */
  interruptProcessingJob(name: string): Promise<void>;
  /** Takes the Spot instances of a training job, which gets others after these seconds. @default 0 seconds */
  interruptTrainingJob(name: string, seconds?: number): Promise<void>;
  /** Limits the instances in warm pools. 0 is the quota of a new account. @default no limit */
  setWarmPoolQuota(instances: number): Promise<void>;
  /** Invokes a schedule now, independent of its expression. */
  fireSchedule(name: string, group?: string): Promise<FiredSchedule>;
  /** Invokes every schedule that is due after the first and up to the second time, as if that time had passed. */
  passTime(after: Date, until: Date): Promise<readonly FiredSchedule[]>;
  stop(): Promise<void>;
}

/** Starts `server.py` and waits until it is ready. The server exits when its standard input is closed. */
export async function startLocalAws(props: LocalAwsProps): Promise<LocalAws> {
  const script = props.script ?? join(projectFolder, "src/local-studio/aws/server.py");
  const args = [
    ...[script, "--port", "0"],
    ...(props.appHost ? ["--app-host", props.appHost.url] : []),
    ...(props.faults ? ["--faults", JSON.stringify(props.faults)] : []),
    ...(props.iam ? ["--iam"] : []),
    ...(props.keep ? ["--keep", props.keep] : []),
    ...(props.parallelJobs ? ["--parallel-jobs", String(props.parallelJobs)] : []),
  ];
  const accessKeyId = props.appHost ? `LOCAL${randomBytes(16).toString("hex").toUpperCase()}` : "test";
  const token = props.appHost?.token ?? randomBytes(32).toString("base64url");
  const child = spawn(props.python, args, {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    // Not in the arguments, which every user of this machine can read.
    env: {
      ...process.env,
      LOCAL_STUDIO_TOKEN: token,
      LOCAL_STUDIO_KEY: props.appHost ? accessKeyId : undefined,
    },
  });
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const log = createWriteStream(props.log).on("error", () => {}); // a full disk must not end the rehearsal
  child.stderr.pipe(log);
  let lastLine = "";
  void linesOf(child.stderr, (line) => {
    lastLine = line;
  });
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
          message: `The local AWS exited with status ${child.exitCode} before it was ready: ${lastLine}`,
          remedy: props.keep ? keptRemedy(dirname(props.keep)) : "read its log",
          log: props.log,
        }),
      ),
    );
  });
  const credentials = { accessKeyId, secretAccessKey: "test" };
  const post = async (path: string, members: unknown): Promise<unknown> => {
    const response = await fetch(`${endpoint}/local-aws/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(members),
    });
    if (!response.ok) throw new TypeError(`The local AWS rejected the request:\n${await response.text()}`);
    return response.json();
  };
  return {
    endpoint,
    environment: {
      // An IP address, because the SDKs prepend the bucket name to a host name.
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    },
    clientSettings: (region = "us-east-1") => ({ region, endpoint, credentials }),
    inventory: async () => (await (await fetch(`${endpoint}/local-aws/inventory`)).json()) as string[],
    setFaults: async (rules) => void (await post("faults", rules)),
    faults: async () => (await (await fetch(`${endpoint}/local-aws/faults`)).json()) as FaultReport[],
    setCosts: async (Costs, ActiveTags) => void (await post("costs", { Costs, ActiveTags })),
    interruptProcessingJob: async (ProcessingJobName) =>
      void (await post("processing-jobs/interrupt", { ProcessingJobName })),
    interruptTrainingJob: async (TrainingJobName, Seconds = 0) =>
      void (await post("training-jobs/interrupt", { TrainingJobName, Seconds })),
    setWarmPoolQuota: async (Instances) => void (await post("warm-pools/quota", { Instances })),
    fireSchedule: async (Name, GroupName = "default") =>
      (await post("schedules/fire", { Name, GroupName })) as FiredSchedule,
    passTime: async (after, until) => {
      const members = { After: after.toISOString(), Until: until.toISOString() };
      return ((await post("schedules/pass-time", members)) as { Fired: FiredSchedule[] }).Fired;
    },
    stop: async () => {
      child.stdin.end();
      const timer = setTimeout(() => signalGroup(child, "SIGKILL"), props.keep ? 30_000 : 5000);
      await exited;
      clearTimeout(timer);
      if (props.keep && child.exitCode !== 0) {
        const message = `The local AWS could not save its state to ${props.keep}: ${lastLine}`;
        throw new Problem({
          message,
          remedy: "read its log; the previous save is unchanged",
          log: props.log,
        });
      }
    },
  };
}
