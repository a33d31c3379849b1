import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { goTool, openTofu } from "../../src/local-studio/go-tool.ts";
import { describeError, Problem } from "../../src/local-studio/problem.ts";
import { findPython } from "../../src/local-studio/python-environment.ts";

let folder: string;
let tools: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-go-"));
  tools = join(folder, "tools");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A machine where these programs come before any others, and no module can be downloaded. */
async function machine(programs: Readonly<Record<string, string>>): Promise<NodeJS.ProcessEnv> {
  const bin = mkdtempSync(join(folder, "bin-"));
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const { command } = await findPython(process.env);
  if (command.startsWith("/")) symlinkSync(command, join(bin, "python3"));
  return { ...process.env, PATH: `${bin}:/usr/bin:/bin`, GOPROXY: "off" };
}

/** A Go of this version, which writes what it was asked to build and how often. */
const go = (version: string, build = 'while [ "$1" != -o ]; do shift; done; echo built >"$2"') =>
  `if [ "$1" = version ]; then echo "go version go${version} linux/amd64"; exit; fi
echo "$* CGO_ENABLED=$CGO_ENABLED GOTOOLCHAIN=$GOTOOLCHAIN" >>"${join(folder, "builds")}"
${build}`;
const builds = () => readFileSync(join(folder, "builds"), "utf8").trim().split("\n");
const problemOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

describe("goTool", () => {
  it("builds a tool once, with a Go that is new enough, and nothing but what go.sum locks", async () => {
    const environment = await machine({ go: go("1.26.3") });
    const said: string[] = [];
    const options = { environment, folder: tools, onProgress: (line: string) => said.push(line) };
    const tool = await goTool("tflint", options);
    expect(readFileSync(tool, "utf8")).toBe("built\n");
    expect(await goTool("tflint", options)).toBe(tool);
    expect(builds()).toEqual([
      expect.stringMatching(
        /^build -C \S+\/go-tools\/tflint -mod=readonly .* tool CGO_ENABLED=0 GOTOOLCHAIN=local$/,
      ),
    ]);
    expect(said).toEqual([expect.stringContaining("Building tflint with Go 1.26.3")]);
  });

  it("takes the Go of a Python environment where that on the PATH is too old, or missing", async () => {
    const withoutPython = { PYENV_ROOT: join(folder, "none"), HOME: folder };
    for (const programs of [{ go: go("1.26.2") }, {}]) {
      const { PATH = "" } = await machine(programs);
      const environment = { ...withoutPython, PATH: PATH.split(":")[0] };
      rmSync(join(environment.PATH ?? "", "python3"), { force: true });
      const problem = await problemOf(goTool("tflint", { environment, folder: tools }));
      expect(describeError(problem)).toContain("Python 3.11 or later with venv and ensurepip was not found");
    }
    expect(existsSync(join(folder, "builds"))).toBe(false);
  });

  it("says why a build failed, and leaves nothing that would be taken for a tool", async () => {
    const half =
      'while [ "$1" != -o ]; do shift; done; echo half >"$2"; echo "module: 403 Forbidden" >&2; exit 1';
    const environment = await machine({ go: go("1.27.0", half) });
    const problem = await problemOf(goTool("tflint", { environment, folder: tools }));
    expect(problem).toBeInstanceOf(Problem);
    expect(describeError(problem)).toMatch(/status 1:\n {4}module: 403 Forbidden\n {2}What to do: .*GOPROXY/);
    expect(readdirSync(tools, { recursive: true })).toEqual([expect.stringMatching(/^tflint-\w{12}$/)]);
  });
});

describe("openTofu", () => {
  const tofu = (version: string) => `echo '{"terraform_version": "${version}"}'`;

  it("is the one on the PATH where it is new enough", async () => {
    const environment = await machine({ tofu: tofu("1.10.0"), go: go("1.27.0") });
    expect(await openTofu({ environment, folder: tools })).toEqual({ command: "tofu", version: "1.10.0" });
    expect(existsSync(tools)).toBe(false);
  });

  it("is built where that is too old", async () => {
    writeFileSync(join(folder, "new-tofu"), `#!/bin/sh\n${tofu("1.10.10")}\n`, { mode: 0o755 });
    const build = `while [ "$1" != -o ]; do shift; done; cp "${join(folder, "new-tofu")}" "$2"`;
    const environment = await machine({ tofu: tofu("1.9.0"), go: go("1.27.0", build) });
    const built = await openTofu({ environment, folder: tools });
    expect(built).toEqual({ command: expect.stringMatching(/tofu-\w{12}\/tofu$/), version: "1.10.10" });
  });
});
