import { rmSync } from "node:fs";
import { join } from "node:path";
import { chosenEnvironment } from "../../src/cli/environment-option.ts";
import { findPython, pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Steps, type StepTime } from "../../src/cli/steps.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { findChromium } from "../../src/local-studio/chromium.ts";
import { defaultGatewayProfile } from "../../src/local-studio/gateway-faults.ts";
import { runCellsStep, useMarimo, withSpace } from "../../src/local-studio/journey.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import { deployStep, noOtherAws, Rehearsal } from "../../src/local-studio/rehearsal.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";
import { Stack } from "./stack.ts";

interface Round {
  /** The steps of `npm start -- --check` until the cells show their results. */
  readonly steps: readonly StepTime[];
  /** Seconds to create both virtual environments, one after the other. */
  readonly python: number;
  /** Seconds of `terraform apply` of the same JSON on another local AWS. */
  readonly floor: number;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const rounds: Round[] = [];
  for (let index = 0; index < runs; index++) {
    const name = `${index + 1}-of-${runs}`;
    const roundFolder = join(folder.path, name);
    const python = await preparePython(join(roundFolder, "python"), signal);
    const { times, floor } = await rehearse({ path: roundFolder, logs: folder.logs, signal });
    const last = stepOf(times, runCellsStep);
    rounds.push({ steps: times.slice(0, times.indexOf(last) + 1), python, floor });
  }
  return report(rounds);
}

function stepOf(steps: readonly StepTime[], name: string): StepTime {
  const step = steps.find((one) => one.name === name);
  if (step === undefined) throw new Error(`the step "${name}" was not found`);
  return step;
}

const secondsOf = (steps: readonly StepTime[]) => steps.reduce((sum, { seconds }) => sum + seconds, 0);

/** Creates the virtual environments in a new folder, with this machine's package caches. */
async function preparePython(folder: string, signal: AbortSignal): Promise<number> {
  const steps = new Steps();
  for (const name of ["aws", "image"] as const) {
    await steps.run(`create the virtual environment ${name}`, () =>
      pythonEnvironment(name, { folder, signal, onProgress: steps.progress }),
    );
  }
  return secondsOf(steps.times);
}

async function rehearse(props: {
  readonly path: string;
  readonly logs: string;
  readonly signal: AbortSignal;
}): Promise<{ readonly times: readonly StepTime[]; readonly floor: number }> {
  const { path, logs, signal } = props;
  const { name: environmentName, awsProviderVersion } = chosenEnvironment({});
  const steps = new Steps();
  const rehearsal = await Rehearsal.start({
    ...{ environmentName, awsProviderVersion, profile: defaultGatewayProfile, steps, signal },
    folder: { path, logs, remove: () => {} },
  });
  try {
    const { studio } = rehearsal;
    const space = { studio, spaceName: `bench-${process.pid}`, steps, signal };
    await withSpace(space, () =>
      useMarimo({ ...space, chromium: findChromium(), evidence: join(logs, "browser") }),
    );
  } finally {
    // The local AWS keeps everything in memory, so nothing must be destroyed first.
    await rehearsal.stop();
  }
  rmSync(join(path, "terraform.tfstate"));
  const stack = join(path, "cdktf.out/stacks", environmentName);
  const floor = await measureFloor({ ...props, stack, providerVersion: awsProviderVersion });
  return { times: steps.times, floor };
}

async function measureFloor(props: {
  readonly path: string;
  readonly logs: string;
  readonly stack: string;
  readonly providerVersion: string | undefined;
  readonly signal: AbortSignal;
}): Promise<number> {
  const { path, logs, stack: folder, signal, providerVersion } = props;
  const { command: terraform } = await findTerraform();
  const { python } = await pythonEnvironment("aws");
  const localAws = await startLocalAws({ python, log: join(logs, "local-aws-floor.log") });
  try {
    const stack = await Stack.prepare({
      ...{ name: "floor", folder, terraform, logs, signal, steps: new Steps() },
      python: (await findPython(process.env)).command,
      environment: {
        ...process.env,
        ...(await terraformEnvironment({ command: terraform, runFolder: path, providerVersion })),
        ...noOtherAws(),
        ...localAws.environment,
      },
    });
    return (await stack.apply()).seconds;
  } finally {
    await localAws.stop();
  }
}

function report(rounds: readonly Round[]): Report {
  const s = (seconds: number) => `${seconds.toFixed(1)} s`;
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const floor = middle((round) => round.floor);
  const total = middle((round) => secondsOf(round.steps));
  const python = middle((round) => round.python);
  const row = (name: string, seconds: number) => [name, s(seconds), (seconds / floor).toFixed(2)];
  const text = [
    "## npm start until a notebook's cells show their results",
    "",
    "The floor is `terraform apply` of the same JSON. Preparations during the deployment count only while something waits for them.",
    "",
    table(
      ["median", "seconds", "to the floor"],
      [
        row("floor", floor),
        ...(rounds[0]?.steps ?? []).map(({ name }) =>
          row(
            name,
            middle(({ steps }) => stepOf(steps, name).seconds),
          ),
        ),
        row("total", total),
        row("new virtual environments, from caches", python),
      ],
    ),
  ].join("\n");
  const targets = [
    { target: "seconds until the cells show their results", value: total, limit: 40 },
    { target: "the same, plus the creation of both virtual environments", value: total + python, limit: 75 },
    {
      target: "deploy compared to the floor",
      value: middle(({ steps }) => stepOf(steps, deployStep).seconds) / floor,
      limit: 2,
    },
  ];
  return { text, targets, results: rounds };
}

export const start: Benchmark = {
  about:
    "npm start in steps, until marimo shows a notebook's results, compared to terraform apply of the same JSON;\ncreation of the virtual environments; takes about 2 minutes per run",
  defaultRuns: 3,
  run,
};
