import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chosenEnvironment } from "../../src/cli/environment-option.ts";
import { capture } from "../../src/cli/processes.ts";
import {
  findPython,
  type PythonEnvironmentName,
  pythonEnvironment,
} from "../../src/cli/python/python-environment.ts";
import { Steps, type StepTime } from "../../src/cli/steps.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { findChromium } from "../../src/local-studio/chromium.ts";
import { defaultGatewayProfile } from "../../src/local-studio/gateway-faults.ts";
import { runCellsStep, startAppStep, useMarimo, withSpace } from "../../src/local-studio/journey.ts";
import { startLocalAws } from "../../src/local-studio/local-aws.ts";
import {
  deployStep,
  noOtherAws,
  Rehearsal,
  type SpaceImage,
  spaceImages,
} from "../../src/local-studio/rehearsal.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";
import { Stack } from "./stack.ts";

interface Round {
  /** Of both images of spaces. */
  readonly images: { readonly [Image in SpaceImage]: ImageTimes };
  /** Seconds to create the local AWS's virtual environment. */
  readonly awsPython: number;
  /** Seconds of `terraform apply` of the same JSON on another local AWS. */
  readonly floor: number;
}

interface ImageTimes {
  /** The steps of `npm start -- --check` until the cells show their results. */
  readonly steps: readonly StepTime[];
  readonly python: NewPython;
}

/** A new virtual environment. */
interface NewPython {
  readonly seconds: number;
  readonly megabytes: number;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const rounds: Round[] = [];
  for (let index = 0; index < runs; index++) {
    const path = join(folder.path, `${index + 1}-of-${runs}`);
    const pythons = join(path, "python");
    const awsPython = (await preparePython("aws", pythons, signal)).seconds;
    const timesOf = async (image: SpaceImage): Promise<ImageTimes> => ({
      python: await preparePython(spaceImages[image].environment, pythons, signal),
      steps: await rehearse({ path: join(path, image), logs: folder.logs, image, signal }),
    });
    const images = { small: await timesOf("small"), full: await timesOf("full") };
    const floor = await measureFloor({ path: join(path, "small"), logs: folder.logs, signal });
    rounds.push({ images, awsPython, floor });
  }
  return report(rounds);
}

function stepOf(steps: readonly StepTime[], name: string): StepTime {
  const step = steps.find((one) => one.name === name);
  if (step === undefined) throw new Error(`the step "${name}" was not found`);
  return step;
}

/** Seconds from the start of the app until the cells show their results. */
const openingOf = ({ steps }: ImageTimes) =>
  secondsOf(steps.slice(steps.indexOf(stepOf(steps, startAppStep))));

const secondsOf = (steps: readonly StepTime[]) => steps.reduce((sum, { seconds }) => sum + seconds, 0);

/** Creates a virtual environment in a new folder, with this machine's package caches. */
async function preparePython(
  name: PythonEnvironmentName,
  folder: string,
  signal: AbortSignal,
): Promise<NewPython> {
  const steps = new Steps();
  const { prefix } = await steps.run(`create the virtual environment ${name}`, () =>
    pythonEnvironment(name, { folder, signal, onProgress: steps.progress }),
  );
  const size = await capture("du", ["-sk", prefix]);
  return { seconds: secondsOf(steps.times), megabytes: Number.parseInt(size?.stdout ?? "", 10) / 1024 };
}

async function rehearse(props: {
  readonly path: string;
  readonly logs: string;
  readonly image: SpaceImage;
  readonly signal: AbortSignal;
}): Promise<readonly StepTime[]> {
  const { path, logs, image, signal } = props;
  mkdirSync(path, { recursive: true });
  const { name: environmentName, awsProviderVersion } = chosenEnvironment({});
  const steps = new Steps();
  const rehearsal = await Rehearsal.start({
    ...{ environmentName, awsProviderVersion, profile: defaultGatewayProfile, image, steps, signal },
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
  return steps.times.slice(0, steps.times.indexOf(stepOf(steps.times, runCellsStep)) + 1);
}

/** @param props.path of a rehearsal that has ended */
async function measureFloor(props: {
  readonly path: string;
  readonly logs: string;
  readonly signal: AbortSignal;
}): Promise<number> {
  const { path, logs, signal } = props;
  const { name: environmentName, awsProviderVersion: providerVersion } = chosenEnvironment({});
  const folder = join(path, "cdktf.out/stacks", environmentName);
  rmSync(join(path, "terraform.tfstate"));
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
  const total = middle(({ images }) => secondsOf(images.small.steps));
  const python = middle(({ images, awsPython }) => awsPython + images.small.python.seconds);
  const row = (name: string, seconds: number) => [name, s(seconds), (seconds / floor).toFixed(2)];
  const compare = (name: string, of: (times: ImageTimes) => number, text: (value: number) => string) => {
    const [small, full] = [middle(({ images }) => of(images.small)), middle(({ images }) => of(images.full))];
    return [name, text(small), text(full), (full / small).toFixed(2)];
  };
  const text = [
    "## npm start until a notebook's cells show their results",
    "",
    "The floor is `terraform apply` of the same JSON. Preparations during the deployment count only while something waits for them.",
    "",
    table(
      ["median", "seconds", "to the floor"],
      [
        row("floor", floor),
        ...(rounds[0]?.images.small.steps ?? []).map(({ name }) =>
          row(
            name,
            middle(({ images }) => stepOf(images.small.steps, name).seconds),
          ),
        ),
        row("total", total),
        row("new virtual environments, from caches", python),
      ],
    ),
    "",
    "## npm start -- --image full",
    "",
    table(
      ["median", "small", "full", "full to small"],
      [
        compare("from the start of the app to the cells' results", openingOf, s),
        compare("new virtual environment of spaces, from caches", (times) => times.python.seconds, s),
        compare(
          "its size on disk",
          (times) => times.python.megabytes,
          (size) => `${size.toFixed(0)} MiB`,
        ),
      ],
    ),
  ].join("\n");
  const targets = [
    { target: "seconds until the cells show their results", value: total, limit: 40 },
    { target: "the same, plus the creation of both virtual environments", value: total + python, limit: 75 },
    {
      target: "deploy compared to the floor",
      value: middle(({ images }) => stepOf(images.small.steps, deployStep).seconds) / floor,
      limit: 2,
    },
  ];
  return { text, targets, results: rounds };
}

export const start: Benchmark = {
  about:
    "npm start in steps, until marimo shows a notebook's results, compared to terraform apply of the same JSON;\nthe same with --image full; creation and size of the virtual environments; takes about 4 minutes per run",
  defaultRuns: 3,
  run,
};
