import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";
import { allowsVersion, firstVersion } from "./provider-version.ts";

/** Name of the file beside cdktf.json in which a team keeps an environment's provider: `npm run provider-lock`. */
export const providerLockOf = (environment: string) => `terraform.${environment}.lock.hcl`;

/** The lock of an environment, where its team has committed one. */
export function committedProviderLock(environment: string, folder = projectFolder): string | undefined {
  const file = join(folder, providerLockOf(environment));
  return existsSync(file) ? file : undefined;
}

/** Gives each synthesized stack the lock that its team has committed, which Terraform then takes for its own. */
export function copyProviderLocks(
  environments: readonly Pick<ResolvedEnvironment, "name">[],
  outdir: string,
  folder = projectFolder,
): void {
  for (const { name } of environments) {
    const lock = committedProviderLock(name, folder);
    if (lock !== undefined) copyFileSync(lock, join(outdir, "stacks", name, ".terraform.lock.hcl"));
  }
}

/**
 * Committed locks that the settings do not allow, one message each: cdktf would upgrade the provider without a word.
 */
export function checkProviderLocks(
  environments: readonly Pick<ResolvedEnvironment, "name" | "awsProviderVersion">[],
  folder = projectFolder,
): string[] {
  return environments.flatMap(({ name, awsProviderVersion }, index) => {
    const lock = committedProviderLock(name, folder);
    const problem =
      lock === undefined ? undefined : problemOf(readFileSync(lock, "utf8"), awsProviderVersion);
    return problem === undefined
      ? []
      : [
          `environments[${index}] ${quote(name)}: ${providerLockOf(name)} ${problem}. ` +
            `Run: npm run provider-lock -- --environment ${name} (and commit the file).`,
        ];
  });
}

/** The version of hashicorp/aws in a lock file, whichever registry it is from, and the constraint it was made for. */
export function lockedProvider(
  lock: string,
): { readonly version: string; readonly constraint: string | undefined } | undefined {
  const block = /^provider "[^"]*\/hashicorp\/aws" \{\n(.*?)^\}/ms.exec(lock)?.[1] ?? "";
  const version = /^\s*version\s*=\s*"([^"]+)"/m.exec(block)?.[1];
  const constraint = /^\s*constraints\s*=\s*"([^"]+)"/m.exec(block)?.[1];
  return version === undefined ? undefined : { version, constraint };
}

function problemOf(lock: string, wanted: string): string | undefined {
  const locked = lockedProvider(lock);
  if (locked === undefined) return "does not lock a version of hashicorp/aws";
  const { version, constraint = wanted } = locked;
  if (!allowsVersion(wanted, version)) {
    return `locks hashicorp/aws ${version}, which awsProviderVersion ${quote(wanted)} does not allow`;
  }
  // What cdktf compares: where the lock's constraint does not allow it, cdktf runs `terraform init -upgrade`.
  return allowsVersion(constraint, firstVersion(wanted) ?? "")
    ? undefined
    : `was made for ${quote(constraint)}, and awsProviderVersion is ${quote(wanted)}`;
}
