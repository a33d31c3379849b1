import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { Problem } from "../../src/cli/problem.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";

/**
 * The JSON that a script of this folder prints in the virtual environment of the local AWS, which has botocore.
 * Throws a Problem with the script's error if it fails.
 */
export async function printedJson(
  script: string,
  failure: { readonly what: string; readonly remedy: string },
): Promise<unknown> {
  const { python } = await pythonEnvironment("aws", { onProgress: console.error });
  const result = await capture(python, [join(projectFolder, "scripts/refresh", script)]);
  if (result?.status === 0) return JSON.parse(result.stdout);
  throw new Problem({
    message: `${failure.what} could not be read:\n${result?.stderr.trim() ?? "Python did not start"}`,
    remedy: failure.remedy,
  });
}
