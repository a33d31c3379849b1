import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { capture } from "../src/cli/processes.ts";
import { pythonEnvironment } from "../src/cli/python/python-environment.ts";
import { environments } from "../src/environments.ts";
import { resolveAi } from "../src/settings/ai.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";
import { lockFileOf, lockHeader, locksFolder, requirementsOf, unusedLocks } from "../src/settings/locks.ts";
import { validateEnvironments } from "../src/settings/validate.ts";
import { writeSampleResults } from "./lock/sample-results.ts";

const options = {
  upgrade: { help: "upgrade locked packages to the newest allowed versions" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run lock [-- --upgrade]

Resolves marimoVersion, extraPackages and ai of each environment in src/environments.ts to exact versions with hashes, and
writes them to src/space/locks. Spaces install only these packages. Run this command after a change of these settings and
commit the result. Locked packages keep their versions. A new lock file starts from the versions of the default one.

Then runs the sample notebooks that changed, and writes their results to sample-notebooks/results: spaces show them before
anybody has run the notebook.

${optionsHelp(options)}

Exit status: 0 if all lock files are up to date, 1 if one could not be written, 2 for an invalid command line.
Requires access to the package index that uv is configured for (UV_DEFAULT_INDEX).`;

async function main(values: Values): Promise<number> {
  const wrong = validateEnvironments(environments);
  if (wrong.length > 0) {
    throw new Problem({
      message: `src/environments.ts:\n${wrong.map((problem) => `- ${problem}`).join("\n")}`,
      remedy: "correct the settings, then run this command again",
    });
  }
  // The samples import more than the packages that this project itself uses.
  const { prefix } = await pythonEnvironment("image-full", { onProgress: console.error });
  // The default lock files, without and with `ai`, are always kept: a new environment starts from the first.
  const standard = resolveEnvironment({ name: "default" });
  const withAi = { ...standard, ai: resolveAi({ chatModel: "amazon.nova-lite-v1:0" }, standard.region) };
  const wanted = [standard, withAi, ...environments.map(resolveEnvironment)];
  mkdirSync(locksFolder, { recursive: true });
  for (const packages of new Map(wanted.map((one) => [lockFileOf(one), one])).values()) {
    const file = lockFileOf(packages);
    // New lock files start from the versions of the default one, so that environments do not differ more than
    // necessary.
    const start = [file, lockFileOf(standard)].find(existsSync);
    await lock({ uv: join(prefix, "bin/uv"), packages, file, start, upgrade: values.upgrade === true });
    console.log(`${relative(projectFolder, file)}  ${requirementsOf(packages).join(" ")}`);
  }
  for (const file of unusedLocks(wanted)) {
    rmSync(file);
    console.log(`${relative(projectFolder, file)}  removed: no environment uses these packages`);
  }
  await writeSampleResults({ image: prefix, lockFile: lockFileOf(standard), log: console.log });
  return 0;
}

async function lock(props: {
  readonly uv: string;
  readonly packages: Parameters<typeof lockFileOf>[0];
  readonly file: string;
  /** The lock file whose versions are kept. */
  readonly start: string | undefined;
  readonly upgrade: boolean;
}): Promise<void> {
  const { uv, packages, file, start, upgrade } = props;
  const [requirements, locked] = [`${file}.in`, `${file}.new`];
  try {
    writeFileSync(
      requirements,
      requirementsOf(packages)
        .map((requirement) => `${requirement}\n`)
        .join(""),
    );
    // uv keeps the versions in an existing output file.
    if (start !== undefined) copyFileSync(start, locked);
    const result = await capture(
      uv,
      [
        ...["pip", "compile", requirements, "--output-file", locked, "--quiet"],
        // Supports all images of spaces: SageMaker Distribution 4.x has Python 3.12, a custom image may have 3.11.
        ...["--universal", "--python-version", "3.11", "--generate-hashes"],
        // The file must not depend on the machine or its package index.
        ...["--no-header", "--no-emit-index-url", "--no-annotate"],
        ...(upgrade ? ["--upgrade"] : []),
      ],
      { env: process.env, timeout: 300_000 },
    );
    if (result?.status !== 0) {
      throw new Problem({
        message: `uv could not resolve ${requirementsOf(packages).join(" ")}:\n${result?.stderr.trim() ?? "it did not start"}`,
        remedy:
          "correct marimoVersion or extraPackages in src/environments.ts, or the access to the package index",
      });
    }
    writeFileSync(
      locked,
      lockHeader(packages) + readFileSync(locked, "utf8").replace(/^# npm run lock.*\n/, ""),
    );
    renameSync(locked, file);
  } finally {
    for (const temporary of [requirements, locked]) rmSync(temporary, { force: true });
  }
}

await runCommand({ name: "npm run lock", options, help, run: main });
