import { join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { workFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { Steps } from "../src/cli/steps.ts";
import { timesTable } from "../src/cli/terminal.ts";
import { findChromium } from "../src/local-studio/chromium.ts";
import { useMarimo, withSpace } from "../src/local-studio/journey.ts";
import { StudioClient } from "../src/local-studio/studio-client.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";

const options = {
  ...environmentOption,
  user: { value: "NAME", help: "user profile to use (default: the domain's first)" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run verify -- [options]

Tests a deployed environment like a user, with your AWS credentials. Creates a JupyterLab space, opens it by a presigned
URL in headless Chromium, opens the first sample notebook in marimo, moves its slider and reloads the page. Then it deletes
the app and the space. You pay for the instance of the app for these minutes.

${optionsHelp(options)}

Exit status: 0 for success, 1 if a step failed, 2 for an invalid command line, 130 if interrupted.
Requires Chromium or Chrome (or CHROMIUM_PATH), and permission for the calls of Studio's user interface: ListDomains,
ListUserProfiles, CreateSpace, CreateApp, CreatePresignedDomainUrl, and their Describe and Delete calls.`;

async function main(values: Values): Promise<number> {
  const { name, region, authentication } = resolveEnvironment(chosenEnvironment(values));
  if (authentication === "SSO") {
    throw new Problem({
      message: `The environment "${name}" uses IAM Identity Center, which does not support presigned URLs.`,
      remedy: "sign in at the domain's URL and open marimo from JupyterLab's launcher by hand",
    });
  }
  const chromium = findChromium();
  const steps = new Steps();
  const signal = onInterrupt({ message: "Stopping: deleting the app and the space.", cleanUp: () => {} });
  // AWS_ENDPOINT_URL is set for the local AWS of `npm start`, which responds quickly.
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

await runCommand({ name: "npm run verify", options, help, run: main });
