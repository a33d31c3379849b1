import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";

/** Name of the file that a local backend keeps an environment's state in, beside cdktf.json. */
export const stateFileOf = (environment: string) => `terraform.${environment}.tfstate`;

/**
 * Whether Terraform was killed while it wrote its state anew: it leaves a file without a byte and a backup beside it,
 * and takes that for no state. Where there is no backup there was none yet: Terraform makes the file for its lock, and
 * writes to it 20 s into an apply at the earliest (hashicorp/terraform#32680).
 */
export function lostItsState(environment: string, folder = projectFolder): boolean {
  const file = join(folder, stateFileOf(environment));
  const size = (path: string) => (existsSync(path) ? statSync(path).size : 0);
  return existsSync(file) && size(file) === 0 && size(`${file}.backup`) > 0;
}

/**
 * Environments whose next plan would make everything anew, or whose destroy would leave all of it, one message each.
 */
export function checkStateFiles(
  environments: readonly Pick<ResolvedEnvironment, "name" | "backend">[],
  folder = projectFolder,
): string[] {
  return environments.flatMap(({ name, backend }, index) => {
    const file = stateFileOf(name);
    return backend.type === "local" && lostItsState(name, folder)
      ? [
          `environments[${index}] ${quote(name)}: ${file} is empty: Terraform was killed while it wrote it, and would take it ` +
            `for no state. Copy ${file}.backup over it, then run: npm run leftovers -- --environment ${name}.`,
        ]
      : [];
  });
}
