import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { projectFolder, workFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { type Captured, capture } from "../src/cli/processes.ts";
import { pythonEnvironment } from "../src/cli/python/python-environment.ts";
import { Steps } from "../src/cli/steps.ts";
import { isNotebook } from "../src/notebooks/is-notebook.ts";
import { NotebookEnvironment } from "../src/notebooks/notebook-environment.ts";
import { type NotebookOutcome, writeIndex } from "../src/notebooks/notebook-pages.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";
import { lockFileOf } from "../src/settings/locks.ts";

const samples = join(projectFolder, "sample-notebooks");

const options = {
  ...environmentOption,
  folder: { value: "FOLDER", help: "folder of the notebooks (default: sample-notebooks)" },
  pages: {
    value: "FOLDER",
    help: "write each notebook as an HTML page to FOLDER, with an index.html of the results",
  },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run notebooks -- [options]

Checks each notebook of a folder (\`marimo check --strict\`) and runs it as a script, in a copy of the folder and without
AWS. It uses the packages of the spaces' image and the marimo of the environment's lock file. Packages that a notebook
locks (\`uv lock --script NOTEBOOK.py\`) take precedence over the image's. Files that are not notebooks are skipped.

${optionsHelp(options)}

Exit status: 0 if every notebook passes, 1 if one fails, 2 for an invalid command line.
Requires Python and access to the package index.`;

async function main(values: Values): Promise<number> {
  const folder = typeof values.folder === "string" ? values.folder : samples;
  const pages = typeof values.pages === "string" ? values.pages : undefined;
  const notebooks = existsSync(folder)
    ? readdirSync(folder).filter((name) => isNotebook(join(folder, name)))
    : [];
  if (notebooks.length === 0) {
    throw new Problem({
      message: `${folder} contains no marimo notebooks (*.py).`,
      remedy: "set the folder of the notebooks with --folder",
    });
  }
  const lockFile = lockFileOf(resolveEnvironment(chosenEnvironment(values)));
  const steps = new Steps();
  mkdirSync(workFolder, { recursive: true });
  const temporary = mkdtempSync(join(workFolder, "notebooks-"));
  try {
    const { prefix: image } = await steps.run("install the image's packages", () =>
      pythonEnvironment("image", { onProgress: steps.progress }),
    );
    const environment = new NotebookEnvironment({ image, lockFile, folder: temporary });
    const marimo = await steps.run("install the locked marimo", () => environment.install());
    const copy = join(temporary, "notebooks");
    cpSync(folder, copy, { recursive: true });
    if (pages !== undefined) mkdirSync(pages, { recursive: true });
    const outcomes: NotebookOutcome[] = [];
    for (const name of notebooks) {
      const failures: string[] = [];
      const attempt = async (what: string, work: () => Promise<Captured | undefined>) => {
        const result = await steps.run(`${what} ${name}`, work);
        if (result?.status === 0) return;
        const output = `${result?.stdout ?? ""}${result?.stderr ?? ""}`.trim();
        failures.push(`${what} ${relative("", join(folder, name))}: ${output}`);
      };
      const run = (python: string, args: readonly string[]) =>
        capture(python, args, {
          cwd: copy,
          env: { PATH: process.env.PATH, HOME: temporary, AWS_EC2_METADATA_DISABLED: "true" },
          timeout: 300_000,
        });
      await attempt("check", () => run(marimo, ["-m", "marimo", "check", "--strict", name]));
      let python: string | undefined = marimo;
      if (existsSync(join(copy, `${name}.lock`))) {
        await attempt("install packages of", async () => {
          const own = await environment.withLockOf(join(copy, name), marimo);
          python = typeof own === "string" ? own : undefined;
          return typeof own === "string" ? { status: 0, stdout: "", stderr: "" } : own;
        });
      }
      const page = name.replace(/\.py$/, ".html");
      // A page of an earlier run must not be taken for this run's.
      if (pages !== undefined) rmSync(join(pages, page), { force: true });
      if (python !== undefined) {
        const own = python;
        await attempt("run", () => run(own, [name]));
        // marimo also writes the page of a notebook whose cells fail, and then exits with status 1.
        if (pages !== undefined) {
          const args = ["-m", "marimo", "export", "html", name, "--output", resolve(pages, page), "--force"];
          await attempt("export", () => run(own, args));
        }
      }
      const hasPage = pages !== undefined && existsSync(join(pages, page));
      outcomes.push({ name, page: hasPage ? page : undefined, failures });
    }
    if (pages !== undefined) writeIndex(pages, outcomes);
    const failures = outcomes.flatMap((outcome) => outcome.failures);
    for (const failure of failures) console.error(`- ${failure}`);
    console.log(`${notebooks.length} notebooks, ${failures.length} failures`);
    return failures.length > 0 ? 1 : 0;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

await runCommand({ name: "npm run notebooks", options, help, run: main });
