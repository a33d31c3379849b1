import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import {
  CreateTrainingJobCommand,
  type CreateTrainingJobCommandInput,
  DescribeTrainingJobCommand,
  type DescribeTrainingJobCommandOutput,
  StopTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import { capture } from "../../src/cli/processes.ts";
import { bucket, Jobs, role } from "./jobs-fixture.ts";
import { patience } from "./patience.ts";

type Job = DescribeTrainingJobCommandOutput;
type Changes = Partial<Omit<CreateTrainingJobCommandInput, "TrainingJobName">>;

/** A local AWS that runs training jobs. */
export class TrainingJobs {
  readonly jobs: Jobs;
  private readonly folder = mkdtempSync(join(tmpdir(), "training-jobs-"));
  private number = 0;

  private constructor(jobs: Jobs) {
    this.jobs = jobs;
  }

  static async start(): Promise<TrainingJobs> {
    return new TrainingJobs(await Jobs.start({ parallelJobs: 2 }, { jobGraceSeconds: 1 }));
  }

  async close(): Promise<void> {
    await this.jobs.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A training job that runs a shell script of its channel `code`. `$ml` is /opt/ml. */
  async request(script: string, changes: Changes = {}) {
    this.number += 1;
    const TrainingJobName = `Train-${this.number}`;
    await this.jobs.put(`sources/${TrainingJobName}/run.sh`, `ml=\${0%/input/data/code/*}\n${script}`);
    const S3Uri = `s3://${bucket}/sources/${TrainingJobName}/`;
    return {
      TrainingJobName,
      RoleArn: role,
      AlgorithmSpecification: {
        TrainingImage: "image",
        TrainingInputMode: "File",
        ContainerEntrypoint: ["/bin/bash", "/opt/ml/input/data/code/run.sh"],
        MetricDefinitions: [
          { Name: "loss", Regex: "loss=([0-9.]+)" },
          { Name: "text", Regex: "loss=(.)x" },
        ],
      },
      InputDataConfig: [
        { ChannelName: "code", DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri } } },
      ],
      OutputDataConfig: { S3OutputPath: `s3://${bucket}/models/` },
      ResourceConfig: { InstanceType: "ml.m5.large", InstanceCount: 1, VolumeSizeInGB: 30 },
      StoppingCondition: { MaxRuntimeInSeconds: 3600 },
      ...changes,
    } satisfies CreateTrainingJobCommandInput;
  }

  send(one: CreateTrainingJobCommandInput) {
    return this.jobs.sagemaker.send(new CreateTrainingJobCommand(one));
  }

  /** Creates a job and returns its name. */
  async create(script: string, changes: Changes = {}): Promise<string> {
    const one = await this.request(script, changes);
    await this.send(one);
    return one.TrainingJobName;
  }

  look(TrainingJobName: string): Promise<Job> {
    return this.jobs.sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName }));
  }

  /** Waits for a condition and returns the job. */
  async until(name: string, condition: (job: Job) => boolean): Promise<Job> {
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(50)) {
      const job = await this.look(name);
      if (condition(job)) return job;
    }
    throw new Error(`The condition was not met for ${name}: ${JSON.stringify(await this.look(name))}`);
  }

  async end(name: string): Promise<Job> {
    return this.until(name, (job) => /^(Completed|Failed|Stopped)$/.test(job.TrainingJobStatus ?? ""));
  }

  async run(script: string, changes: Changes = {}): Promise<Job> {
    return this.end(await this.create(script, changes));
  }

  stop(TrainingJobName: string) {
    return this.jobs.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName }));
  }

  log(name: string, host?: string): Promise<string[]> {
    return this.jobs.log(name, "TrainingJobs", host);
  }

  /** The text of a file in a tar file of the bucket. */
  async unpacked(key: string, file: string): Promise<string | undefined> {
    const { Body } = await this.jobs.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const archive = join(this.folder, "archive.tar.gz");
    writeFileSync(archive, (await Body?.transformToByteArray()) ?? "");
    return (await capture("tar", ["-xzOf", archive, file]))?.stdout;
  }
}

export const statuses = ({ SecondaryStatusTransitions }: Job) =>
  SecondaryStatusTransitions?.map(({ Status }) => Status);
