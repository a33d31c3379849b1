import { mkdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { runProgram } from "../../src/cli/program.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Steps } from "../../src/cli/steps.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import { noOtherAws } from "../../src/local-studio/rehearsal.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";
import { Stack } from "./stack.ts";
import { synthesize } from "./terraform.ts";

/** With teams, the reference is this version without them. */
const teams = Number(process.env.BENCH_TEAMS ?? "0");
/** The last commit before each user had a role. */
const commit = "cceaa73";
const reference = teams > 0 ? "the same without teams" : commit;
/** Another list of numbers, such as `1,100`. */
const counts = (process.env.BENCH_PEOPLE ?? "1,100,1000").split(",").map(Number);

interface Measured {
  readonly bytes: number;
  readonly resources: number;
  readonly firstPlan: number;
  readonly apply: number;
  readonly secondPlan: number;
}

interface Round {
  readonly people: number;
  readonly ours: Measured;
  readonly before: Measured;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const steps = new Steps();
  const before =
    teams > 0
      ? projectFolder
      : await steps.run(`get ${commit}`, () => getReference(join(folder.path, "before"), signal));
  const rounds: Round[] = [];
  for (let index = 0; index < runs; index++) {
    for (const people of counts) {
      // Side by side in each round, so that a slow phase of the machine affects both.
      const sides = { before, ours: projectFolder };
      const measured: Partial<Record<keyof typeof sides, Measured>> = {};
      for (const [side, from] of Object.entries(sides) as [keyof typeof sides, string][]) {
        const path = join(folder.path, `${side}-${people}-${index}`);
        measured[side] = await measure(`${side}, ${people} people`, {
          people,
          from,
          teams: side === "ours" ? teams : 0,
          path,
          folder,
          steps,
          signal,
        });
      }
      rounds.push({ people, ours: measured.ours as Measured, before: measured.before as Measured });
    }
  }
  return report(rounds);
}

/** Puts the reference's files into a folder, with this project's packages, or its own where they differ. */
async function getReference(folder: string, signal: AbortSignal): Promise<string> {
  mkdirSync(folder);
  const shell = async (script: string, cwd: string) => {
    const { status, stderr } = await runProgram({
      command: ["bash", "-c", script],
      cwd,
      environment: process.env,
      signal,
    });
    if (status !== 0) throw new Error(`${script} failed with status ${status}:\n${stderr}`);
  };
  await shell(`set -o pipefail; git archive ${commit} | tar -x -C '${folder}'`, projectFolder);
  const [own, other] = [projectFolder, folder].map((of) =>
    readFileSync(join(of, "package-lock.json"), "utf8"),
  );
  if (own === other) symlinkSync(join(projectFolder, "node_modules"), join(folder, "node_modules"), "dir");
  else await shell("npm ci --ignore-scripts", folder);
  return folder;
}

interface Side extends Omit<BenchmarkProps, "runs"> {
  readonly people: number;
  readonly teams: number;
  /** The folder of the project's version. */
  readonly from: string;
  readonly path: string;
  readonly steps: Steps;
}

/** Plans, applies and plans again on a local AWS of its own, because both sides use the same names. */
async function measure(
  name: string,
  { folder, from, path, people, signal, steps, teams }: Side,
): Promise<Measured> {
  const stackFolder = await steps.run(`${name}: synthesize`, () =>
    synthesize(people, path, signal, from, teams),
  );
  const { command: terraform } = await findTerraform();
  const { python } = await pythonEnvironment("aws", { onProgress: steps.progress, signal });
  const log = join(folder.logs, `local-aws-${name.replaceAll(/\W+/g, "-")}.log`);
  const localAws = await startLocalAws({ python, log });
  try {
    const stack = await Stack.prepare({
      ...{ name, folder: stackFolder, terraform, python, logs: folder.logs, steps, signal },
      environment: {
        ...process.env,
        ...(await terraformEnvironment({ command: terraform, runFolder: folder.path })),
        ...noOtherAws(),
        ...localAws.environment,
      },
    });
    const first = await stack.plan(true, { label: "first plan" });
    const apply = await stack.apply();
    const second = await stack.plan(false, { label: "second plan" });
    return {
      bytes: statSync(join(stackFolder, "cdk.tf.json")).size,
      resources: apply.resources,
      firstPlan: first.seconds,
      apply: apply.seconds,
      secondPlan: second.seconds,
    };
  } finally {
    // It keeps everything in memory, so nothing must be destroyed first.
    await localAws.stop();
  }
}

const what = {
  bytes: "synthesized size",
  resources: "resources",
  firstPlan: "first plan",
  apply: "apply",
  secondPlan: "second plan, no changes",
} as const;

function report(rounds: readonly Round[]): Report {
  const middle = (people: number, side: "ours" | "before", key: keyof Measured) =>
    median(rounds.filter((one) => one.people === people).map((one) => one[side][key]));
  const ratio = (people: number, key: keyof Measured) =>
    median(rounds.filter((one) => one.people === people).map(({ before, ours }) => ours[key] / before[key]));
  const shown = (key: keyof Measured, value: number) =>
    key === "bytes"
      ? `${(value / 1024).toFixed(1)} KiB`
      : key === "resources"
        ? String(value)
        : `${value.toFixed(1)} s`;
  const rows = counts.flatMap((people) =>
    (Object.keys(what) as (keyof Measured)[]).map((key) => [
      `${people.toLocaleString("en")} people: ${what[key]}`,
      shown(key, middle(people, "ours", key)),
      shown(key, middle(people, "before", key)),
      ratio(people, key).toFixed(2),
    ]),
  );
  const [fewest = 1, most = 1] = [Math.min(...counts), Math.max(...counts)];
  const perPerson = (side: "ours" | "before", key: "bytes" | "resources") =>
    ((middle(most, side, key) - middle(fewest, side, key)) / Math.max(1, most - fewest)).toFixed(1);
  const text = [
    `## ${teams > 0 ? `${teams} teams` : "A role for each person"}, compared to ${reference}`,
    "",
    "Both versions run in turns, each on a local AWS of its own. The ratio is the median of each round's.",
    "",
    table(["median", "ours", "before", "ours to before"], rows),
    "",
    `Each person more: ${perPerson("ours", "resources")} resources and ${perPerson("ours", "bytes")} bytes; before: ${perPerson("before", "resources")} and ${perPerson("before", "bytes")}.`,
  ].join("\n");
  return {
    text,
    targets: counts.map((people) => ({
      target: `second plan with ${people.toLocaleString("en")} people within 1.5x of ${reference}`,
      value: ratio(people, "secondPlan"),
      limit: 1.5,
    })),
    results: rounds,
  };
}

export const people: Benchmark = {
  about:
    "synthesized size, first plan, apply and second plan with 1, 100 and 1,000 people, compared to the last commit\nbefore each had a role (it needs git's history); BENCH_PEOPLE=1,100 measures other numbers, and BENCH_TEAMS=50\ncompares that many teams to none",
  defaultRuns: 1,
  run,
};
