import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateProcessingJobCommand,
  type CreateProcessingJobCommandInput,
  DescribeProcessingJobCommand,
  type DescribeProcessingJobCommandOutput,
  paginateListProcessingJobs,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { jobSettings } from "../../scripts/bench/job-settings.ts";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { AppHost } from "../../src/local-studio/app-host.ts";
import type { JobRuntime } from "../../src/local-studio/job-container.ts";
import { type LocalAws, type LocalAwsProps, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { checksums } from "../../src/settings/names.ts";
import { checksumsOf, sha256 } from "../../src/stack/storage/checksums.ts";
import { patience } from "./patience.ts";
import { bucket, objectsOf } from "./space-fixture.ts";

export type JobRequest = CreateProcessingJobCommandInput & { readonly ProcessingJobName: string };
type Changes = Omit<Partial<CreateProcessingJobCommandInput>, "ProcessingJobName">;

export { bucket };
export const role = "arn:aws:iam::123456789012:role/jobs";

/** A local AWS with an app host that runs jobs, and with a bucket and a role for the jobs. */
export class Jobs {
  readonly localAws: LocalAws;
  readonly appHost: AppHost;
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
  private readonly logs: CloudWatchLogsClient;
  private readonly folder: string;
  private number = 0;

  private constructor(folder: string, localAws: LocalAws, appHost: AppHost) {
    this.folder = folder;
    this.localAws = localAws;
    this.appHost = appHost;
    const settings = { ...localAws.clientSettings(), maxAttempts: 1 };
    this.sagemaker = new SageMakerClient(settings);
    this.s3 = new S3Client(settings);
    this.logs = new CloudWatchLogsClient(settings);
  }

  static async start(
    props: Partial<LocalAwsProps> = {},
    runtime: Partial<JobRuntime> = {},
    withAppHost = true,
  ): Promise<Jobs> {
    mkdirSync(workFolder, { recursive: true });
    const folder = mkdtempSync(join(workFolder, "test-jobs-"));
    const [aws, image] = await Promise.all([pythonEnvironment("aws"), pythonEnvironment("image")]);
    let localAws: LocalAws | undefined;
    const appHost = new AppHost({
      folder: join(folder, "host"),
      logs: folder,
      faults: {},
      runtime: () => ({
        python: image.python,
        environment: { ...networkSettings(process.env), ...localAws?.environment },
        ...runtime,
      }),
    });
    localAws = await startLocalAws({
      python: aws.python,
      appHost: withAppHost ? await appHost.start() : undefined,
      log: join(folder, "local-aws.log"),
      ...props,
    });
    const jobs = new Jobs(folder, localAws, appHost);
    await jobs.s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const trust = {
      Effect: "Allow",
      Principal: { Service: "sagemaker.amazonaws.com" },
      Action: "sts:AssumeRole",
    };
    await new IAMClient(jobs.localAws.clientSettings()).send(
      new CreateRoleCommand({
        RoleName: "jobs",
        AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
      }),
    );
    return jobs;
  }

  /** Parent folder of the folders of running jobs. */
  get folders(): string {
    return join(this.folder, "host/jobs");
  }

  async stop(): Promise<void> {
    await this.appHost.close();
    await this.localAws.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async put(key: string, body: string): Promise<void> {
    await this.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  }

  /** Uploads a folder with the list of its files. Returns the list's SHA-256, which belongs into a job's request. */
  async putVerified(prefix: string, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
    const texts = Object.entries(files).map(([path, content]) => [path, content.toString()] as const);
    const list = checksumsOf(texts.map(([path, text]) => ({ path, sha256: sha256(text) })));
    await Promise.all(
      [...texts, [checksums, list.text] as const].map(([path, text]) => this.put(`${prefix}/${path}`, text)),
    );
    return list.sha256;
  }

  /** Uploads what Terraform uploads for `marimo-job`: the payload, the pointer to it, and jobs.json. */
  async provide(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
    const payload = "0123456789abcdef";
    const { localAws } = this;
    const jobs = await jobSettings({ localAws, environment: "dev", bucket, roleArn: role });
    const sha256 = await this.putVerified(`marimo/payload/${payload}`, objectsOf(files));
    await Promise.all([
      this.put("marimo/payload/current", `${sha256}  ${payload}\n`),
      this.put("marimo/payload/jobs.json", JSON.stringify(jobs)),
    ]);
  }

  /** The text of an object, or `undefined` if it does not exist. */
  async get(key: string): Promise<string | undefined> {
    try {
      const { Body } = await this.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return await Body?.transformToString();
    } catch (error) {
      if (error instanceof Error && error.name === "NoSuchKey") return undefined;
      throw error;
    }
  }

  /** Creates the request of a job that runs a shell script. Its input `source` is in `sources/NAME/`. */
  async request(script: string, changes: Changes = {}): Promise<JobRequest> {
    this.number += 1;
    const name = `job-${this.number}`;
    await this.put(`sources/${name}/run.sh`, script);
    return {
      ProcessingJobName: name,
      RoleArn: role,
      AppSpecification: {
        ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
        ContainerEntrypoint: ["/bin/bash", "/opt/ml/processing/input/source/run.sh"],
      },
      ProcessingResources: {
        ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
      },
      ProcessingInputs: [
        {
          InputName: "source",
          S3Input: {
            S3Uri: `s3://${bucket}/sources/${name}/`,
            LocalPath: "/opt/ml/processing/input/source",
            S3DataType: "S3Prefix",
            S3InputMode: "File",
            S3DataDistributionType: "FullyReplicated",
          },
        },
      ],
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: "result",
            S3Output: {
              S3Uri: `s3://${bucket}/results/${name}`,
              LocalPath: "/opt/ml/processing/output",
              S3UploadMode: "EndOfJob",
            },
          },
        ],
      },
      ...changes,
    };
  }

  /** Creates a job and returns its name. */
  async create(script: string, changes: Changes = {}): Promise<string> {
    const request = await this.request(script, changes);
    await this.sagemaker.send(new CreateProcessingJobCommand(request));
    return request.ProcessingJobName;
  }

  async describe(name: string): Promise<DescribeProcessingJobCommandOutput> {
    return this.sagemaker.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }));
  }

  /** Lists the names of the jobs whose names contain a text. */
  async list(NameContains: string): Promise<string[]> {
    const names: string[] = [];
    for await (const page of paginateListProcessingJobs({ client: this.sagemaker }, { NameContains })) {
      names.push(...(page.ProcessingJobSummaries ?? []).map((job) => job.ProcessingJobName ?? ""));
    }
    return names;
  }

  /** Waits for a condition and returns the job. */
  async until(
    name: string,
    condition: (job: DescribeProcessingJobCommandOutput) => boolean,
  ): Promise<DescribeProcessingJobCommandOutput> {
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(50)) {
      const job = await this.describe(name);
      if (condition(job)) return job;
    }
    throw new Error(`The condition was not met for ${name}: ${JSON.stringify(await this.describe(name))}`);
  }

  async end(name: string): Promise<DescribeProcessingJobCommandOutput> {
    return this.until(name, (job) =>
      ["Completed", "Failed", "Stopped"].includes(job.ProcessingJobStatus ?? ""),
    );
  }

  async run(script: string, changes: Changes = {}): Promise<DescribeProcessingJobCommandOutput> {
    return this.end(await this.create(script, changes));
  }

  /** The lines of the log of one of the job's hosts. */
  async log(
    name: string,
    kind: "ProcessingJobs" | "TrainingJobs" = "ProcessingJobs",
    host = "algo-1",
  ): Promise<string[]> {
    const logGroupName = `/aws/sagemaker/${kind}`;
    const { logStreams } = await this.logs.send(
      new DescribeLogStreamsCommand({ logGroupName, logStreamNamePrefix: `${name}/${host}-` }),
    );
    const [stream] = logStreams ?? [];
    if (stream?.logStreamName === undefined) return [];
    const { events } = await this.logs.send(
      new GetLogEventsCommand({ logGroupName, logStreamName: stream.logStreamName, startFromHead: true }),
    );
    return (events ?? []).map(({ message }) => message ?? "");
  }
}
