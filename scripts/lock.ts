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
import { environments } from "../src/environments.ts";
import { projectFolder } from "../src/local-studio/paths.ts";
import { Problem } from "../src/local-studio/problem.ts";
import { capture } from "../src/local-studio/processes.ts";
import { pythonEnvironment } from "../src/local-studio/python-environment.ts";
import { lockFileOf, lockHeader, locksFolder, requirementsOf, unusedLocks } from "../src/settings/locks.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { validateEnvironments } from "../src/settings/validate.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";

const options = {
  upgrade: { help: "take the newest versions that fit, also where a lock file is in place" },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run lock [-- --upgrade]

Resolves marimoVersion and extraPackages of each environment in src/environments.ts to exact versions with hashes, in
src/space/locks: what spaces install, and nothing else. Run it after a change of either setting and commit the result.
What is locked already keeps its versions, and new settings start from those of the defaults' file.

${optionsHelp(options)}

Exit status: 0 when every lock file is in place, 1 when one could not be made, 2 for a wrong command line.
Needs a way to the package index, as uv is configured to find it (UV_DEFAULT_INDEX).`;

async function main(values: Values): Promise<number> {
  const wrong = validateEnvironments(environments);
  if (wrong.length > 0) {
    throw new Problem({
      message: `src/environments.ts:\n${wrong.map((problem) => `- ${problem}`).join("\n")}`,
      remedy: "correct the settings, then run it again",
    });
  }
  const { prefix } = await pythonEnvironment("image", { onProgress: console.error });
  // The defaults' own file stays, whatever the environments have: a new environment starts from it.
  const usual = resolveEnvironment({ name: "default" });
  const wanted = [usual, ...environments.map(resolveEnvironment)];
  mkdirSync(locksFolder, { recursive: true });
  for (const packages of new Map(wanted.map((one) => [lockFileOf(one), one])).values()) {
    const file = lockFileOf(packages);
    // New settings start from the versions of the defaults' file, which is first: two environments differ in nothing else.
    const start = [file, lockFileOf(usual)].find(existsSync);
    await lock({ uv: join(prefix, "bin/uv"), packages, file, start, upgrade: values.upgrade === true });
    console.log(`${relative(projectFolder, file)}  ${requirementsOf(packages).join(" ")}`);
  }
  for (const file of unusedLocks(wanted)) {
    rmSync(file);
    console.log(`${relative(projectFolder, file)}  removed: no environment has these packages any more`);
  }
  return 0;
}

async function lock(props: {
  readonly uv: string;
  readonly packages: Parameters<typeof lockFileOf>[0];
  readonly file: string;
  /** The file whose versions are kept. */
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
    // uv keeps the versions that its output file has already.
    if (start !== undefined) copyFileSync(start, locked);
    const result = await capture(
      uv,
      [
        ...["pip", "compile", requirements, "--output-file", locked, "--quiet"],
        // For every image that may start a space: SageMaker Distribution 2.x has Python 3.11, 3.x and 4.x have 3.12.
        ...["--universal", "--python-version", "3.11", "--generate-hashes"],
        // Neither the machine nor its index: the same file wherever it is made.
        ...["--no-header", "--no-emit-index-url", "--no-annotate"],
        ...(upgrade ? ["--upgrade"] : []),
      ],
      { env: process.env, timeout: 300_000 },
    );
    if (result?.status !== 0) {
      throw new Problem({
        message: `uv could not resolve ${requirementsOf(packages).join(" ")}:\n${result?.stderr.trim() ?? "it did not start"}`,
        remedy:
          "correct marimoVersion or extraPackages in src/environments.ts, or the way to the package index",
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
