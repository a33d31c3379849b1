import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  DescribeProcessingJobCommand,
  paginateListProcessingJobs,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { AppHost } from "../../src/local-studio/app-host.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { Steps } from "../../src/local-studio/steps.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import { jobSettings } from "../lib/job-settings.ts";
import { runProgram } from "../lib/program.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";

const packages = resolveEnvironment({ name: "bench" });
const fewRows = 20;
const manyRows = 200;
const parallel = 8;
const jobSeconds = 20;
const bucket = "marimo-bench";
const role = "arn:aws:iam::123456789012:role/bench";

/** In place of the notebook, which would take the most of the time: its outcome, and what it wrote. */
const trivial = `
output="$(cd "$(dirname "\${BASH_SOURCE[0]}")/../../../.." && pwd)/processing/output"
if [[ "\${2:-}" == --sleep=* ]]; then sleep "\${2#--sleep=}"; fi
sudo -n chmod -R a+rwX "$output"; mkdir "$output/files"
echo '{"exitStatus": 0, "seconds": {"packages": 0, "notebook": 0}}' > "$output/result.json"
printf 'square\\n%s\\n' "\${2#--n=}" > "$output/files/result.csv"
`;

/** What sweep_client.py prints. */
interface Client {
  readonly seconds: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly peakKiB: number;
}

interface Sample {
  /** Seconds of the client: submitted, followed, gathered and fetched. */
  readonly seconds: number;
  /** Seconds from the first job's creation to the last one's end. */
  readonly jobs: number;
  readonly requests: number;
  readonly requestsByOperation: Readonly<Record<string, number>>;
  readonly peakMiB: number;
}

/** One job by `marimo-job run`. */
interface Single {
  /** Seconds from the command to the job's creation: checks, `marimo check` among them, and what is sent. */
  readonly submit: number;
  /** Seconds from the job's creation to its end. */
  readonly job: number;
  /** Seconds from the job's end to the command's: noticed, and fetched. */
  readonly fetch: number;
}

interface Setup {
  readonly python: string;
  readonly localAws: LocalAws;
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const steps = new Steps();
  const prepare = (name: "aws" | "image") =>
    steps.run(`prepare the Python environment ${name}`, () =>
      pythonEnvironment(name, { onProgress: steps.progress, signal }),
    );
  const [aws, image] = [await prepare("aws"), await prepare("image")];
  let localAws: LocalAws | undefined;
  const appHost = new AppHost({
    folder: join(folder.path, "host"),
    faults: {},
    runtime: () => ({
      python: image.python,
      logs: folder.logs,
      environment: { ...networkSettings(process.env), ...localAws?.environment },
    }),
  });
  try {
    localAws = await startLocalAws({
      python: aws.python,
      appHost: await appHost.start(),
      log: join(folder.logs, "local-aws.log"),
    });
    const setup = { python: image.python, localAws, folder: join(folder.path, "results"), signal };
    mkdirSync(setup.folder);
    await upload(localAws);
    const samples: { few: Sample[]; many: Sample[] } = { few: [], many: [] };
    const singles: Single[] = [];
    // uv fetches the marimo that checks notebooks once.
    await steps.run("a job, to begin with", () => single(setup));
    for (let index = 0; index < runs; index += 1) {
      singles.push(await steps.run(`${index + 1}/${runs}: a job of ${jobSeconds} s`, () => single(setup)));
      for (const [of, rows] of [
        ["few", fewRows],
        ["many", manyRows],
      ] as const) {
        const told = `${index + 1}/${runs}: a sweep of ${rows} rows`;
        samples[of].push(await steps.run(told, () => sweep(setup, rows, `${of}-${index}`)));
      }
    }
    return report(singles, samples.few, samples.many);
  } finally {
    await appHost.close();
    await localAws?.stop();
  }
}

async function upload(localAws: LocalAws): Promise<void> {
  const s3 = new S3Client(localAws.clientSettings());
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const row = await readFile(join(projectFolder, "src/space/payload/job/row.sh"), "utf8");
  for (const [Key, Body] of [
    ["marimo/payload/0123012301230123/job/row.sh", row],
    ["marimo/payload/0123012301230123/job/run.sh", trivial],
    ["marimo/job-sources/0123/trivial.py", "# run.sh stands for it\n"],
    ["marimo/payload/0123012301230123/requirements.txt", await readFile(lockFileOf(packages), "utf8")],
    ["marimo/payload/current", `${"0".repeat(64)}  0123012301230123\n`],
    [
      "marimo/payload/jobs.json",
      JSON.stringify(await jobSettings({ localAws, environment: "bench", bucket, roleArn: role })),
    ],
  ] as const)
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const trust = {
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
  };
  await new IAMClient(localAws.clientSettings()).send(
    new CreateRoleCommand({
      RoleName: "bench",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    }),
  );
}

const notebook = `import marimo

__generated_with = "${packages.marimoVersion}"
app = marimo.App()


@app.cell
def _():
    return


if __name__ == "__main__":
    app.run()
`;

