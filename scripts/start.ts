import { cpSync } from "node:fs";
import { basename, join } from "node:path";
import { findChromium } from "../src/local-studio/chromium.ts";
import {
  defaultGatewayProfile,
  type GatewayProfile,
  gatewayProfileNames,
  gatewayProfiles,
} from "../src/local-studio/gateway-faults.ts";
import { firstNotebook, useMarimo, withSpace } from "../src/local-studio/journey.ts";
import { workFolder } from "../src/local-studio/paths.ts";
import { describeError, Problem } from "../src/local-studio/problem.ts";
import { watchMemory } from "../src/local-studio/process-tree.ts";
import { findPython } from "../src/local-studio/python-environment.ts";
import { Rehearsal } from "../src/local-studio/rehearsal.ts";
import { createRunFolder } from "../src/local-studio/run-folder.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { findTerraform } from "../src/local-studio/terraform-cli.ts";
import { type Transport, transports } from "../src/settings/types.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";
import { onInterrupt } from "./lib/interrupt.ts";
import { columns, timesTable } from "./lib/terminal.ts";

const options = {
  check: { help: "open the first sample notebook in headless Chromium, use it, destroy everything, end" },
  json: { help: "print one line of JSON on standard output as soon as all is up" },
  gateway: {
    value: "PROFILE",
    among: gatewayProfileNames,
    help: `what the gateway in front of JupyterLab does (default: ${defaultGatewayProfile}):\n${gatewayProfileNames
      .map((name) => `${name.padEnd(17)} ${gatewayProfiles[name].description}`)
      .join("\n")}`,
  },
  environment: { value: "NAME", help: "which of src/environments.ts to rehearse (default: the first)" },
  transport: {
    value: "NAME",
    among: transports,
    help: "marimo's connection to its kernel (default: the environment's); websocket shows what Studio's gateway breaks",
  },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm start -- [options]

Rehearses the whole path on this machine, without an AWS account: starts a local AWS, deploys the stack to it with the
real cdktf and Terraform, starts a JupyterLab space with its lifecycle configuration, and stays until Ctrl-C (or npm's
end), which destroys it all. A second Ctrl-C ends everything at once. Nothing listens but on the loopback interface, where the
gateway lets in whoever asks: the presigned URL's sign-in is played, not enforced.

${optionsHelp(options)}

Exit status: 0 when all went well, 1 when a step failed, 2 for a wrong command line, 130 when interrupted on the way up;
npm itself answers 130 after any Ctrl-C. npm also prints two lines of its own on standard output:
\`npm start --silent -- --json\` leaves the one line of JSON.
Needs Terraform (or OpenTofu) 1.10, Python 3.11, and for --check Chromium or Chrome (or CHROMIUM_PATH).`;

async function main(values: Values): Promise<number> {
  const check = values.check === true;
  const chromium = await requirements(check);
  return rehearse({
    environmentName: chosenEnvironment(values).name,
    check,
    json: values.json === true,
    profile: (values.gateway ?? defaultGatewayProfile) as GatewayProfile,
    transport: values.transport as Transport | undefined,
    chromium,
  });
}

interface Choices {
  readonly environmentName: string;
  readonly check: boolean;
  readonly json: boolean;
  readonly profile: GatewayProfile;
  readonly transport: Transport | undefined;
  readonly chromium: string;
}

async function rehearse(choices: Choices): Promise<number> {
  const { check, json, environmentName, profile, transport, chromium } = choices;
  const say = json ? console.error : console.log;
  const folder = createRunFolder();
  const memory = watchMemory();
  const steps = new Steps();
  const interrupted = onInterrupt({
    message: "Stopping: destroying what was deployed.",
    cleanUp: () => folder.remove(),
  });
  const spaceName = `rehearsal-${process.pid}`;
  let rehearsal: Rehearsal | undefined;
  let up = false;
  let failure: unknown;
  try {
    const running = await Rehearsal.start({
      ...{ environmentName, profile, transport, folder, steps },
      signal: interrupted,
    });
    rehearsal = running;
    const { studio } = running;
    await withSpace({ studio, spaceName, steps, signal: interrupted }, async () => {
      up = true;
      const found = await links(running, spaceName);
      if (json) console.log(JSON.stringify(found.json));
      if (check) {
        await useMarimo({
          ...{ studio, spaceName, steps, chromium },
          evidence: join(folder.logs, "browser"),
          signal: interrupted,
        });
      } else {
        say(upMessage(found, running, steps, memory.peakMebibytes()));
        await new Promise((resolve) => interrupted.addEventListener("abort", resolve, { once: true }));
      }
    });
  } catch (error) {
    failure = error;
  }
  try {
    await rehearsal?.destroy();
  } catch (error) {
    failure ??= error;
  }
  await rehearsal?.stop();
  memory.stop();
  const stopped = interrupted.aborted && !(failure instanceof Problem);
  if (failure !== undefined && !stopped) {
    const kept = join(workFolder, "failed", basename(folder.path));
    cpSync(folder.logs, kept, { recursive: true });
    console.error(`\n${describeError(failure).replaceAll(folder.logs, kept)}\nAll logs: ${kept}`);
  } else if (check && !stopped) {
    say(`\n${timesTable(steps)}\nPeak memory: ${memory.peakMebibytes()} MiB. The check passed.`);
  }
  folder.remove();
  if (failure !== undefined && !stopped) return 1;
  return interrupted.aborted && (check || !up) ? 130 : 0;
}

/** Finds all that is missing at once; the path of the browser where one is needed. */
async function requirements(browser: boolean): Promise<string> {
  const outcomes = await Promise.allSettled([
    browser ? Promise.resolve().then(() => findChromium()) : "",
    findTerraform(),
    findPython(process.env),
  ]);
  const missing = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (missing.length > 0) throw new AggregateError(missing);
  return outcomes[0].status === "fulfilled" ? outcomes[0].value : "";
}

interface Links {
  readonly studio: string;
  readonly jupyterLab: string;
  readonly json: {
    readonly awsEndpoint: string;
    readonly domainId: string;
    readonly spaceName: string;
    readonly jupyterUrl: string;
    readonly gatewayUrl: string;
    readonly marimoUrl: string;
  };
}

async function links({ appHost, studio, localAws }: Rehearsal, spaceName: string): Promise<Links> {
  const { domainId, userProfileName } = studio.user;
  const space = await appHost.find(domainId, spaceName);
  if (space?.upstreamPort === undefined)
    throw new Error(`space ${spaceName} is in service, but nothing runs`);
  const gatewayUrl = space.gateway.url;
  const base = `${gatewayUrl}/jupyterlab/default`;
  return {
    studio: `${appHost.url}/studio/${domainId}/${userProfileName}`,
    jupyterLab: `${base}/lab`,
    json: {
      awsEndpoint: localAws.endpoint,
      domainId,
      spaceName,
      jupyterUrl: `http://127.0.0.1:${space.upstreamPort}/jupyterlab/default`,
      gatewayUrl,
      marimoUrl: `${base}/marimo/?file=${firstNotebook}`,
    },
  };
}

function upMessage(found: Links, { created }: Rehearsal, steps: Steps, mebibytes: number): string {
  const total = [...created.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...created].sort(([a], [b]) => a.localeCompare(b));
  return `
  Studio      ${found.studio}
  JupyterLab  ${found.jupyterLab}
  marimo      ${found.json.marimoUrl}
  AWS         ${found.json.awsEndpoint} (AWS_ENDPOINT_URL; keys test, test)

${timesTable(steps)}

Created ${total} resources:
${columns(kinds.map(([kind, count]) => `${String(count).padStart(3)} ${kind}`))}
Memory so far: ${mebibytes} MiB at most

Ctrl-C destroys all of it.`;
}

await runCommand({ name: "npm start", options, help, problems: environmentProblems, run: main });
