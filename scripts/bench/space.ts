import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DescribeStudioLifecycleConfigCommand,
  ListStudioLifecycleConfigsCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { type Browser, chromium } from "playwright-core";
import { projectFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { Steps } from "../../src/cli/steps.ts";
import { environments } from "../../src/environments.ts";
import { chromiumArguments, findChromium } from "../../src/local-studio/chromium.ts";
import type { LifecycleConfig } from "../../src/local-studio/container.ts";
import { gatewayProfiles } from "../../src/local-studio/gateway-faults.ts";
import { networkSettings, Rehearsal } from "../../src/local-studio/rehearsal.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { freePort, homeOf, makeHome } from "./app.ts";
import type { Benchmark, BenchmarkProps, Report } from "./report.ts";
import { timeMany } from "./space/many-notebooks.ts";
import { report } from "./space/report.ts";
import { memoryOf, watch } from "./space/resources.ts";
import { installed, notebooksAtOnce, type Setup, withApp } from "./space/setup.ts";
import { timeSlider } from "./space/slider.ts";
import { type Start, timeStart } from "./space/start.ts";

/** Each cold start downloads and installs the packages, which takes so long that few runs suffice. */
const coldRuns = 3;
const profile = "reported-studio";

async function run({ runs, folder, signal }: BenchmarkProps): Promise<Report> {
  const executablePath = findChromium();
  const [settings] = environments;
  if (settings === undefined) throw new Error("src/environments.ts has no environment");
  const steps = new Steps();
  const environmentName = settings.name;
  const rehearsal = await Rehearsal.start({
    ...{ environmentName, profile, folder, steps, signal },
  });
  let browser: Browser | undefined;
  try {
    const { python } = await pythonEnvironment("image");
    const { region, marimoVersion } = resolveEnvironment(settings);
    const [ours, port] = [await lifecycleConfigOf(rehearsal, region), await freePort()];
    // This process handles the signals itself.
    const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
    browser = await chromium.launch({ executablePath, args: [...chromiumArguments], ...signals });
    signal.addEventListener("abort", () => void browser?.close());
    // Without these variables, the download caches are in the home folder, as in Studio.
    const { UV_CACHE_DIR: _, PIP_CACHE_DIR: __, ...network } = networkSettings(process.env);
    return await measure({
      ...{ browser, steps, signal, runs },
      image: {
        ...{ python, folder: join(folder.path, "bench"), logs: folder.logs },
        environment: { ...network, ...rehearsal.localAws.environment, AWS_REGION: region },
      },
      ours: { name: "ours", lifecycleConfig: ours, faults: gatewayProfiles[profile].faults, path: "marimo" },
      article: {
        name: "article",
        lifecycleConfig: articleLifecycleConfig(marimoVersion, port),
        faults: gatewayProfiles.none.faults,
        path: `proxy/${port}`,
      },
    });
  } finally {
    await browser?.close();
    // The local AWS keeps everything in memory, so nothing must be destroyed first.
    await rehearsal.stop();
  }
}

/** The lifecycle configuration that Terraform created. */
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
    const label = `cold start ${index + 1}/${Math.min(coldRuns, runs)}`;
    for (const [name, side] of [["ours", ours] as const, ["article", article] as const]) {
      makeHome(homeOf(setup.image, side), notebooksAtOnce);
      cold[name].push(await timeStart(setup, side, label));
    }
  }
  await withApp(setup, ours, "finish the installation", (app) => installed(app, setup.signal));
  for (let index = 0; index < runs; index++) {
    const label = `warm start ${index + 1}/${runs}`;
    warm.ours.push(await timeStart(setup, ours, label));
    // Takes many times as long, so few runs suffice.
    if (index < coldRuns) warm.article.push(await timeStart(setup, article, label));
  }
  const slider = await timeSlider(setup);
  const crowd = await timeMany(setup);
  const memory = { ours: await memoryOf(setup, ours), article: await memoryOf(setup, article) };
  const watcher = await watch(setup);
  return report({ cold, warm, slider, crowd, memory, watcher });
}

export const space: Benchmark = {
  about:
    "start of a space compared to the article's lifecycle script, slider compared to standalone marimo,\n20 open notebooks, added memory and processor time; takes about 15 minutes",
  defaultRuns: 10,
  run,
};
