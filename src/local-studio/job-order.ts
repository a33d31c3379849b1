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
  /** The text of each configuration file by its path. */
  readonly files: Readonly<Record<string, string>>;
  readonly inputs: readonly JobInput[];
  readonly outputs: readonly JobOutput[];
  /** The file in which the command leaves its message. */
  readonly message: string;
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
  | { readonly lines: readonly LogLine[] }
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
