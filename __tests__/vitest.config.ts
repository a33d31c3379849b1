import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { quickFiles, suites } from "./suites.ts";
import { patience } from "./support/patience.ts";
import SlowFirst from "./support/slow-first.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Otherwise a line that is printed as a file ends can fail the whole run, although all tests pass: "Closing rpc while
 * onUserConsoleLog was pending" (vitest-dev/vitest#11153, open).
 */
const disableConsoleIntercept = true;

/** Tests that run real programs: Terraform, JupyterLab, marimo, Chromium, the local AWS. Each prepares what it needs. */
const integration = {
  root,
  disableConsoleIntercept,
  testTimeout: 600_000,
  hookTimeout: 600_000,
  expect: { poll: { timeout: patience } },
  // More than two cores: a file waits some of the time, for its servers or on purpose. Four keep both cores busy.
  maxWorkers: 4,
  sequence: { groupOrder: 1 },
  // A test for each of the nine gateway profiles, in the editor and in an app, side by side.
  maxConcurrency: 18,
};

/** `unit` needs only Node.js. `quick` is what `npm test` adds to it; the other projects are the rest of each suite. */
export default defineConfig({
  root,
  test: {
    // The SDK warns on Node.js 20 in each file.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    sequence: { sequencer: SlowFirst },
    reporters: ["default", "./__tests__/support/count-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          root,
          disableConsoleIntercept,
          include: ["__tests__/unit/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // cdktf and the provider's bindings take two seconds to load: once a worker, not once a file.
          isolate: false,
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...integration,
          name: "quick",
          include: quickFiles,
        },
      },
      ...suites.map((suite) => ({
        test: {
          ...integration,
          name: suite,
          include: [`__tests__/${suite}/**/*.test.ts`],
          exclude: quickFiles,
        },
      })),
    ],
  },
});