async function single({ python, localAws, folder, signal }: Setup): Promise<Single> {
  const file = join(folder, "trivial.py");
  await writeFile(file, notebook);
  const began = Date.now();
  const { status, stdout, stderr } = await runProgram({
    command: [
      ...[python, "-B", join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/command.py")],
      ...["run", file, "--time-limit", "5", "--output", folder, "--json", "--", `--sleep=${jobSeconds}`],
    ],
    cwd: folder,
    environment: {
      ...networkSettings(process.env),
      ...localAws.environment,
      ...{ PATH: process.env.PATH, HOME: folder, MARIMO_BUCKET: bucket, AWS_REGION: "us-east-1" },
    },
    signal,
  });
  const ended = Date.now();
  if (status !== 0) throw new Error(`marimo-job ended with ${status}:\n${stderr}`);
  const { job } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { job: string };
  const { CreationTime, ProcessingEndTime } = await new SageMakerClient(localAws.clientSettings()).send(
    new DescribeProcessingJobCommand({ ProcessingJobName: job }),
  );
  const [created, over] = [CreationTime, ProcessingEndTime].map((time) => time?.getTime() ?? Number.NaN);
  const seconds = (from = Number.NaN, to = Number.NaN) => (to - from) / 1000;
  return { submit: seconds(began, created), job: seconds(created, over), fetch: seconds(over, ended) };
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
  AppSpecification: { ImageUri: "image", ContainerArguments: ["trivial.py"] },
  ProcessingResources: {
    ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
  },
  ProcessingInputs: [
    input("runtime", "marimo/payload/0123012301230123"),
    input("source", "marimo/job-sources/0123"),
  ],
  ProcessingOutputConfig: {
    Outputs: [
      {
        OutputName: "result",
        S3Output: { S3Uri: "", LocalPath: "/opt/ml/processing/output", S3UploadMode: "EndOfJob" },
      },
    ],
  },
  Environment: {},
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
  if (status !== 0) throw new Error(`the client ended with ${status}:\n${stderr}`);
  return JSON.parse(stdout) as Client;
}

async function sweep(setup: Setup, rows: number, name: string): Promise<Sample> {
  const { localAws, folder } = setup;
  const plan = {
    ...{
      name,
      prefix: "marimo-bench",
      request,
      pipeline_role: role,
      columns: ["n"],
      arguments: [],
      parallel,
    },
    ...{ attempts: 1, minutes: 1, table: "result.csv", then_notebook: null, hourly: 0.115 },
    rows: Array.from({ length: rows }, (_, index) => [String(index + 1)]),
  };
  const client = await runClient(setup, { plan, bucket, folder });
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
    requestsByOperation: client.requests,
    peakMiB: client.peakKiB / 1024,
  };
}

function report(singles: readonly Single[], few: readonly Sample[], many: readonly Sample[]): Report {
  const middle = (part: keyof Single) => median(singles.map((one) => one[part]));
  const [submit, own, fetched] = [middle("submit"), middle("job"), middle("fetch")];
  const of = (samples: readonly Sample[], rows: number) => ({
    rows,
    timeToJobs: median(samples.map(({ seconds, jobs }) => seconds / jobs)),
    jobs: median(samples.map(({ jobs }) => jobs)),
    requestsPerRow: median(samples.map(({ requests }) => requests / rows)),
    peakMiB: median(samples.map(({ peakMiB }) => peakMiB)),
  });
  const [small, large] = [of(few, fewRows), of(many, manyRows)];
  const one = table(
    ["a job of its own", "submit", "the job", "fetch", "all, of the job"],
    [
      [
        `of ${jobSeconds} s`,
        ...[submit, own, fetched].map((seconds) => `${seconds.toFixed(1)} s`),
        ((submit + own + fetched) / own).toFixed(2),
      ],
    ],
  );
  const sweeps = table(
    ["sweep", "its jobs", "all, of its jobs", "requests a row", "peak memory"],
    [small, large].map((one) => [
      `${one.rows} rows`,
      `${one.jobs.toFixed(1)} s`,
      one.timeToJobs.toFixed(2),
      one.requestsPerRow.toFixed(2),
      `${one.peakMiB.toFixed(0)} MiB`,
    ]),
  );
  const text = `${one}\n\n${sweeps}`;
  const targets = [
    {
      target: `a job of ${jobSeconds} s: submit, follow and fetch within 1.25x of it`,
      value: (submit + own + fetched) / own,
      limit: 1.25,
    },
    {
      target: `${manyRows} rows: submit, follow and fetch within 1.25x of the jobs`,
      value: large.timeToJobs,
      limit: 1.25,
    },
    { target: `${manyRows} rows: under 3 requests a row`, value: large.requestsPerRow, limit: 3 },
    {
      target: `memory of ${manyRows} rows within 1.2x of ${fewRows}`,
      value: large.peakMiB / small.peakMiB,
      limit: 1.2,
    },
  ];
  return { text, targets, results: { singles, few, many } };
}

export const jobs: Benchmark = {
  about: `a job of ${jobSeconds} s, and sweeps of ${fewRows} and ${manyRows} trivial rows: what the client adds around their jobs, its requests\nand its memory`,
  defaultRuns: 1,
  run,
};
