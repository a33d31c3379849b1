import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { projectFolder, workFolder } from "../src/local-studio/paths.ts";
import { Problem } from "../src/local-studio/problem.ts";
import { capture } from "../src/local-studio/processes.ts";
import { pythonEnvironment } from "../src/local-studio/python-environment.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { lockFileOf } from "../src/settings/locks.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";

const samples = join(projectFolder, "sample-notebooks");

const options = {
  environment: { value: "NAME", help: "whose marimo, of src/environments.ts (default: the first)" },
  folder: { value: "FOLDER", help: "where the notebooks are (default: sample-notebooks)" },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run notebooks -- [options]

Checks each notebook of a folder (\`marimo check --strict\`) and runs it as a script, on the packages of the spaces' image,
with the marimo of the environment's lock file, and without AWS. They run on a copy of the folder.

${optionsHelp(options)}

Exit status: 0 when every notebook passes, 1 when one does not, 2 for a wrong command line.
Needs Python and a way to the package index.`;

async function main(values: Values): Promise<number> {
  const folder = typeof values.folder === "string" ? values.folder : samples;
  const notebooks = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".py")) : [];
  if (notebooks.length === 0) {
    throw new Problem({
      message: `There is no notebook (*.py) in ${folder}.`,
      remedy: "name their folder with --folder",
    });
  }
  const lockFile = lockFileOf(resolveEnvironment(chosenEnvironment(values)));
  const steps = new Steps();
  mkdirSync(workFolder, { recursive: true });
  const temporary = mkdtempSync(join(workFolder, "notebooks-"));
  try {
    const { prefix } = await steps.run("the image's packages", () =>
      pythonEnvironment("image", { onProgress: steps.progress }),
    );
    const python = await steps.run("marimo, as locked", () => installMarimo(prefix, lockFile, temporary));
    const copy = join(temporary, "notebooks");
    cpSync(folder, copy, { recursive: true });
    const failures: string[] = [];
    for (const name of notebooks) {
      for (const [what, args] of [
        ["check", ["-m", "marimo", "check", "--strict", name]],
        ["run", [name]],
      ] as const) {
        const result = await steps.run(`${what} ${name}`, () =>
          capture(python, args, {
            cwd: copy,
            env: { PATH: process.env.PATH, HOME: temporary, AWS_EC2_METADATA_DISABLED: "true" },
            timeout: 300_000,
          }),
        );
        if (result?.status !== 0) {
          failures.push(
            `${what} ${relative("", join(folder, name))}: ${`${result?.stdout ?? ""}${result?.stderr ?? ""}`.trim()}`,
          );
        }
      }
    }
    for (const failure of failures) console.error(`- ${failure}`);
    console.log(`${notebooks.length} notebooks, ${failures.length} failures`);
    return failures.length > 0 ? 1 : 0;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** As in a space: an environment of its own, in which the image's packages come after its own. */
async function installMarimo(image: string, lockFile: string, folder: string): Promise<string> {
  const environment = join(folder, "environment");
  const python = join(environment, "bin/python");
  const purelib = ["-c", 'import sysconfig; print(sysconfig.get_path("purelib"), end="")'];
  const uv = join(image, "bin/uv");
  for (const args of [
    ["venv", "--quiet", "--python", join(image, "bin/python"), environment],
    ["pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", lockFile],
  ]) {
    const result = await capture(uv, args, { env: process.env, timeout: 300_000 });
    if (result?.status === 0) continue;
    throw new Problem({
      message: `marimo could not be installed: ${result?.stderr.trim() ?? "uv did not start"}`,
      remedy: "see uv's message above; it needs a way to the package index",
    });
  }
  const [own, theirs] = await Promise.all(
    [python, join(image, "bin/python")].map(async (one) => (await capture(one, purelib))?.stdout ?? ""),
  );
  writeFileSync(
    join(own ?? "", "sagemaker_image.pth"),
    `import site; site.addsitedir(${JSON.stringify(theirs)})\n`,
  );
  return python;
}

await runCommand({ name: "npm run notebooks", options, help, problems: environmentProblems, run: main });
