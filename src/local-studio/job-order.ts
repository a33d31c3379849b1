/** The body of POST /jobs. */
export interface JobOrder {
  readonly name: string;
  readonly arn: string;
  readonly region: string;
  /** Variables of the session of the job's role, with `--iam`. @default the rehearsal's own */
  readonly credentials?: Readonly<Record<string, string>> | undefined;
  readonly configuration: JobConfiguration;
}

/** The parts of the CreateProcessingJob request that are used here. */
export interface JobConfiguration {
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
  readonly exitCode?: number | undefined;
  readonly timedOut?: boolean | undefined;
  readonly failureReason?: string | undefined;
  readonly exitMessage?: string | undefined;
}
