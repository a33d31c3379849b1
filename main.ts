import { createRequire } from "node:module";
import { environments } from "./src/environments.ts";
import { checkLocks } from "./src/settings/locks.ts";
import { resolveEnvironment } from "./src/settings/resolve.ts";
import { checkStateFiles } from "./src/settings/state-file.ts";
import { validateEnvironments } from "./src/settings/validate.ts";

const wrong = validateEnvironments(environments);
const resolved = wrong.length > 0 ? [] : environments.map(resolveEnvironment);
const problems = wrong.length > 0 ? wrong : [...checkLocks(resolved), ...checkStateFiles(resolved)];
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
  const { StudioStack } = require("./src/studio-stack.ts") as typeof import("./src/studio-stack.ts");
  const app = new App();
  for (const environment of resolved) new StudioStack(app, environment);
  app.synth();
}
