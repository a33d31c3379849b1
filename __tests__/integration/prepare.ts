import { findChromium } from "../../src/local-studio/chromium.ts";
import { goTool, openTofu } from "../../src/local-studio/go-tool.ts";
import { describeError } from "../../src/local-studio/problem.ts";
import { type PythonEnvironmentName, pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { findTerraform } from "../../src/local-studio/terraform-cli.ts";

const environments: readonly PythonEnvironmentName[] = ["aws", "iam", "image", "image-3", "lint", "scan"];

/** Prepares what the integration tests run. What is missing is an error that says what to do, never a skipped test. */
export default async function prepare(): Promise<void> {
  const outcomes = await Promise.allSettled([
    findTerraform(),
    (async () => findChromium())(),
    // One after another: each uses all cores.
    (async () => {
      for (const name of environments) {
        await pythonEnvironment(name, { onProgress: (line) => progress(name, line) });
      }
      await openTofu({ onProgress: console.log });
      await goTool("tflint", { onProgress: console.log });
    })(),
  ]);
  const missing = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (missing.length > 0) throw new Error(`\n${missing.map(describeError).join("\n\n")}`);
}

function progress(name: string, line: string): void {
  if (/^(Installing|Successfully|Compiling)/.test(line)) console.log(`${name}: ${line.slice(0, 100)}`);
}
