import { cpSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { workFolder } from "../src/cli/paths.ts";
import { describeError, Problem } from "../src/cli/problem.ts";
import { watchMemory } from "../src/cli/process-tree.ts";
import { requirements } from "../src/cli/requirements.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { Steps } from "../src/cli/steps.ts";
import { columns, timesTable } from "../src/cli/terminal.ts";
import {
  defaultGatewayProfile,
  type GatewayProfile,
  gatewayProfileNames,
  gatewayProfiles,
} from "../src/local-studio/gateway-faults.ts";
import { firstNotebook, useMarimo, withSpace } from "../src/local-studio/journey.ts";
import { openKeptFolder } from "../src/local-studio/kept-folder.ts";
import { Rehearsal, type SpaceImage, spaceImages } from "../src/local-studio/rehearsal.ts";
import {
  exportsFileOf,
  exportsOf,
  inShell,
  removeSession,
  writeSession,
} from "../src/local-studio/session.ts";
import { text } from "../src/plan-review/plan.ts";
import { type Transport, transports } from "../src/settings/marimo.ts";

const options = {
  check: { help: "test the first sample notebook in headless Chromium, destroy everything and exit" },
  json: { help: "print one line of JSON on standard output when the rehearsal is ready" },
  gateway: {
    value: "PROFILE",
    among: gatewayProfileNames,
    help: `fault of the gateway in front of JupyterLab (default: ${defaultGatewayProfile}):\n${gatewayProfileNames
      .map((name) => `${name.padEnd(17)} ${gatewayProfiles[name].description}`)
      .join("\n")}`,
  },
  image: {
    value: "NAME",
    among: Object.keys(spaceImages),
    help: `Python packages of spaces and jobs (default: small):\n${Object.entries(spaceImages)
      .map(([name, { description }]) => `${name.padEnd(17)} ${description}`)
      .join("\n")}`,
  },
  complete: {
    help: "also deploy the buckets' lifecycle rules, for which the AWS provider waits 50 s\n(default: left out)",
  },
  ...environmentOption,
  transport: {
    value: "NAME",
    among: transports,
    help: "marimo's connection to its kernel (default: the environment's); websocket shows the effect of Studio's\ngateway on stock marimo",
  },
  iam: {
    help: "refuse what the deployed policies refuse to spaces and jobs (default: they may do everything); the\nrefusals name the closest statement, and are also in local-aws.log",
  },
  keep: {
    value: "FOLDER",
    help: "keep the Terraform state, the local AWS and the home directories in FOLDER on Ctrl-C; the next start\nwith --keep FOLDER continues with them; delete FOLDER to remove them",
  },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm start -- [options]

Rehearses the deployment on this machine, without an AWS account: starts a local AWS, deploys the stack to it with cdktf
and Terraform, and starts a JupyterLab space with its lifecycle configuration. Ctrl-C destroys everything, and so does the
end of npm. A second Ctrl-C stops immediately.
Another terminal can use the rehearsal: with \`npm run plan -- --rehearsal\` and \`npm run apply -- --rehearsal\`, or, after
the printed exports, with cdktf, Terraform and the AWS CLI.
Everything listens on the loopback interface only. The links sign you in for 12 hours. Anyone who has them can act as you,
so do not share them.

${optionsHelp(options)}

Exit status: 0 for success, 1 if a step failed or something is left after the destroy, 2 for an invalid command line,
130 if interrupted during the start.
npm itself exits with 130 after any Ctrl-C. npm also prints two lines on standard output:
\`npm start --silent -- --json\` prints only the line of JSON.
Requires Terraform (or OpenTofu) 1.10, Python 3.11 (with --image full 3.12), and for --check Chromium or Chrome (or
CHROMIUM_PATH).`;

async function main(values: Values): Promise<number> {
  const check = values.check === true;
  const image = (values.image ?? "small") as SpaceImage;
  const chromium = await requirements(check, spaceImages[image].environment);
  const { name: environmentName, awsProviderVersion } = chosenEnvironment(values);
  return rehearse({
    environmentName,
    awsProviderVersion,
    check,
    json: values.json === true,
    complete: values.complete === true,
    iam: values.iam === true,
    image,
    profile: (values.gateway ?? defaultGatewayProfile) as GatewayProfile,
    transport: values.transport as Transport | undefined,
    chromium,
    keep: text(values.keep),
  });
}

const problems = (values: Values): readonly string[] =>
  values.check && values.keep
    ? ["--check cannot be combined with --keep, because it destroys what it deployed"]
    : [];

interface Choices {
  readonly environmentName: string;
  readonly awsProviderVersion: string | undefined;
  readonly check: boolean;
  readonly json: boolean;
  readonly complete: boolean;
  readonly iam: boolean;
  readonly image: SpaceImage;
  readonly profile: GatewayProfile;
  readonly transport: Transport | undefined;
  readonly chromium: string;
  readonly keep: string | undefined;
}

async function rehearse(choices: Choices): Promise<number> {
  const {
    check,
    json,
    complete,
    iam,
    image,
    environmentName,
    awsProviderVersion,
    profile,
    transport,
    chromium,
  } = choices;
  const say = json ? console.error : console.log;
  const kept = choices.keep ? openKeptFolder(resolve(choices.keep), environmentName) : undefined;
  const folder = createRunFolder();
  const memory = watchMemory();
  const steps = new Steps();
  const interrupted = onInterrupt({
    message: kept ? "Stopping. Nothing is destroyed." : "Stopping: what was deployed is destroyed first.",
    cleanUp: () => {
      folder.remove();
      kept?.release();
    },
  });
  const spaceName = kept ? "rehearsal" : `rehearsal-${process.pid}`;
  let rehearsal: Rehearsal | undefined;
  let up = false;
  /** Whether what an interrupt stops has ended. */
  let ended = false;
  const failures: unknown[] = [];
  try {
    const running = await Rehearsal.start({
      ...{
        environmentName,
        awsProviderVersion,
        profile,
        transport,
        complete,
        iam,
        image,
        folder,
        steps,
        kept,
      },
      signal: interrupted,
    });
    rehearsal = running;
    const { studio, session } = running;
    const space = { studio, spaceName, steps, signal: interrupted, keep: kept !== undefined };
    await withSpace(space, async () => {
      up = true;
      writeSession(session);
      const found = await links(running, spaceName);
      if (json) console.log(JSON.stringify(found));
      if (check) {
        await useMarimo({
          ...{ studio, spaceName, steps, chromium },
          evidence: join(folder.logs, "browser"),
          signal: interrupted,
        });
      } else {
        say(upMessage(found, running, steps, memory.peakMebibytes()) + leftOut(complete));
        say(
          kept ? `Ctrl-C stops the rehearsal and keeps it in ${kept.path}.` : "Ctrl-C destroys everything.",
        );
        await new Promise((resolve) => interrupted.addEventListener("abort", resolve, { once: true }));
      }
      removeSession(session);
      ended = true;
    });
  } catch (error) {
    // An interrupt fails the step that it stops.
    if (!interrupted.aborted || ended || error instanceof Problem) failures.push(error);
  }
  // No interrupt stops these two, so a failure has another reason.
  const ends = [() => (kept === undefined ? rehearsal?.destroy() : undefined), () => rehearsal?.stop()];
  for (const end of ends) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  memory.stop();
  if (failures.length > 0) {
    const logs = join(workFolder, "failed", basename(folder.path));
    cpSync(folder.logs, logs, { recursive: true });
    const why = failures.map(describeError).join("\n\n").replaceAll(folder.logs, logs);
    console.error(`\n${why}\nAll logs: ${logs}`);
  } else if (check && !interrupted.aborted) {
    say(
      `\n${timesTable(steps)}\nPeak memory: ${memory.peakMebibytes()} MiB. The check passed.${leftOut(complete)}`,
    );
  }
  folder.remove();
  kept?.release();
  if (kept) {
    say(
      `Kept in ${kept.path}. To continue, run \`npm start -- --keep ${kept.path}\`. To remove it, delete the folder.`,
    );
  }
  if (failures.length > 0) return 1;
  return interrupted.aborted && (check || !up) ? 130 : 0;
}

function leftOut(complete: boolean): string {
  if (complete) return "";
  return "\nNot deployed: the buckets' lifecycle rules. To deploy them, run `npm start -- --complete`.";
}

/** The output of `--json`. The links are valid while the rehearsal runs. */
interface Links {
  readonly awsEndpoint: string;
  /** Environment variables with which the AWS CLI, an SDK or Terraform use it. */
  readonly awsEnvironment: Readonly<Record<string, string>>;
  /** The file of exports for a shell that uses it. */
  readonly exports: string;
  readonly domainId: string;
  readonly spaceName: string;
  readonly jupyterUrl: string;
  readonly gatewayUrl: string;
  readonly studioUrl: string;
  readonly jupyterLabUrl: string;
  readonly marimoUrl: string;
}

async function links({ appHost, studio, localAws, session }: Rehearsal, spaceName: string): Promise<Links> {
  const space = await appHost.find(studio.user.domainId, spaceName);
  if (space?.upstreamPort === undefined)
    throw new Error(`space ${spaceName} is in service, but its app is not running`);
  const open = (path: string) =>
    appHost.signInUrl({ ...studio.user, spaceName, landingUri: `app:JupyterLab:${path}` });
  return {
    awsEndpoint: localAws.endpoint,
    awsEnvironment: localAws.environment,
    exports: exportsFileOf(session),
    domainId: studio.user.domainId,
    spaceName,
    jupyterUrl: `http://127.0.0.1:${space.upstreamPort}/jupyterlab/default`,
    gatewayUrl: space.gateway.url,
    studioUrl: await appHost.signInUrl(studio.user),
    jupyterLabUrl: await open("lab"),
    marimoUrl: await open(`marimo/?file=${firstNotebook}`),
  };
}

function upMessage(found: Links, { created, session }: Rehearsal, steps: Steps, mebibytes: number): string {
  const total = [...created.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...created].sort(([a], [b]) => a.localeCompare(b));
  return `
${timesTable(steps)}

Deployed ${total} resources:
${columns(kinds.map(([kind, count]) => `${String(count).padStart(3)} ${kind}`))}
Peak memory so far: ${mebibytes} MiB

${exportsOf(session)}
In another terminal, after a change of src/environments.ts:
  npm run plan -- --rehearsal     reviews the change
  npm run apply -- --rehearsal    applies the change
To use npx cdktf deploy ${session.environmentName}, Terraform or the AWS CLI in that terminal, first run:
  . ${inShell(exportsFileOf(session))}
For marimo-job there, also run:
  uv tool install src/space/payload/python

  Studio      ${found.studioUrl}
  JupyterLab  ${found.jupyterLabUrl}
  marimo      ${found.marimoUrl}
  AWS         ${found.awsEndpoint}
`;
}

await runCommand({ name: "npm start", options, help, problems, run: main });
