import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suites } from "../__tests__/suites.ts";
import type { TestCounts } from "../__tests__/support/count-reporter.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { capture } from "../src/cli/processes.ts";
import { requirements } from "../src/cli/requirements.ts";
import { checkProject } from "./checks/checkers.ts";

const localAws = "src/local-studio/aws";

const options = {
  shard: { value: "K/N", help: "run only the Kth of N parts of the test files" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm test                 lint, types, unit tests, and one test file for each claim of the README
       npm run test:unit        the unit tests: Node.js only
       npm run test:SUITE       all tests of __tests__/SUITE: ${suites.join(", ")}
       npm run test:all         everything
       npm run test:rest        everything that \`npm test\` does not run

\`npm test\` also runs the tests of the local AWS if git finds a change in ${localAws}.
One file: npx vitest run --config __tests__/vitest.config.ts __tests__/unit/stack/network.test.ts

${optionsHelp(options)}

Exit status: 0 if all tests passed, 1 if not, 2 for an invalid command line. The last line is \`N passed, N failed\`.`;

const operands = ["unit", ...suites, "all", "rest"];

interface Step {
  readonly name: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failures: readonly string[];
}

async function main(operand: string | undefined, shard: Values[string]): Promise<number> {
  if (operand !== "unit") await requirements(true);
  const steps: Step[] = [];
  if (operand === undefined || operand === "all") {
    steps.push(await checkerStep("lint"), await checkerStep("typecheck"));
  }
  const arguments_ = [...(await vitestArguments(operand)), ...(shard ? [`--shard=${shard}`] : [])];
  const started = performance.now();
  const { passed, failures, files } = await vitest(arguments_);
  steps.push({ name: "tests", seconds: (performance.now() - started) / 1000, passed, failures });

  const slowest = [...files].sort((a, b) => b.seconds - a.seconds).slice(0, 10);
  console.log(`\nSlowest files:\n${slowest.map((file) => row(file.file, file.seconds)).join("\n")}`);
  console.log(`\nRun:\n${steps.map(({ name, seconds }) => row(name, seconds)).join("\n")}`);
  if (operand === undefined) {
    console.log(
      `Not run: the rest of ${suites.map((suite) => `test:${suite}`).join(", ")} (npm run test:rest)`,
    );
  }
  if (shard) console.log(`Not run: the other parts than ${shard}`);
  const failed = steps.flatMap((step) => step.failures);
  if (failed.length > 0) console.log(`\nFailed:\n${failed.map((line) => `  ${line}`).join("\n")}`);
  const sum = steps.reduce((total, step) => total + step.passed, 0);
  console.log(`\n${sum} passed, ${failed.length} failed`);
  return failed.length === 0 && sum > 0 ? 0 : 1;
}

const row = (name: string, seconds: number) => `${seconds.toFixed(1).padStart(7)} s  ${name}`;

const indent = (lines: readonly string[]) => lines.map((line) => `    ${line}`).join("\n");

async function checkerStep(name: "lint" | "typecheck"): Promise<Step> {
  const started = performance.now();
  const failures = (await checkProject(name)).map(
    (check) => `${name}: ${check.name} (npm run ${name})\n${indent(check.output.split("\n").slice(0, 20))}`,
  );
  return { name, seconds: (performance.now() - started) / 1000, passed: 0, failures };
}

/** The arguments that select the tests. __tests__/vitest.config.ts defines the projects. */
async function vitestArguments(operand: string | undefined): Promise<readonly string[]> {
  const projects = (...names: readonly string[]) => names.flatMap((name) => ["--project", name]);
  if (operand === "all") return [];
  if (operand === "unit") return projects("unit");
  if (operand === "rest") return projects(...suites);
  if (operand === undefined) {
    return projects("unit", "quick", ...((await hasChanged(localAws)) ? ["local-aws"] : []));
  }
  return [`__tests__/${operand}/`];
}

/** Whether a folder differs from the default branch of the remote. */
async function hasChanged(folder: string): Promise<boolean> {
  const git = async (...args: string[]) => await capture("git", args, { cwd: projectFolder });
  const base = (await git("merge-base", "HEAD", "refs/remotes/origin/HEAD"))?.stdout.trim() || "HEAD";
  const changed = await git("diff", "--quiet", base, "--", folder);
  const added = await git("ls-files", "--others", "--exclude-standard", "--", folder);
  return changed?.status === 1 || (added?.stdout ?? "") !== "";
}

/** Runs vitest on this terminal. */
async function vitest(args: readonly string[]): Promise<TestCounts> {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-test-"));
  const counts = join(folder, "counts.json");
  // Ctrl-C also reaches vitest, which then stops its tests.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    const program = join(projectFolder, "node_modules/vitest/vitest.mjs");
    const config = ["run", "--config", "__tests__/vitest.config.ts"];
    const child = spawn(process.execPath, [program, ...config, ...args], {
      cwd: projectFolder,
      env: { ...process.env, TEST_COUNTS_FILE: counts },
      stdio: "inherit",
    });
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    const result = JSON.parse(readFileSync(counts, "utf8")) as TestCounts;
    return status !== 0 && result.failures.length === 0
      ? { ...result, failures: [`vitest ended with status ${status} after the last test`] }
      : result;
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    return { passed: 0, failures: [`vitest did not finish: ${reason}`], files: [] };
  } finally {
    process.off("SIGINT", ignore);
    rmSync(folder, { recursive: true, force: true });
  }
}

await runCommand({
  name: "npm test",
  options,
  operands,
  help,
  run: ({ shard }, operand) => main(operand, shard),
});
