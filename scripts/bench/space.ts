import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DescribeStudioLifecycleConfigCommand,
  ListStudioLifecycleConfigsCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { environments } from "../../src/environments.ts";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import type { LifecycleConfig } from "../../src/local-studio/container.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { networkSettings, Rehearsal } from "../../src/local-studio/rehearsal.ts";
import { Steps } from "../../src/local-studio/steps.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import { App, freePort, homeOf, type Image, makeHome, type Process, patience, type Side } from "./app.ts";
import { MarimoAlone } from "./marimo-alone.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, type Target, table } from "./report.ts";
import type { SliderPage } from "./slider-notebook.ts";

const notebooksAtOnce = 20;
const moves = 60;
const movesEach = 8;
/** Moves that do not count: browser and kernel compile as they go. */
const warmUp = 5;
/** With the packages downloaded and installed anew each time; the medians of few runs do for seconds. */
const coldRuns = 3;
const reported = gatewayProfiles["reported-studio"].faults;

/** Seconds over which an idle space's processor time is taken. */
const idleSeconds = 20;
/** As in activity.py. */
const watcherSeconds = 30;

interface Setup {
  readonly image: Image;
  readonly ours: Side;
  readonly article: Side;
  readonly browser: Browser;
  readonly steps: Steps;
  readonly signal: AbortSignal;
  readonly runs: number;
}

interface Start {
  readonly blocking: number;
  readonly live: number;
}

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const executablePath = findChromium();
  const [settings] = environments;
  if (settings === undefined) throw new Error("src/environments.ts has no environment");
  const steps = new Steps();
  const environmentName = settings.name;
  const rehearsal = await Rehearsal.start({
    ...{ environmentName, profile: "reported-studio", folder, steps, signal },
  });
  let browser: Browser | undefined;
  try {
    const { python } = await pythonEnvironment("image");
    const { region, marimoVersion } = resolveEnvironment(settings);
    const [ours, port] = [await lifecycleConfigOf(rehearsal, region), await freePort()];
    // Our own handlers decide what a signal means.
    const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
    browser = await chromium.launch({ executablePath, args: [...chromiumArguments], ...signals });
    signal.addEventListener("abort", () => void browser?.close());
    // Packages' download caches are in the home folder then, as they are in Studio.
    const { UV_CACHE_DIR: _, PIP_CACHE_DIR: __, ...network } = networkSettings(process.env);
    return await measure({
      ...{ browser, steps, signal, runs },
      image: {
        ...{ python, folder: join(folder.path, "bench"), logs: folder.logs },
        environment: { ...network, ...rehearsal.localAws.environment, AWS_REGION: region },
      },
      ours: { name: "ours", lifecycleConfig: ours, faults: reported, path: "marimo" },
      article: {
        name: "article",
        lifecycleConfig: articleLifecycleConfig(marimoVersion, port),
        faults: gatewayProfiles.none.faults,
        path: `proxy/${port}`,
      },
    });
  } finally {
    await browser?.close();
    // Not destroyed first: the local AWS has all it holds in memory.
    await rehearsal.stop();
  }
}

/** The one that Terraform applied. */
async function lifecycleConfigOf({ localAws }: Rehearsal, region: string): Promise<LifecycleConfig> {
  const client = new SageMakerClient(localAws.clientSettings(region));
  const { StudioLifecycleConfigs } = await client.send(new ListStudioLifecycleConfigsCommand({}));
  const name = StudioLifecycleConfigs?.[0]?.StudioLifecycleConfigName;
  const described = await client.send(
    new DescribeStudioLifecycleConfigCommand({ StudioLifecycleConfigName: name }),
  );
  return { name: String(name), content: String(described.StudioLifecycleConfigContent) };
}

function articleLifecycleConfig(marimoVersion: string, port: number): LifecycleConfig {
  const script = readFileSync(join(projectFolder, "scripts/bench/article-on-start.sh"), "utf8");
  const header = `#!/bin/bash\nexport MARIMO_VERSION='${marimoVersion}' MARIMO_PORT='${port}'\n`;
  return { name: "article", content: Buffer.from(header + script).toString("base64") };
}

