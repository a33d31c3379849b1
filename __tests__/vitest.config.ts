import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Two projects: `unit` needs Node.js alone; `integration` runs the real programs (Terraform,
 * JupyterLab, marimo, Chromium, the local AWS) and prepares what it needs before the first test.
 */
export default defineConfig({
  root,
  test: {
    reporters: ["default", "./__tests__/count-reporter.ts"],
    projects: [
      {
        test: { name: "unit", root, include: ["__tests__/unit/**/*.test.ts"], testTimeout: 60_000 },
      },
      {
        test: {
          name: "integration",
          root,
          include: ["__tests__/integration/**/*.test.ts"],
          globalSetup: ["__tests__/integration/prepare.ts"],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // The machine's cores are few, and a file waits for its servers much of the time.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          // Real browsers and servers on a machine that may be busy: a second failure is one. The report names the rest.
          retry: 1,
          // A test for each of the nine gateway profiles, side by side.
          maxConcurrency: 9,
        },
      },
    ],
  },
});
