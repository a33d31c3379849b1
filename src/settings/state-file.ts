import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { countOf, parsed } from "../state/state.ts";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";

/** Name of the file that a local backend keeps an environment's state in, beside cdktf.json. */
export const stateFileOf = (environment: string) => `terraform.${environment}.tfstate`;

/** What is wrong with a state file, and what to do. */
export interface StateFileProblem {
  readonly message: string;
  readonly remedy: string;
}

/** Name under which `npm run state` keeps that file. */
export const movedFileOf = (environment: string) => `${stateFileOf(environment)}.moved-to-s3`;

/**
 * Why an environment's state file cannot be read. Terraform that was killed, or whose disk was full, while it wrote its
 * state leaves a truncated or an empty file. It takes an empty one for no state. Terraform makes the backup beside it
 * only where there was a state before, so a first apply has none. An empty file without a backup is usual: Terraform
 * makes it for its lock, and writes to it 20 s into an apply at the earliest (hashicorp/terraform#32680).
 */
export function stateFileProblem(environment: string, folder = projectFolder): StateFileProblem | undefined {
  const file = stateFileOf(environment);
  const [state, backup = ""] = [file, `${file}.backup`]
    .map((name) => join(folder, name))
    .map((path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined));
  if (state === undefined || isWhole(state) || state + backup === "") return undefined;
  const leftovers = `npm run leftovers -- --environment ${environment}`;
  return {
    message: `${file} is ${state === "" ? "empty" : "truncated"}: Terraform was stopped while it wrote it, for example by a full disk`,
    remedy: isWhole(backup)
      ? `copy ${file}.backup over it, then run: ${leftovers}`
      : `there is no earlier state, so move it away (mv ${file} ${file}.broken) and run: ${leftovers} --remove. This lists ` +
        "what was created, and deletes it after your consent. Then deploy again",
  };
}

const isWhole = (text: string) => parsed(text) !== undefined;

/**
 * Environments whose next plan would create everything a second time, or whose destroy would leave all of it, one message
 * each.
 */
export function checkStateFiles(
  environments: readonly Pick<ResolvedEnvironment, "name" | "backend">[],
  folder = projectFolder,
): string[] {
  return environments.flatMap(({ name, backend }, index) => {
    const problem =
      backend.type === "local" ? localProblem(name, folder) : leftBehind({ name, backend }, folder);
    return problem === undefined ? [] : [`environments[${index}] ${quote(name)}: ${problem}`];
  });
}

function localProblem(name: string, folder: string): string | undefined {
  const problem = stateFileProblem(name, folder);
  if (problem !== undefined) return `${problem.message}. What to do: ${problem.remedy}.`;
  const [file, moved] = [stateFileOf(name), movedFileOf(name)];
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
