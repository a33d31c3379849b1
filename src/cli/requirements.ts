import { findChromium } from "../local-studio/chromium.ts";
import { findPython, type PythonEnvironmentName } from "./python/python-environment.ts";
import { findTerraform } from "./terraform-cli.ts";

/**
 * Finds Terraform, a Python for the virtual environment of the spaces and, if needed, a browser.
 *
 * @returns the browser's executable, or `""` if none is needed
 * @throws AggregateError with one Problem for each missing program
 */
export async function requirements(browser: boolean, image?: PythonEnvironmentName): Promise<string> {
  const outcomes = await Promise.allSettled([
    browser ? Promise.resolve().then(() => findChromium()) : "",
    findTerraform(),
    findPython(process.env, image),
  ]);
  const missing = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (missing.length > 0) throw new AggregateError(missing);
  return outcomes[0].status === "fulfilled" ? outcomes[0].value : "";
}
