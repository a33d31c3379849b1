import { jobEntrypoint, secretVariable } from "../../settings/names.ts";
import { hasGpu, hasLocalStorage } from "../../settings/processing.ts";
import type { VerifiedFolder } from "../storage/checksums.ts";

/** Where an environment's jobs run, and the key of their volumes and outputs. */
export interface JobPlacement {
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
  readonly encryptionKeyArn: string;
}

/** What all jobs of an environment have in common. */
export interface JobDefaults extends JobPlacement {
  readonly region: string;
  readonly bucketName: string;
  readonly roleArn: string;
  readonly imageUri: string;
  /** Image of jobs on instance types with a GPU. */
  readonly gpuImageUri: string;
  readonly volumeGb: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface ProcessingJob {
  readonly name: string;
  readonly instanceType: string;
  readonly timeLimitMinutes: number;
  /** Its `job/run.sh` runs the notebook. */
  readonly payload: VerifiedFolder;
  /** The notebook and its files. */
  readonly source: VerifiedFolder;
  /** Where in the bucket its page, files and outcome go. */
  readonly outputPrefix: string;
  /** Prefix of the data of whose job it is: a user's, or everybody's. */
  readonly dataPrefix: string;
  /** Athena workgroup of whose job it is. @default none */
  readonly workgroup?: string | undefined;
  /** File name of the notebook. */
  readonly notebook: string;
  readonly arguments: readonly string[];
  /** ARNs of secrets, by the environment variable that the notebook gets each in. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Beside those of the environment. */
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The request of CreateProcessingJob (SageMaker API). `marimo-job` makes the same one in
 * `src/space/payload/python/sagemaker_marimo/jobs/request.py`.
 */
export function processingJobRequest(defaults: JobDefaults, job: ProcessingJob) {
  const { bucketName, encryptionKeyArn, region } = defaults;
  const { instanceType } = job;
  const uri = (prefix: string) => `s3://${bucketName}/${prefix}`;
  const input = (name: string, prefix: string) => ({
    InputName: name,
    S3Input: {
      S3Uri: uri(`${prefix}/`),
      LocalPath: `/opt/ml/processing/input/${name}`,
      S3DataType: "S3Prefix",
      S3InputMode: "File",
      S3DataDistributionType: "FullyReplicated",
    },
  });
  return {
    ProcessingJobName: job.name,
    RoleArn: defaults.roleArn,
    AppSpecification: {
      ImageUri: hasGpu(instanceType) ? defaults.gpuImageUri : defaults.imageUri,
      ContainerEntrypoint: [...jobEntrypoint, "/opt/ml/processing/input/runtime/job/run.sh"],
      ContainerArguments: [job.notebook, ...job.arguments],
    },
    ProcessingInputs: [input("runtime", job.payload.prefix), input("source", job.source.prefix)],
    ProcessingOutputConfig: {
      KmsKeyId: encryptionKeyArn,
      Outputs: [
        {
          OutputName: "result",
          S3Output: {
            S3Uri: uri(job.outputPrefix),
            LocalPath: "/opt/ml/processing/output",
            S3UploadMode: "Continuous",
          },
        },
      ],
    },
    ProcessingResources: {
      ClusterConfig: {
        InstanceCount: 1,
        InstanceType: instanceType,
        VolumeSizeInGB: defaults.volumeGb,
        VolumeKmsKeyId: hasLocalStorage(instanceType) ? undefined : encryptionKeyArn,
      },
    },
    NetworkConfig: {
      VpcConfig: { Subnets: [...defaults.subnetIds], SecurityGroupIds: [...defaults.securityGroupIds] },
    },
    StoppingCondition: { MaxRuntimeInSeconds: job.timeLimitMinutes * 60 },
    Environment: {
      // SageMaker tells a job no region.
      AWS_DEFAULT_REGION: region,
      AWS_REGION: region,
      MARIMO_BUCKET: bucketName,
      MARIMO_PAYLOAD_SHA256: job.payload.sha256,
      MARIMO_SOURCE_SHA256: job.source.sha256,
      MARIMO_JOB_OUTPUT: uri(job.outputPrefix),
      MARIMO_PREFIX: uri(job.dataPrefix),
      ...(job.workgroup === undefined
        ? {}
        : { MARIMO_ATHENA_WORKGROUP: job.workgroup, AWS_ATHENA_WORK_GROUP: job.workgroup }),
      // job_run.py replaces each by a variable with the secret's value.
      ...Object.fromEntries(
        Object.entries(job.secrets).map(([name, arn]) => [`${secretVariable}${name}`, arn]),
      ),
    },
    Tags: Object.entries({ ...defaults.tags, ...job.tags }).map(([Key, Value]) => ({ Key, Value })),
  };
}
