import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { ListPipelineExecutionStepsCommand, ListPipelineExecutionsCommand } from "@aws-sdk/client-sagemaker";
import { projectFolder } from "../../src/cli/paths.ts";
import { linesOf } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { jobEntrypoint } from "../../src/settings/names.ts";
import { bucket, type Jobs } from "./jobs-fixture.ts";
import { objectsOf, realPayload } from "./space-fixture.ts";

const payloadSha256 = { own: "", shared: "" };
const python = join(projectFolder, "src/space/payload/python");

/** Uploads the payload `own`, and the payload `shared` in which all jobs use one virtual environment of marimo. */
export async function uploadPayloads(jobs: Jobs, folder: string): Promise<void> {
  const files: Readonly<Record<string, string | Buffer>> = {
    ...realPayload(),
    "settings.env": "MARIMO_TRANSPORT=auto\n",
  };
  // For a resume, which reads the deployment's settings.
  await jobs.provide({});
  payloadSha256.own = await jobs.putVerified("marimo/payload/own", objectsOf(files));
  const { python } = await pythonEnvironment("image");
  let run = files["job/run.sh"]?.toString() ?? "";
  for (const [own, shared] of [
    // The Python in the job's own prefix is removed with the job.
    [/^python=.*$/m, `python="${python}"`],
    [/"\$\(mktemp -d\)"/, `"${folder}/state"; mkdir -p "$MARIMO_STATE"`],
    // job_run.py would remove the folder.
    [/^export MARIMO_STATE$/m, ":"],
    [
      /run_interruptibly build/,
      '{ flock 9; [[ -f "$environment/.built" ]] || { build && link_image_packages && : >"$environment/.built"; }; } 9>>"$MARIMO_STATE/lock"',
    ],
  ] as const) {
    if (!own.test(run)) throw new Error(`run.sh has no ${own}`);
    run = run.replace(own, () => shared);
  }
  payloadSha256.shared = await jobs.putVerified(
    "marimo/payload/shared",
    objectsOf({ ...files, "job/run.sh": run }),
  );
}

/** Creates the request of a single job with these sources. The first one is the notebook. */
export async function jobRequest(
  jobs: Jobs,
  payload: "own" | "shared",
  sources: Readonly<Record<string, string>>,
) {
  const prefix = `people/ana/job-sources/${randomUUID()}`;
  const sourceSha256 = await jobs.putVerified(prefix, sources);
  const input = (InputName: string, below: string) => ({
    InputName,
    S3Input: {
      S3Uri: `s3://${bucket}/${below}/`,
      LocalPath: `/opt/ml/processing/input/${InputName}`,
      S3DataType: "S3Prefix",
      S3InputMode: "File",
      S3DataDistributionType: "FullyReplicated",
    },
  });
  const { ProcessingJobName, ...request } = await jobs.request("");
  return {
    ...request,
    AppSpecification: {
      ...request.AppSpecification,
      ContainerEntrypoint: [...jobEntrypoint, "/opt/ml/processing/input/runtime/job/run.sh"],
      ContainerArguments: [Object.keys(sources)[0]],
    },
    Environment: {
      ...{ AWS_DEFAULT_REGION: "us-east-1", AWS_REGION: "us-east-1", MARIMO_BUCKET: bucket },
      ...{ MARIMO_PAYLOAD_SHA256: payloadSha256[payload], MARIMO_SOURCE_SHA256: sourceSha256 },
    },
    ProcessingInputs: [input("runtime", `marimo/payload/${payload}`), input("source", prefix)],
  };
}

export interface Plan {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly [member: string]: unknown;
}

/** What the client starts: a plan, with the request of a single job. */
export const order = (request: Awaited<ReturnType<typeof jobRequest>>, own: Plan) => ({
  request,
  plan: plan(request, own),
});

const plan = (request: Awaited<ReturnType<typeof jobRequest>>, own: Plan) => ({
  prefix: "marimo-dev",
  job: {
    notebook: request.AppSpecification.ContainerArguments[0],
    ...{ arguments: [], instance: "ml.m5.large", minutes: 5, volume_gb: 30 },
  },
  source: request.Environment.MARIMO_SOURCE_SHA256,
  arguments: [],
  parallel: 4,
  attempts: 3,
  minutes: 5,
  table: "result.csv",
  then_notebook: null,
  hourly: 0.115,
  ...own,
});

export interface Client {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** The exit status, or `null` if a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** Starts the client of the benchmark. */
export async function client(jobs: Jobs, folder: string, order: object): Promise<Client> {
  const image = await pythonEnvironment("image");
  const child = spawn(
    image.python,
    [join(projectFolder, "scripts/bench/sweep_client.py"), JSON.stringify({ bucket, folder, ...order })],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env.PATH,
        AWS_DEFAULT_REGION: "us-east-1",
        PYTHONPATH: python,
        PYTHONDONTWRITEBYTECODE: "1",
        ...jobs.localAws.environment,
      },
    },
  );
  const lines: string[] = [];
  const reading = linesOf(child.stderr, (line) => lines.push(line));
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  return { child, lines, ended: Promise.all([ended, reading]).then(([code]) => code) };
}

/** Returns the steps of a pipeline's only execution. */
export async function steps(jobs: Jobs, PipelineName: string) {
  const { PipelineExecutionSummaries } = await jobs.sagemaker.send(
    new ListPipelineExecutionsCommand({ PipelineName }),
  );
  const [execution] = PipelineExecutionSummaries ?? [];
  const { PipelineExecutionSteps } = await jobs.sagemaker.send(
    new ListPipelineExecutionStepsCommand({
      PipelineExecutionArn: execution?.PipelineExecutionArn,
      MaxResults: 100,
    }),
  );
  return (PipelineExecutionSteps ?? []).map(({ StepName = "", StepStatus, Metadata }) => ({
    name: StepName,
    status: StepStatus,
    job: Metadata?.ProcessingJob?.Arn?.split("/")[1] ?? "",
  }));
}