async function measure(setup: Setup): Promise<Report> {
  const { ours, article, runs } = setup;
  const cold = { ours: [] as Start[], article: [] as Start[] };
  const warm = { ours: [] as Start[], article: [] as Start[] };
  for (let index = 0; index < Math.min(coldRuns, runs); index++) {
    const told = `cold start ${index + 1}/${Math.min(coldRuns, runs)}`;
    for (const [name, side] of [["ours", ours] as const, ["article", article] as const]) {
      makeHome(homeOf(setup.image, side), notebooksAtOnce);
      cold[name].push(await timeStart(setup, side, told));
    }
  }
  const articleConnects = await settle(setup);
  for (let index = 0; index < runs; index++) {
    const told = `warm start ${index + 1}/${runs}`;
    warm.ours.push(await timeStart(setup, ours, told));
    // Many times as long, so few runs tell enough.
    if (index < coldRuns) warm.article.push(await timeStart(setup, article, told));
  }
  const slider = await timeSlider(setup);
  const crowd = await timeCrowd(setup);
  const memory = { ours: await memoryOf(setup, ours), article: await memoryOf(setup, article) };
  const watcher = await watch(setup);
  return report({ cold, warm, articleConnects, slider, crowd, memory, watcher });
}

/** Runs work with a new browser profile. */
async function withContext<T>(browser: Browser, work: (context: BrowserContext) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}

/** Runs work with one app and one new browser profile, both gone afterwards. */
async function withApp<T>(
  { image, browser, steps, signal }: Setup,
  side: Side,
  told: string,
  work: (app: App, context: BrowserContext) => Promise<T>,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  return steps.run(`${side.name}: ${told}`, async () => {
    signal.throwIfAborted();
    const app = await App.start(image, side, environment);
    try {
      return await withContext(browser, (context) => work(app, context));
    } finally {
      await app.stop();
    }
  });
}

function timeStart(setup: Setup, side: Side, told: string): Promise<Start> {
  return withApp(setup, side, told, async (app, context) => {
    await app.open(context);
    return { blocking: app.blockingMilliseconds, live: app.millisecondsSinceStart };
  });
}

/** Lets what the first start left to the background end, and sees what the reported gateway makes of the article's page. */
async function settle(setup: Setup): Promise<boolean> {
  await withApp(setup, setup.ours, "finish the installation", (app) => installed(app, setup.signal));
  const seconds = 20;
  return withApp(
    setup,
    setup.article,
    `wait ${seconds} s for it behind the reported gateway`,
    (app, context) =>
      app.open(context, { faults: reported, timeout: seconds * 1000 }).then(
        () => true,
        (error: Error) => {
          if (error.name !== "TimeoutError") throw error;
          return false;
        },
      ),
  );
}

async function installed(app: App, signal: AbortSignal): Promise<void> {
  const end = performance.now() + patience;
  while ((await app.processes()).some(({ command }) => command.includes("/install.sh"))) {
    if (performance.now() > end) throw new Error("install.sh does not end");
    await sleep(500, undefined, { signal });
  }
}

interface SliderTimes {
  readonly ours: number;
  readonly alone: number;
}

async function withAlone<T>(
  { image, ours, browser, steps }: Setup,
  told: string,
  work: (alone: MarimoAlone, context: BrowserContext) => Promise<T>,
): Promise<T> {
  return steps.run(`marimo alone: ${told}`, async () => {
    const environments = join(homeOf(image, ours), ".local/share/sagemaker-marimo/environments");
    const alone = await MarimoAlone.start(image, join(environments, "current"), notebooksAtOnce);
    try {
      return await withContext(browser, (context) => work(alone, context));
    } finally {
      await alone.stop();
    }
  });
}

/** The two take turns, so that a slow moment of the machine hits both. */
function timeSlider(setup: Setup): Promise<SliderTimes> {
  return withApp(setup, setup.ours, `${moves} moves of the slider, beside`, (app, context) =>
    withAlone(setup, `${moves} moves of the slider`, async (alone, aloneContext) => {
      const pages = { ours: await app.open(context), alone: await alone.open(aloneContext) };
      await installed(app, setup.signal);
      const times = { ours: [] as number[], alone: [] as number[] };
      for (let index = -warmUp; index < moves; index++) {
        setup.signal.throwIfAborted();
        const [ours, alone] = [await pages.ours.move(), await pages.alone.move()];
        if (index < 0) continue;
        times.ours.push(ours);
        times.alone.push(alone);
      }
      return { ours: median(times.ours), alone: median(times.alone) };
    }),
  );
}

