import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ResolvedEnvironment } from "./environment.ts";
import { quote } from "./problems.ts";

/** The settings that decide what is installed beside the image's packages. */
export type Packages = Pick<ResolvedEnvironment, "marimoVersion" | "extraPackages"> &
  Partial<Pick<ResolvedEnvironment, "ai">>;

/**
 * What marimo 0.25.2 needs for Bedrock (`_server/ai/providers.py`) and the image does not have. Without the extra `bedrock`,
 * whose boto3 would replace the image's in every kernel.
 */
const aiPackage = "pydantic-ai-slim==2.68.0";

/** Every package that these settings bring along, with its hashes: made by `npm run lock`, kept in git. */
export const locksFolder = fileURLToPath(new URL("../space/locks", import.meta.url));

/** What people ask for, one PEP 508 requirement each. */
export function requirementsOf({ ai, marimoVersion, extraPackages }: Packages): readonly string[] {
  const own =
    ai === undefined || extraPackages.some((one) => /^pydantic-ai-slim\b/i.test(one)) ? [] : [aiPackage];
  return [`marimo==${marimoVersion}`, ...[...extraPackages, ...own].sort()];
}

/** The lock file of these settings. Named by them, so that environments with the same packages share one. */
export function lockFileOf(packages: Packages, folder = locksFolder): string {
  const key = createHash("sha256")
    .update(JSON.stringify(requirementsOf(packages)))
    .digest("hex");
  return join(folder, `${key.slice(0, 16)}.lock`);
}

/** First line of a lock file: what it was made for. */
export const lockHeader = (packages: Packages) => `# npm run lock: ${requirementsOf(packages).join(" ")}\n`;

/** What is wrong with the environments' lock files, one message each; none where all are in place and whole. */
export function checkLocks(
  environments: readonly (Packages & { readonly name: string })[],
  folder = locksFolder,
): string[] {
  return environments.flatMap((environment, index) => {
    const problem = problemOf(environment, folder);
    const wanted = requirementsOf(environment).join(" ");
    return problem === undefined
      ? []
      : [
          `environments[${index}] ${quote(environment.name)}: the lock file of ${wanted} ${problem}. ` +
            "Run: npm run lock (and commit what it changes in src/space/locks).",
        ];
  });
}

function problemOf(packages: Packages, folder: string): string | undefined {
  const file = lockFileOf(packages, folder);
  if (!existsSync(file)) return "is missing";
  const text = readFileSync(file, "utf8");
  if (!text.startsWith(lockHeader(packages))) return "was made for other settings";
  const pins = text.replaceAll("\\\n", "").split("\n").filter(isRequirement);
  if (!pins.some((pin) => /^marimo==\S/.test(pin))) return "does not name marimo";
  const open = pins.find((pin) => !/^\S+==\S+.*(\s--hash=sha256:[0-9a-f]{64})+$/.test(pin.trimEnd()));
  if (open !== undefined) return `has ${quote(open.trim())}, which is not a pinned package with hashes`;
  return undefined;
}

const isRequirement = (line: string) => line.trim() !== "" && !line.trimStart().startsWith("#");

/** Lock files that no settings need. */
export function unusedLocks(used: readonly Packages[], folder = locksFolder): string[] {
  const files = used.map((packages) => lockFileOf(packages, folder));
  return readdirSync(folder)
    .filter((name) => name.endsWith(".lock"))
    .map((name) => join(folder, name))
    .filter((file) => !files.includes(file));
}
