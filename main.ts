import { createRequire } from "node:module";
import { environments } from "./src/environments.ts";
import { resolveEnvironment } from "./src/settings/environment.ts";
import { checkLocks } from "./src/settings/locks.ts";
import { untestedVersionWarning } from "./src/settings/marimo.ts";
import { checkProviderLocks, copyProviderLocks } from "./src/settings/provider-lock.ts";
import { checkStateFiles } from "./src/settings/state-file.ts";
import { validateEnvironments } from "./src/settings/validate.ts";
import { removedEnvironments, removedWarning } from "./src/state/removed.ts";

const { CDKTF_OUTDIR, SAGEMAKER_MARIMO_REHEARSAL } = process.env;
// Loaded only in a rehearsal, whose variables `npm start` sets and prints.
const rehearsal = SAGEMAKER_MARIMO_REHEARSAL
  ? (await import("./src/local-studio/rehearsed-synthesis.ts")).rehearsedSynthesis({
      file: SAGEMAKER_MARIMO_REHEARSAL,
      output: CDKTF_OUTDIR,
      environments,
    })
  : undefined;
const wrong = [...(rehearsal?.problems ?? []), ...validateEnvironments(environments)];
const resolved = wrong.length > 0 ? [] : environments.map(resolveEnvironment);
const problems =
  wrong.length > 0
    ? wrong
    : [
        ...checkLocks(resolved),
        // A rehearsal has a state of its own.
        ...(rehearsal ? [] : checkStateFiles(resolved)),
        ...checkProviderLocks(resolved),
      ];
if (problems.length > 0) {
  console.error(`src/environments.ts: ${problems.length} to correct, nothing was synthesized\n`);
  for (const problem of problems) console.error(`- ${problem}`);
  process.exitCode = 1;
} else {
  // cdktf records a stack trace with every token: with the source maps that tsx turns on, a third of the whole time.
  // `node --enable-source-maps --import tsx main.ts` keeps TypeScript's line numbers in a trace.
  process.setSourceMapsEnabled(process.execArgv.includes("--enable-source-maps"));
  // Loaded only now, since cdktf takes most of the rest and its App makes the output folder; and with `require`, since
  // Node.js parses each CommonJS file that ES modules import, cdktf and the bindings, for its exports before it runs it.
  const require = createRequire(import.meta.url);
  const { App } = require("cdktf") as typeof import("cdktf");
  const { RemovedStack } =
    require("./src/stack/removed-stack.ts") as typeof import("./src/stack/removed-stack.ts");
  const { StudioStack } =
    require("./src/stack/studio-stack.ts") as typeof import("./src/stack/studio-stack.ts");
  const app = new App();
  const chosen = resolved.filter(({ name }) => !rehearsal?.leavesOut(name));
  for (const warning of chosen.flatMap((environment) => untestedVersionWarning(environment) ?? []))
    console.warn(warning);
  for (const environment of chosen) new StudioStack(app, environment);
  const removed = rehearsal ? [] : removedEnvironments(environments);
  for (const environment of removed) console.warn(removedWarning(environment));
  const destroyable = removed.filter(({ resources }) => resources !== undefined);
  for (const environment of destroyable) new RemovedStack(app, environment);
  app.synth();
  copyProviderLocks([...chosen, ...destroyable], app.outdir);
  rehearsal?.writeOverride();
}
