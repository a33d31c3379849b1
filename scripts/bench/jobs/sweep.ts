import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { paginateListProcessingJobs, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { projectFolder } from "../../../src/cli/paths.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { jobEntrypoint } from "../../../src/settings/names.ts";
import { bucket, payload, payloadList, role, type Setup, sources } from "./setup.ts";

/** The output of sweep_client.py. */
interface Client {
  readonly seconds: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly peakKiB: number;
}

export interface Sweep {
  /** Seconds that the client takes to submit, follow, gather and fetch. */
  readonly seconds: number;
  /** Seconds from the first job's creation to the last one's end. */
  readonly jobs: number;
  readonly requests: number;
  readonly peakMiB: number;
}

const input = (InputName: string, prefix: string) => ({
  InputName,
  S3Input: {
    S3Uri: `s3://${bucket}/${prefix}/`,
    LocalPath: `/opt/ml/processing/input/${InputName}`,
    S3DataType: "S3Prefix",
    S3InputMode: "File",
  },
});

/** The request of a single job. */
const request = {
  RoleArn: role,
  AppSpecification: {
    ImageUri: "image",
    ContainerEntrypoint: [...jobEntrypoint, "/opt/ml/processing/input/runtime/job/run.sh"],
    ContainerArguments: ["trivial.py"],
  },
  ProcessingResources: {
    ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
  },
  ProcessingInputs: [input("runtime", payload), input("source", sources)],
  ProcessingOutputConfig: {
    Outputs: [
      {
        OutputName: "result",
        S3Output: { S3Uri: "", LocalPath: "/opt/ml/processing/output", S3UploadMode: "EndOfJob" },
      },
    ],
  },
  Environment: { MARIMO_PAYLOAD_SHA256: payloadList.sha256 },
};

async function runClient({ python, localAws, signal }: Setup, order: object): Promise<Client> {
  const { status, stdout, stderr } = await runProgram({
    command: [python, join(projectFolder, "scripts/bench/sweep_client.py"), JSON.stringify(order)],
    cwd: projectFolder,
    environment: {
      PATH: process.env.PATH,
      PYTHONPATH: join(projectFolder, "src/space/payload/python"),
      PYTHONDONTWRITEBYTECODE: "1",
      AWS_DEFAULT_REGION: "us-east-1",
      ...localAws.environment,
    },
    signal,
  });
  if (status !== 0) throw new Error(`the client failed with status ${status}:\n${stderr}`);
  return JSON.parse(stdout) as Client;
}

export async function runSweep(setup: Setup, rows: number, name: string): Promise<Sweep> {
  const { localAws, folder } = setup;
  const plan = {
    ...{ name, prefix: "marimo-bench", source: "", columns: ["n"], arguments: [] },
    job: { notebook: "trivial.py", arguments: [], instance: "ml.m5.large", minutes: 1, volume_gb: 30 },
    ...{ parallel: 8, attempts: 1, minutes: 1, table: "result.csv", then_notebook: null, hourly: 0.115 },
    rows: Array.from({ length: rows }, (_, index) => [String(index + 1)]),
  };
  const client = await runClient(setup, { plan, request, bucket, folder });
  const gathered = (await readFile(join(folder, name, "table.csv"), "utf8")).trimEnd().split("\n").length - 1;
  if (gathered !== rows) throw new Error(`the table has ${gathered} of ${rows} rows`);
  const times: number[] = [];
  const sagemaker = new SageMakerClient(localAws.clientSettings());
  const pages = paginateListProcessingJobs(
    { client: sagemaker, pageSize: 100 },
    { NameContains: `marimo-bench-${name}-` },
  );
  for await (const { ProcessingJobSummaries = [] } of pages)
    for (const { CreationTime, ProcessingEndTime } of ProcessingJobSummaries)
      times.push(CreationTime?.getTime() ?? Number.NaN, ProcessingEndTime?.getTime() ?? Number.NaN);
  if (times.length !== 2 * rows) throw new Error(`${times.length / 2} jobs for ${rows} rows`);
  return {
    seconds: client.seconds,
    jobs: (Math.max(...times) - Math.min(...times)) / 1000,
    requests: Object.values(client.requests).reduce((sum, count) => sum + count, 0),
    peakMiB: client.peakKiB / 1024,
  };
}
