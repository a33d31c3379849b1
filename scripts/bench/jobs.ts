import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Steps } from "../../src/cli/steps.ts";
import { AppHost } from "../../src/local-studio/app-host.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { upload } from "./jobs/setup.ts";
import { jobSeconds, runSingleJob, type SingleJob } from "./jobs/single-job.ts";
import { runSweep, type Sweep } from "./jobs/sweep.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";

const fewRows = 20;
const manyRows = 200;

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const steps = new Steps();
  const prepare = (name: "aws" | "image") =>
    steps.run(`prepare the virtual environment ${name}`, () =>
      pythonEnvironment(name, { onProgress: steps.progress, signal }),
    );
  const [aws, image] = [await prepare("aws"), await prepare("image")];
  let localAws: LocalAws | undefined;
  const appHost = new AppHost({
    folder: join(folder.path, "host"),
    logs: folder.logs,
    faults: {},
    runtime: () => ({
      python: image.python,
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
    const sweeps: { few: Sweep[]; many: Sweep[] } = { few: [], many: [] };
    const singles: SingleJob[] = [];
    // Downloads the marimo for `marimo check`, which uv does only once.
    await steps.run("warm-up job", () => runSingleJob(setup));
    for (let index = 0; index < runs; index += 1) {
      singles.push(
        await steps.run(`${index + 1}/${runs}: a job of ${jobSeconds} s`, () => runSingleJob(setup)),
      );
      for (const [of, rows] of [
        ["few", fewRows],
        ["many", manyRows],
      ] as const) {
        const label = `${index + 1}/${runs}: a sweep of ${rows} rows`;
        sweeps[of].push(await steps.run(label, () => runSweep(setup, rows, `${of}-${index}`)));
      }
    }
    return report(singles, sweeps.few, sweeps.many);
  } finally {
    await appHost.close();
    await localAws?.stop();
  }
}

function report(singles: readonly SingleJob[], few: readonly Sweep[], many: readonly Sweep[]): Report {
  const middle = (part: keyof SingleJob) => median(singles.map((one) => one[part]));
  const [submit, own, fetched] = [middle("submit"), middle("job"), middle("fetch")];
  const of = (samples: readonly Sweep[], rows: number) => ({
    rows,
    timeToJobs: median(samples.map(({ seconds, jobs }) => seconds / jobs)),
    jobs: median(samples.map(({ jobs }) => jobs)),
    requestsPerRow: median(samples.map(({ requests }) => requests / rows)),
    peakMiB: median(samples.map(({ peakMiB }) => peakMiB)),
  });
  const [small, large] = [of(few, fewRows), of(many, manyRows)];
  const one = table(
    ["single job", "submit", "job", "fetch", "total to job"],
    [
      [
        `${jobSeconds} s`,
        ...[submit, own, fetched].map((seconds) => `${seconds.toFixed(1)} s`),
        ((submit + own + fetched) / own).toFixed(2),
      ],
    ],
  );
  const sweeps = table(
    ["sweep", "jobs", "total to jobs", "requests per row", "peak memory"],
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
      target: `job of ${jobSeconds} s: submit, follow and fetch within 1.25x of the job`,
      value: (submit + own + fetched) / own,
      limit: 1.25,
    },
    {
      target: `${manyRows} rows: submit, follow and fetch within 1.25x of the jobs`,
      value: large.timeToJobs,
      limit: 1.25,
    },
    { target: `${manyRows} rows: under 3 requests per row`, value: large.requestsPerRow, limit: 3 },
    {
      target: `memory of ${manyRows} rows within 1.2x of ${fewRows}`,
      value: large.peakMiB / small.peakMiB,
      limit: 1.2,
    },
  ];
  return { text, targets, results: { singles, few, many } };
}

export const jobs: Benchmark = {
  about: `a job of ${jobSeconds} s, and sweeps of ${fewRows} and ${manyRows} trivial rows: the time that the client adds to the jobs,\nits requests and its memory`,
  defaultRuns: 1,
  run,
};
