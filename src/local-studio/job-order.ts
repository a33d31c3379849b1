/** The body of POST /jobs: a processing or a training job. All paths are the container's. */
export interface JobOrder {
  readonly name: string;
  readonly arn: string;
  readonly region: string;
  /** Variables of the session of the job's role, with `--iam`. @default the rehearsal's own */
  readonly credentials?: Readonly<Record<string, string>> | undefined;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Time limit of the command. */
  readonly seconds: number;
  /** The instances. Each runs the command in its own container. */
  readonly hosts: readonly JobHost[];
  readonly inputs: readonly JobInput[];
  readonly outputs: readonly JobOutput[];
  /** Folders that belong to root on AWS: the command must use sudo before it can write to them. */
  readonly ownedByRoot: readonly string[];
  /** The file in which the command leaves its message. */
  readonly message: string;
}

export interface JobHost {
  /** It also names the host's log stream. */
  readonly name: string;
  /** The text of each configuration file by its path. */
  readonly files: Readonly<Record<string, string>>;
}

interface S3Place {
  readonly uri: string;
  readonly path: string;
}

export interface JobInput extends S3Place {
  /** Whether the job runs without any object. */
  readonly optional: boolean;
}

export interface JobOutput extends S3Place {
  /** `completed`: only if the command succeeds. */
  readonly when: "continuously" | "completed" | "ended";
  /** Whether `uri` becomes one object, a tar file compressed by gzip. */
  readonly archive: boolean;
  /** KMS key of the objects. @default the bucket's */
  readonly keyId?: string | undefined;
}

export type JobEvent =
  | { readonly accepted: true }
  | { readonly downloading: true }
  | { readonly started: true }
  | { readonly host: string; readonly lines: readonly LogLine[] }
  /** The time limit was reached. The container gets SIGTERM. */
  | { readonly stopping: true }
  | { readonly uploading: true }
  | { readonly outcome: JobOutcome };

export interface LogLine {
  readonly timestamp: number;
  readonly message: string;
}

export interface JobOutcome {
  readonly exitCode?: number | undefined;
  readonly timedOut?: boolean | undefined;
  readonly failureReason?: string | undefined;
  readonly exitMessage?: string | undefined;
}
