import { join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { findChromium } from "../src/local-studio/chromium.ts";
import { useMarimo, withSpace } from "../src/local-studio/journey.ts";
import { workFolder } from "../src/local-studio/paths.ts";
import { Problem } from "../src/local-studio/problem.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { StudioClient } from "../src/local-studio/studio-client.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";
import { onInterrupt } from "./lib/interrupt.ts";
import { timesTable } from "./lib/terminal.ts";

const options = {
  environment: { value: "NAME", help: "which of src/environments.ts was deployed (default: the first)" },
  user: { value: "NAME", help: "the user profile to work as (default: the domain's first)" },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run verify -- [options]

Uses a deployed environment as a person does, with your AWS credentials: makes a JupyterLab space of its own, opens it
by a presigned URL in headless Chromium, opens the first sample notebook in marimo, moves its slider, reloads; then
deletes the app and the space. The app costs what its instance costs for these minutes.

${optionsHelp(options)}

Exit status: 0 when all went well, 1 when a step failed, 2 for a wrong command line, 130 when interrupted.
Needs Chromium or Chrome (or CHROMIUM_PATH), and permission for what Studio's user interface does: ListDomains,
ListUserProfiles, CreateSpace, CreateApp, CreatePresignedDomainUrl and their Describe and Delete.`;

async function main(values: Values): Promise<number> {
  const { name, region, authentication } = resolveEnvironment(chosenEnvironment(values));
  if (authentication === "SSO") {
    throw new Problem({
      message: `The environment "${name}" signs people in by IAM Identity Center, which presigned URLs cannot do.`,
      remedy: "sign in at the domain's address and open marimo from JupyterLab's launcher by hand",
    });
  }
  const chromium = findChromium();
  const steps = new Steps();
  const signal = onInterrupt({ message: "Stopping: deleting the app and the space.", cleanUp: () => {} });
  // AWS_ENDPOINT_URL, where it is set, leads to the local AWS of `npm start`, which needs no patience.
  const poll = process.env.AWS_ENDPOINT_URL ? 200 : 5000;
  const user = typeof values.user === "string" ? values.user : undefined;
  const evidence = join(workFolder, "verify");
  try {
    const studio = await steps.run("find the Studio domain", () =>
      StudioClient.find(new SageMakerClient({ region }), name, poll, user),
    );
    const space = { studio, spaceName: `verify-${Date.now().toString(36)}`, steps, signal };
    await withSpace(space, () => useMarimo({ ...space, chromium, evidence, timeout: 300_000 }));
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  }
  console.log(
    `\n${timesTable(steps)}\nmarimo works in "${name}". Screenshot: ${join(evidence, "marimo.png")}`,
  );
  return 0;
}

await runCommand({ name: "npm run verify", options, help, problems: environmentProblems, run: main });