interface Crowd {
  /** How many notebooks can be used in one browser. */
  readonly together: number;
  /** Medians of the single pages, slowest last. */
  readonly inTurn: readonly number[];
  readonly atOnce: readonly number[];
  readonly lost: number;
}

type Open = (context: BrowserContext, index: number, timeout?: number) => Promise<SliderPage>;

/**
 * Opens one notebook after the other in one browser, as a person does, until one cannot be used: browsers make six
 * connections to one HTTP/1.1 address, and an event stream keeps one (MDN, "EventSource").
 */
async function openTogether(context: BrowserContext, open: Open, steps: Steps): Promise<SliderPage[]> {
  const pages: SliderPage[] = [];
  for (let index = 0; index < notebooksAtOnce; index++) {
    steps.progress(`notebook ${index + 1} in one browser`);
    try {
      const page = await open(context, index, 30_000);
      await page.move(10_000);
      pages.push(page);
    } catch (error) {
      if (!(error instanceof Error && error.name === "TimeoutError")) throw error;
      break;
    }
  }
  return pages;
}

/** Many notebooks open: each moved while the others are quiet, all moved at the same moment, then all swept. */
async function crowd(setup: Setup, context: BrowserContext, open: Open): Promise<Crowd> {
  const { browser, steps } = setup;
  const together = await openTogether(context, open, steps);
  if (together.length === notebooksAtOnce) return moveCrowd(together, together.length, setup.signal);
  // The rest of it can be measured all the same: each in a browser profile, with connections, of its own.
  for (const page of context.pages()) await page.close();
  const contexts: BrowserContext[] = [];
  try {
    const pages: SliderPage[] = [];
    for (let index = 0; index < notebooksAtOnce; index++) {
      steps.progress(`notebook ${index + 1} in a profile of its own`);
      const own = await browser.newContext();
      contexts.push(own);
      pages.push(await open(own, index));
    }
    return await moveCrowd(pages, together.length, setup.signal);
  } finally {
    for (const own of contexts) await own.close();
  }
}

async function moveCrowd(
  pages: readonly SliderPage[],
  together: number,
  signal: AbortSignal,
): Promise<Crowd> {
  const inTurn = pages.map((): number[] => []);
  const atOnce = pages.map((): number[] => []);
  for (let round = -warmUp; round < movesEach; round++) {
    for (const [index, page] of pages.entries()) {
      signal.throwIfAborted();
      const time = await page.move();
      if (round >= 0) inTurn[index]?.push(time);
    }
  }
  for (let round = 0; round < movesEach; round++) {
    const times = await Promise.all(pages.map((page) => page.move()));
    for (const [index, time] of times.entries()) atOnce[index]?.push(time);
  }
  await Promise.all(pages.map((page) => page.sweep(movesEach)));
  const shown = await Promise.all(pages.map((page) => page.showsLast(30_000)));
  const medians = (times: readonly number[][]) => times.map(median).toSorted((a, b) => a - b);
  return {
    together,
    inTurn: medians(inTurn),
    atOnce: medians(atOnce),
    lost: shown.filter((one) => !one).length,
  };
}

interface Crowds {
  readonly ours: Crowd;
  readonly alone: Crowd;
}

async function timeCrowd(setup: Setup): Promise<Crowds> {
  const told = `${notebooksAtOnce} notebooks at once`;
  return {
    ours: await withApp(setup, setup.ours, told, (app, context) =>
      crowd(setup, context, (own, index, timeout) => app.open(own, { index, timeout })),
    ),
    alone: await withAlone(setup, told, (alone, context) =>
      crowd(setup, context, (own, index, timeout) => alone.open(own, index, timeout)),
    ),
  };
}

/** Resident bytes, by what the process is. */
type Memory = Readonly<Record<"jupyterLab" | "server" | "rest", number>>;

