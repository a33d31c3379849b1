import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { projectFolder, workFolder } from "../src/local-studio/paths.ts";
import { Problem } from "../src/local-studio/problem.ts";
import { type Captured, capture } from "../src/local-studio/processes.ts";
import { pythonEnvironment } from "../src/local-studio/python-environment.ts";
import { Steps } from "../src/local-studio/steps.ts";
import { lockFileOf } from "../src/settings/locks.ts";
import { resolveEnvironment } from "../src/settings/resolve.ts";
import { runCommand } from "./lib/command.ts";
import { type Options, optionsHelp, type Values } from "./lib/command-line.ts";
import { chosenEnvironment, environmentProblems } from "./lib/environment-option.ts";
import { NotebookEnvironment } from "./lib/notebook-environment.ts";
import { type NotebookOutcome, writeIndex } from "./lib/notebook-pages.ts";

const samples = join(projectFolder, "sample-notebooks");

const options = {
  environment: { value: "NAME", help: "whose marimo, of src/environments.ts (default: the first)" },
  folder: { value: "FOLDER", help: "where the notebooks are (default: sample-notebooks)" },
  pages: {
    value: "FOLDER",
    help: "where each goes as an HTML page, with an index.html that says how each went",
  },
  help: { help: "show this" },
} as const satisfies Options;

const help = `usage: npm run notebooks -- [options]

Checks each notebook of a folder (\`marimo check --strict\`) and runs it as a script, on the packages of the spaces' image,
with the marimo of the environment's lock file, and without AWS. They run on a copy of the folder. What a notebook has
locked for itself (\`uv lock --script NOTEBOOK.py\`) comes before the image's. Files that are no notebook are left alone.

${optionsHelp(options)}

Exit status: 0 when every notebook passes, 1 when one does not, 2 for a wrong command line.
Needs Python and a way to the package index.`;

async function main(values: Values): Promise<number> {
  const folder = typeof values.folder === "string" ? values.folder : samples;
  const pages = typeof values.pages === "string" ? values.pages : undefined;
  const notebooks = existsSync(folder)
    ? readdirSync(folder).filter((name) => isNotebook(join(folder, name)))
    : [];
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
    const { prefix: image } = await steps.run("the image's packages", () =>
      pythonEnvironment("image", { onProgress: steps.progress }),
    );
    const environment = new NotebookEnvironment({ image, lockFile, folder: temporary });
    const marimo = await steps.run("marimo, as locked", () => environment.install());
    const copy = join(temporary, "notebooks");
    cpSync(folder, copy, { recursive: true });
    if (pages !== undefined) mkdirSync(pages, { recursive: true });
    const outcomes: NotebookOutcome[] = [];
    for (const name of notebooks) {
      const failures: string[] = [];
      const attempt = async (what: string, work: () => Promise<Captured | undefined>) => {
        const result = await steps.run(`${what} ${name}`, work);
        if (result?.status === 0) return;
        const said = `${result?.stdout ?? ""}${result?.stderr ?? ""}`.trim();
        failures.push(`${what} ${relative("", join(folder, name))}: ${said}`);
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
        await attempt("packages of", async () => {
          const own = await environment.withLockOf(join(copy, name), marimo);
          python = typeof own === "string" ? own : undefined;
          return typeof own === "string" ? { status: 0, stdout: "", stderr: "" } : own;
        });
      }
      const page = name.replace(/\.py$/, ".html");
      // A page of an earlier run would pass for this one's.
      if (pages !== undefined) rmSync(join(pages, page), { force: true });
      if (python !== undefined) {
        const own = python;
        await attempt("run", () => run(own, [name]));
        // marimo writes the page of a notebook whose cells raise as well, and ends with status 1.
        if (pages !== undefined) {
          const args = ["-m", "marimo", "export", "html", name, "--output", resolve(pages, page), "--force"];
          await attempt("page of", () => run(own, args));
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

/** As marimo 0.25.2 tells one (_server/files/directory_scanner.py, is_marimo_app); the rest are modules that they import. */
function isNotebook(file: string): boolean {
  if (!file.endsWith(".py")) return false;
  const text = readFileSync(file, "utf8");
  return text.includes("import marimo") && text.includes("marimo.App");
}

await runCommand({ name: "npm run notebooks", options, help, problems: environmentProblems, run: main });
