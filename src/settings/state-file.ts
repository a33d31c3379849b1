import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { countOf, parsed } from "../state/state.ts";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";

/** Name of the file that a local backend keeps an environment's state in, beside cdktf.json. */
export const stateFileOf = (environment: string) => `terraform.${environment}.tfstate`;

/** Name under which `npm run state` keeps that file. */
export const movedFileOf = (environment: string) => `${stateFileOf(environment)}.moved-to-s3`;

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
 * Environments whose next plan would create everything a second time, or whose destroy would leave all of it, one message
 * each.
 */
export function checkStateFiles(
  environments: readonly Pick<ResolvedEnvironment, "name" | "backend">[],
  folder = projectFolder,
): string[] {
  return environments.flatMap(({ name, backend }, index) => {
    const problem = backend.type === "local" ? lost(name, folder) : leftBehind({ name, backend }, folder);
    return problem === undefined ? [] : [`environments[${index}] ${quote(name)}: ${problem}`];
  });
}

function lost(name: string, folder: string): string | undefined {
  const [file, moved] = [stateFileOf(name), movedFileOf(name)];
  if (lostItsState(name, folder)) {
    return (
      `${file} is empty: Terraform was killed while it wrote it, and would take it for no state. ` +
      `Copy ${file}.backup over it, then run: npm run leftovers -- --environment ${name}.`
    );
  }
  if (resourcesIn(join(folder, file)) !== 0 || !existsSync(join(folder, moved))) return undefined;
  return (
    `${file} was moved to S3, but the backend is local, and a deploy would create everything a second time. ` +
    `Set the S3 backend again. If the environment was destroyed since, delete ${moved}.`
  );
}

/** The problem of an environment with a local state whose resources its backend does not have. */
export function leftBehind(
  { name, backend }: Pick<ResolvedEnvironment, "name" | "backend">,
  folder = projectFolder,
): string | undefined {
  const file = stateFileOf(name);
  const count = backend.type === "local" ? 0 : resourcesIn(join(folder, file));
  if (backend.type === "local" || count === 0) return undefined;
  return (
    `${file} ${count === undefined ? "is broken" : `has ${count} resources`}, but the backend is ` +
    `s3://${backend.bucket}/${backend.key}, and a deploy would create everything a second time. ` +
    `Move the state there: npm run state -- migrate --environment ${name}`
  );
}

/** The number of resources in a state file, 0 if there is no file or an empty one, or undefined if it is broken. */
function resourcesIn(file: string): number | undefined {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const state = text === "" ? {} : parsed(text);
  return state && countOf(state);
}