function memoryOf(setup: Setup, side: Side): Promise<Memory> {
  return withApp(setup, side, "memory with one notebook open", async (app, context) => {
    const page = await app.open(context);
    for (let index = 0; index < movesEach; index++) await page.move();
    if (side === setup.ours) await installed(app, setup.signal);
    const processes = await app.processes();
    const sum = (of: (process: Process) => boolean) =>
      processes.filter(of).reduce((total, { bytes }) => total + bytes, 0);
    const isJupyterLab = ({ command }: Process) => /-m jupyterlab /.test(command);
    const isServer = ({ command }: Process) => /(marimo|marimo_server\.py) .*\bedit\b/.test(command);
    return {
      jupyterLab: sum(isJupyterLab),
      server: sum(isServer),
      rest: sum((process) => !isJupyterLab(process) && !isServer(process)),
    };
  });
}

interface Watcher {
  /** Processor time of one look of the watcher's, in JupyterLab and in marimo. */
  readonly millisecondsPerLook: number;
  readonly percentOfCore: number;
}

/** An idle space whose watcher looks often, against one whose watcher does not look. */
async function watch(setup: Setup): Promise<Watcher> {
  const interval = 0.25;
  const often = await idleMilliseconds(setup, interval);
  const never = await idleMilliseconds(setup, 3600);
  const millisecondsPerLook = Math.max(0, often - never) / (idleSeconds / interval);
  return { millisecondsPerLook, percentOfCore: millisecondsPerLook / (watcherSeconds * 10) };
}

/** Processor time of all of an app that nobody uses, one notebook open. */
function idleMilliseconds(setup: Setup, interval: number): Promise<number> {
  const told = `${idleSeconds} s idle, the watcher looking every ${interval} s`;
  return withApp(
    setup,
    setup.ours,
    told,
    async (app, context) => {
      await app.open(context);
      await installed(app, setup.signal);
      await sleep(5000, undefined, { signal: setup.signal });
      const seconds = async () => (await app.processes()).reduce((sum, one) => sum + one.seconds, 0);
      const before = await seconds();
      await sleep(idleSeconds * 1000, undefined, { signal: setup.signal });
      return ((await seconds()) - before) * 1000;
    },
    { MARIMO_ACTIVITY_INTERVAL: String(interval) },
  );
}

interface Found {
  readonly cold: Readonly<Record<"ours" | "article", readonly Start[]>>;
  readonly warm: Readonly<Record<"ours" | "article", readonly Start[]>>;
  readonly articleConnects: boolean;
  readonly slider: SliderTimes;
  readonly crowd: Crowds;
  readonly memory: Readonly<Record<"ours" | "article", Memory>>;
  readonly watcher: Watcher;
}

