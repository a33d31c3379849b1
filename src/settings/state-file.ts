import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";

/** Name of the file that a local backend keeps an environment's state in, beside cdktf.json. */
export const stateFileOf = (environment: string) => `terraform.${environment}.tfstate`;

/** Name of the resource that keeps the account of an environment's state in that state. */
export const stateAccountName = "state_account";

/** What is wrong with a state file, and what to do. */
export interface StateFileProblem {
  readonly message: string;
  readonly remedy: string;
}

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
  if (state === undefined || isJson(state) || state + backup === "") return undefined;
  const leftovers = `npm run leftovers -- --environment ${environment}`;
  return {
    message: `${file} is ${state === "" ? "empty" : "truncated"}: Terraform was stopped while it wrote it, for example by a full disk`,
    remedy: isJson(backup)
      ? `copy ${file}.backup over it, then run: ${leftovers}`
      : `there is no earlier state, so move it away (mv ${file} ${file}.broken) and run: ${leftovers} --remove. This lists ` +
        "what was created, and deletes it after your consent. Then deploy again",
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Environments whose next plan would make everything anew, or whose destroy would leave all of it, one message each.
 */
export function checkStateFiles(
  environments: readonly Pick<ResolvedEnvironment, "name" | "backend">[],
  folder = projectFolder,
): string[] {
  return environments.flatMap(({ name, backend }, index) => {
    const problem = backend.type === "local" ? stateFileProblem(name, folder) : undefined;
    return problem === undefined
      ? []
      : [`environments[${index}] ${quote(name)}: ${problem.message}. What to do: ${problem.remedy}.`];
  });
}
