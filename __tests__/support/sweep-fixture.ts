import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { ListPipelineExecutionStepsCommand, ListPipelineExecutionsCommand } from "@aws-sdk/client-sagemaker";
import { projectFolder } from "../../src/cli/paths.ts";
import { linesOf } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { bucket, type Jobs, role } from "./jobs-fixture.ts";
import { realPayload } from "./space-fixture.ts";

const python = join(projectFolder, "src/space/payload/python");

/** Uploads the payload `own`, and the payload `shared` in which all jobs use one virtual environment of marimo. */
export async function uploadPayloads(jobs: Jobs, folder: string): Promise<void> {
  const files: Readonly<Record<string, string | Buffer>> = {
    ...realPayload(),
    "settings.env": "MARIMO_TRANSPORT=auto\n",
  };
  const upload = (payload: string, path: string, content: string) =>
    jobs.put(`marimo/payload/${payload}/${path}`, content);
  await Promise.all(
    Object.entries(files).flatMap(([path, content]) =>
      ["own", "shared"].map((payload) => upload(payload, path, content.toString())),
    ),
  );
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
  await upload("shared", "job/run.sh", run);
}

/** Creates the request of a single job with these sources. The first one is the notebook. */
export async function jobRequest(
  jobs: Jobs,
  payload: "own" | "shared",
  sources: Readonly<Record<string, string>>,
) {
  const prefix = "people/ana/job-sources/0123456789abcdef";
  for (const [path, text] of Object.entries(sources)) await jobs.put(`${prefix}/${path}`, text);
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
    AppSpecification: { ...request.AppSpecification, ContainerArguments: [Object.keys(sources)[0]] },
    Environment: { AWS_DEFAULT_REGION: "us-east-1", AWS_REGION: "us-east-1", MARIMO_BUCKET: bucket },
    ProcessingInputs: [input("runtime", `marimo/payload/${payload}`), input("source", prefix)],
  };
}

export interface Plan {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly [member: string]: unknown;
}

export const plan = (request: unknown, own: Plan) => ({
  prefix: "marimo-dev",
  request,
  pipeline_role: role,
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