function report(found: Found): Report {
  const { slider, crowd, memory, watcher } = found;
  const s = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
  const ms = (milliseconds: number) => `${milliseconds.toFixed(0)} ms`;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  const starts = (["cold", "warm"] as const).flatMap((kind) =>
    (
      [
        ["blocking", "JupyterLab waits for the lifecycle script"],
        ["live", "app start to first live cell"],
      ] as const
    ).map(([what, name]) => {
      const [ours, article] = (["ours", "article"] as const).map((side) =>
        median(found[kind][side].map((start) => start[what])),
      ) as [number, number];
      return [`${name}, ${kind}`, s(ours), s(article), ratio(ours, article)];
    }),
  );
  const crowdRow = (name: string, of: "inTurn" | "atOnce") => {
    const [ours, alone] = [crowd.ours[of], crowd.alone[of]];
    return [
      `${notebooksAtOnce} open, ${name}: median notebook`,
      ...[ms(median(ours)), ms(median(alone)), ratio(median(ours), median(alone))],
    ];
  };
  const slowest = (times: readonly number[]) => times.at(-1) ?? Number.NaN;
  const slowestRow = (name: string, of: "inTurn" | "atOnce") => {
    const [ours, alone] = [slowest(crowd.ours[of]), slowest(crowd.alone[of])];
    return [
      `${notebooksAtOnce} open, ${name}: slowest notebook`,
      `${ms(ours)} (${ratio(ours, slider.ours)} of one)`,
      `${ms(alone)} (${ratio(alone, slider.alone)} of one)`,
      ratio(ours, alone),
    ];
  };
  const added = memory.ours.jupyterLab - memory.article.jupyterLab;
  const text = [
    "## Start of a space",
    "",
    "Ours is what cdktf and Terraform deployed to the local AWS, and its script asks that AWS's bucket with the image's AWS CLI:",
    "time that the article's script, which has no bucket, does not need. Both install from the same index, with their download",
    "caches in the home folder: empty in a cold start, kept in a warm one, which has a new /opt/conda and the same home. The",
    "article's marimo is started for it, and set to run cells by itself. Ours is opened through the gateway as reported; the",
    `article's through a faultless one, since behind the reported one its page ${
      found.articleConnects ? "became live all the same" : "was not live within 20 s"
    }.`,
    "",
    table(["median", "ours", "article", "ours to article"], starts),
    "",
    "## Slider to dependent cell",
    "",
    "In the page, from the key to the changed text; ours through the gateway as reported, the limit is the same marimo alone",
    "on loopback over its own WebSocket. With one notebook open the two take turns. With all open, they are moved in turn",
    "(the target is read from this), then all at the same moment, which measures the machine's cores as much; then each gets",
    `${movesEach} quick keys, after which every page must show its last value.`,
    "",
    table(
      ["median", "ours", "marimo alone", "ours to alone"],
      [
        ["1 notebook", ms(slider.ours), ms(slider.alone), ratio(slider.ours, slider.alone)],
        crowdRow("moved in turn", "inTurn"),
        slowestRow("moved in turn", "inTurn"),
        crowdRow("moved at once", "atOnce"),
        slowestRow("moved at once", "atOnce"),
        ["usable in one browser", String(crowd.ours.together), String(crowd.alone.together), ""],
        ["last values not shown", String(crowd.ours.lost), String(crowd.alone.lost), ""],
      ],
    ),
    "",
    "## Memory and processor",
    "",
    "Resident, one notebook open. We add code to JupyterLab's own process (handler, streams, watcher) and no process; marimo's",
    "server and kernel are there either way. An idle space's processor time, the watcher looking often less not looking,",
    `makes ${watcher.millisecondsPerLook.toFixed(1)} ms a look, every ${watcherSeconds} s.`,
    "",
    table(
      ["", "ours", "article", "more"],
      [
        ["JupyterLab", mib(memory.ours.jupyterLab), mib(memory.article.jupyterLab), mib(added)],
        ...(["server", "rest"] as const).map((of) => [
          of === "server" ? "marimo's server" : "marimo's kernel and all else",
          ...[mib(memory.ours[of]), mib(memory.article[of]), mib(memory.ours[of] - memory.article[of])],
        ]),
      ],
    ),
  ].join("\n");
  const targets: readonly Target[] = [
    {
      target: "seconds that JupyterLab waits for our script, warm, under 1",
      value: median(found.warm.ours.map(({ blocking }) => blocking)) / 1000,
      limit: 1,
    },
    { target: "slider within 1.25x of marimo alone", value: slider.ours / slider.alone, limit: 1.25 },
    {
      target: `slowest of ${notebooksAtOnce} notebooks under 3x the single one`,
      value: slowest(crowd.ours.inTurn) / slider.ours,
      limit: 3,
    },
    {
      target: `of ${notebooksAtOnce} notebooks, those that one browser cannot use: none`,
      value: notebooksAtOnce - crowd.ours.together,
      limit: 1,
    },
    { target: "updates lost: none", value: crowd.ours.lost, limit: 1 },
    { target: "watcher under 1 % of one core", value: watcher.percentOfCore, limit: 1 },
    { target: "MiB that we add, the watcher among it, under 40", value: added / 2 ** 20, limit: 40 },
  ];
  return { text, targets, results: found };
}

export const space: Benchmark = {
  about:
    "a space's start against the article's lifecycle script, the slider against marimo alone,\n20 notebooks at once, memory and processor time of what we add; takes about 15 minutes",
  defaultRuns: 10,
  run,
};
