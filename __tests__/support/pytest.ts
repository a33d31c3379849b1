import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";

/** A test with its pytest id `file::name[parameters]`, or a file that could not be collected. */
export interface PythonTest {
  readonly id: string;
  /** Why the test did not pass: a failure, an error or a skip. */
  readonly problem: string | undefined;
}

/** A line of pytest-reportlog's file, with the members that are used here. */
interface Report {
  readonly $report_type: string;
  readonly nodeid: string;
  readonly outcome: string;
  readonly longrepr: unknown;
  readonly exitstatus: number;
}

// The packages of the image come first, so that the tests use the image's versions. pytest is in the environment
// `lint`.
const program = "import site, sys; site.addsitedir(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())";

/** Runs pytest on a folder of tests. A run without tests, or one that does not finish, is an error. */
export async function runPytest(folder: string): Promise<readonly PythonTest[]> {
  const { python } = await pythonEnvironment("image");
  const lib = join((await pythonEnvironment("lint")).prefix, "lib");
  const lintPackages = join(lib, readdirSync(lib)[0] ?? "", "site-packages");
  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-pytest-"));
  const log = join(temporary, "log.json");
  try {
    const args = [
      `--config-file=${join(projectFolder, "__tests__/python/pytest.ini")}`,
      `--rootdir=${folder}`,
      `--basetemp=${join(temporary, "tmp")}`,
      `--report-log=${log}`,
      "--continue-on-collection-errors",
      ...["-p", "no:cacheprovider"],
      folder,
    ];
    const result = await capture(python, ["-B", "-P", "-c", program, lintPackages, ...args], {
      env: { PATH: process.env.PATH, HOME: "/nonexistent" },
      cwd: folder,
      timeout: 900_000,
    });
    const output = `${result?.stdout}${result?.stderr}`;
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    const reports = lines.map((line) => JSON.parse(line) as Report);
    const end = reports.find(({ $report_type }) => $report_type === "SessionFinish");
    if (end === undefined) throw new Error(`pytest did not finish in ${folder}:\n${output}`);
    const tests = testsOf(reports);
    if (tests.length === 0) throw new Error(`pytest found no tests in ${folder}:\n${output}`);
    const failed = tests.some(({ problem }) => problem !== undefined);
    if (end.exitstatus !== 0 && !failed)
      throw new Error(`pytest exited with status ${end.exitstatus}:\n${output}`);
    return tests;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function testsOf(reports: readonly Report[]): PythonTest[] {
  const problems = new Map<string, string | undefined>();
  for (const { $report_type, nodeid, outcome, longrepr } of reports) {
    const passed = outcome === "passed";
    // Each test has three reports: setup, call and teardown.
    if ($report_type === "TestReport" || ($report_type === "CollectReport" && !passed)) {
      const problem = passed ? undefined : `${outcome}: ${textOf(longrepr)}`;
      problems.set(nodeid, problems.get(nodeid) ?? problem);
    }
  }
  return [...problems].map(([id, problem]) => ({ id, problem }));
}

/** Converts pytest's description of a failure to text. */
function textOf(longrepr: unknown): string {
  if (typeof longrepr === "string") return longrepr;
  const { reprcrash, reprtraceback } = (longrepr ?? {}) as {
    reprcrash?: { path: string; lineno: number; message: string };
    reprtraceback?: { reprentries: { data: { lines: string[] } }[] };
  };
  if (reprcrash === undefined) return JSON.stringify(longrepr);
  const lines = reprtraceback?.reprentries.flatMap(({ data }) => data.lines) ?? [];
  return `${reprcrash.path}:${reprcrash.lineno}: ${reprcrash.message}\n${lines.join("\n")}`;
}
