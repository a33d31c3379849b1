import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listOf, optionsHelp, readCommandLine } from "../../scripts/lib/command-line.ts";
import { findChromium } from "../../src/local-studio/chromium.ts";
import { rehearsalOverride } from "../../src/local-studio/deployment.ts";
import { describeError, Problem, StepFailure } from "../../src/local-studio/problem.ts";
import { descendants } from "../../src/local-studio/process-tree.ts";
import { findPython } from "../../src/local-studio/python-environment.ts";
import { createRunFolder } from "../../src/local-studio/run-folder.ts";
import { Steps } from "../../src/local-studio/steps.ts";
import {
  compareVersions,
  findTerraform,
  providerProblem,
  terraformEnvironment,
} from "../../src/local-studio/terraform-cli.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program on a PATH of its own, in a home of its own. */
function program(name: string, script: string): NodeJS.ProcessEnv {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
  return { PATH: folder, HOME: folder, PYENV_ROOT: join(folder, "none") };
}
const nothing = (): NodeJS.ProcessEnv => ({ PATH: folder, HOME: folder, PYENV_ROOT: join(folder, "none") });

describe("findTerraform", () => {
  const prints = (version: string) => `echo '{"terraform_version": "${version}"}'`;

  it("finds Terraform, OpenTofu, and the one that is chosen", async () => {
    expect(await findTerraform(program("tofu", prints("1.11.0")))).toEqual({
      command: "tofu",
      version: "1.11.0",
    });
    expect(await findTerraform(program("terraform", prints("1.10.0")))).toMatchObject({
      command: "terraform",
    });
    const chosen = { ...program("mine", prints("1.12.0")), TERRAFORM_BINARY_NAME: "mine" };
    expect(await findTerraform(chosen)).toEqual({ command: "mine", version: "1.12.0" });
  });

  it.each([
    ["missing", nothing, "was not found."],
    ["too old", () => program("terraform", prints("1.9.8")), "terraform: version 1.9.8"],
    ["broken", () => program("terraform", "echo no >&2; exit 1"), "terraform: no"],
    [
      "chosen and missing",
      () => ({ ...nothing(), TERRAFORM_BINARY_NAME: "tf" }),
      'as "tf" (TERRAFORM_BINARY_NAME)',
    ],
  ])("says so when it is %s, and what to do", async (_, environment, message) => {
    const problem = await findTerraform(environment()).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(Problem);
    expect(describeError(problem)).toContain(message);
    expect(describeError(problem)).toContain("What to do: install Terraform (or OpenTofu) 1.10.0 or later");
  });

  it.each([
    ["1.10.0", "1.9.9", 1],
    ["5.100.0", "5.100.0", 0],
    ["1.10.0-rc1", "1.10.0", 0],
    ["6.9.0", "7.0.0", -1],
  ])("compares %s and %s", (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));
});

describe("terraformEnvironment", () => {
  const platform = `${process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;
  const mirror = (version: string, host = "registry.example.com") => {
    mkdirSync(join(folder, "mirror", host, "hashicorp/aws", version, platform), { recursive: true });
    return [join(folder, "mirror")];
  };
  const configuration = async (
    environment: NodeJS.ProcessEnv,
    mirrorRoots: string[],
    command = "terraform",
  ) => {
    const { TF_CLI_CONFIG_FILE } = await terraformEnvironment({
      command,
      runFolder: folder,
      environment,
      mirrorRoots,
    });
    return readFileSync(String(TF_CLI_CONFIG_FILE), "utf8");
  };
  /** A program that asks this registry where a configuration names none, as `terraform providers` tells it. */
  const asks = (host: string) =>
    program(
      "tofu",
      `[ "$1" = providers ] && [ -f main.tf.json ] && echo '└── provider[${host}/hashicorp/aws]'`,
    );

  it("uses a mirror that has the provider in the range", async () => {
    const text = await configuration(nothing(), mirror("5.100.0"));
    expect(text).toContain(`path    = "${join(folder, "mirror")}"`);
    expect(text).toContain('exclude = ["registry.example.com/hashicorp/aws"]');
  });

  it("links the provider for a program that asks another registry than the mirror's", async () => {
    mirror("5.100.0");
    mirror("5.99.0");
    const command = join(folder, "tofu");
    const text = await configuration(asks("registry.example.org"), [join(folder, "mirror")], command);
    const linked = join(folder, "provider-mirror");
    expect(text).toContain(`path    = "${linked}"`);
    expect(text).toContain('include = ["registry.example.org/hashicorp/aws"]');
    const versions = join(linked, "registry.example.org/hashicorp/aws");
    expect(readdirSync(versions)).toEqual(["5.100.0"]);
    expect(realpathSync(join(versions, "5.100.0", platform))).toBe(
      realpathSync(join(folder, "mirror/registry.example.com/hashicorp/aws/5.100.0", platform)),
    );
  });

  it("links nothing where the mirror has the registry that the program asks", async () => {
    mirror("5.100.0");
    const roots = mirror("6.0.0", "registry.example.org");
    const text = await configuration(asks("registry.example.org"), roots, join(folder, "tofu"));
    expect(text).toContain(`path    = "${join(folder, "mirror")}"`);
    expect(text).toContain('include = ["registry.example.org/hashicorp/aws"]');
    expect(existsSync(join(folder, "provider-mirror"))).toBe(false);
  });

  it.each(["5.99.0", "7.0.0"])(
    "leaves a mirror with provider %s alone and downloads into a cache",
    async (version) => {
      expect(await configuration(nothing(), mirror(version))).toMatch(/^plugin_cache_dir = /);
    },
  );

  it("leaves a person's own configuration alone, and replaces one that is not there", async () => {
    const own = join(folder, "own.rc");
    writeFileSync(own, "# mine");
    expect(await configuration({ ...nothing(), TF_CLI_CONFIG_FILE: own }, mirror("5.100.0"))).toBe("# mine");
    rmSync(own);
    expect(await configuration({ ...nothing(), TF_CLI_CONFIG_FILE: own }, mirror("5.100.0"))).toContain(
      "filesystem_mirror",
    );
  });

  it("takes OpenTofu's own configuration for OpenTofu alone, before Terraform's", async () => {
    writeFileSync(join(folder, ".tofurc"), "# tofu's");
    expect(await configuration(nothing(), mirror("5.100.0"), "tofu")).toBe("# tofu's");
    expect(await configuration(nothing(), mirror("5.100.0"))).toContain("filesystem_mirror");
    writeFileSync(join(folder, ".terraformrc"), "# terraform's");
    expect(await configuration(nothing(), [], "tofu")).toBe("# tofu's");
    expect(await configuration(nothing(), [])).toBe("# terraform's");
    rmSync(join(folder, ".tofurc"));
    expect(await configuration(nothing(), [], "tofu")).toBe("# terraform's");
  });
});

describe("providerProblem", () => {
  it.each([
    "Error: Failed to query available provider packages",
    // OpenTofu's, where its registry's host is not found.
    "Error: Failed to resolve provider packages",
  ])("knows a registry out of reach: %s", (words) => {
    expect(describeError(providerProblem(words, "deploy.log"))).toMatch(
      /registry is out of reach.*terraform providers mirror.*deploy\.log/s,
    );
  });

  it("knows no other words", () => {
    expect(providerProblem("Error: creating VPC", "deploy.log")).toBeUndefined();
  });
});

describe("findPython", () => {
  it("takes the image's version before others", async () => {
    program("python3", "echo 3.13.0");
    expect(await findPython(program("python3.12", "echo 3.12.4"))).toEqual({
      command: "python3.12",
      version: "3.12.4",
    });
  });

  it("takes another version where that is preferred, and the image's where there is none", async () => {
    program("python3.12", "echo 3.12.4");
    expect(await findPython(program("python3.11", "echo 3.11.2"), 11)).toMatchObject({ version: "3.11.2" });
    program("python3.11", "exit 127");
    expect(await findPython(program("python3", "exit 127"), 11)).toMatchObject({ version: "3.12.4" });
  });

  it("passes over one that does not run", async () => {
    program("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127");
    expect(await findPython(program("python3", "echo 3.11.7"))).toEqual({
      command: "python3",
      version: "3.11.7",
    });
  });

  it.each([
    ["missing", nothing, "Python 3.11 or later with venv and ensurepip was not found."],
    ["too old", () => program("python3", "echo 3.10.12"), "python3: version 3.10.12"],
    [
      "without venv",
      () => program("python3", "echo \"ModuleNotFoundError: No module named 'ensurepip'\" >&2; exit 1"),
      "No module named 'ensurepip'",
    ],
  ])("says so when it is %s, and what to do", async (_, environment, message) => {
    const problem = await findPython(environment()).catch((error: unknown) => error);
    expect(describeError(problem)).toContain(message);
    expect(describeError(problem)).toContain("What to do: install Python 3.12");
  });
});

describe("findChromium", () => {
  it("finds one on the PATH, and the one that is chosen", () => {
    const environment = program("google-chrome", "");
    expect(findChromium(environment, [])).toBe(join(folder, "google-chrome"));
    program("mine", "");
    expect(findChromium({ ...environment, CHROMIUM_PATH: join(folder, "mine") }, [])).toBe(
      join(folder, "mine"),
    );
  });

  it("says so when there is none, or not the one that is chosen", () => {
    expect(() => findChromium(nothing(), [])).toThrow("No Chromium, Chrome or Edge was found");
    expect(() => findChromium({ ...nothing(), CHROMIUM_PATH: "/none/chrome" }, [])).toThrow(
      'CHROMIUM_PATH names "/none/chrome"',
    );
  });
});

describe("rehearsalOverride", () => {
  it("changes the backend, and what would forbid destroying, and nothing else", () => {
    const resource = {
      aws_kms_key: { key: { lifecycle: { prevent_destroy: true } } },
      aws_s3_bucket: { a: { lifecycle: { prevent_destroy: true } }, b: {} },
      aws_vpc: { vpc: { lifecycle: { prevent_destroy: false } } },
      aws_subnet: { one: {} },
    };
    expect(rehearsalOverride({ resource }, "/run/terraform.tfstate")).toEqual({
      terraform: { backend: { local: { path: "/run/terraform.tfstate" } } },
      resource: {
        aws_kms_key: { key: { lifecycle: { prevent_destroy: false } } },
        aws_s3_bucket: {
          a: { lifecycle: { prevent_destroy: false }, force_destroy: true },
          b: { force_destroy: true },
        },
      },
    });
  });
});

describe("Steps", () => {
  const run = async (isTTY: boolean) => {
    const written: string[] = [];
    const steps = new Steps({ isTTY, columns: 30, write: (text) => written.push(text) });
    await steps.run("first", async () => steps.progress("1 of 2"));
    const failure = await steps.run("second", () => Promise.reject(new Error("no"))).catch((e: unknown) => e);
    return { written, steps, failure };
  };

  it("writes a line for each step, and what it is doing on a terminal alone", async () => {
    expect((await run(false)).written.map((text) => text.replace(/\d\.\d/, "0.0"))).toEqual([
      "✓ first (0.0 s)\n",
      "✗ second (0.0 s)\n",
    ]);
    expect((await run(true)).written.join("")).toContain("… first: 1 of 2");
  });

  it("remembers the times, and names the step that failed", async () => {
    const { steps, failure } = await run(false);
    expect(steps.times.map(({ name }) => name)).toEqual(["first"]);
    expect(failure).toBeInstanceOf(StepFailure);
    expect(describeError(failure)).toBe('The step "second" failed: no');
  });
});

describe("createRunFolder", () => {
  it("removes the folders of runs that were killed, and no others", () => {
    for (const [name, pid] of [
      ["dead", "999999999"],
      ["alive", `${process.ppid}`],
      ["unfinished", ""],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "pid"), pid);
    }
    const run = createRunFolder(folder);
    expect(["dead", "alive", "unfinished"].filter((name) => existsSync(join(folder, name)))).toEqual([
      "alive",
    ]);
    expect(existsSync(run.logs)).toBe(true);
    run.remove();
    expect(existsSync(run.path)).toBe(false);
  });
});

describe("descendants", () => {
  it("finds children and their children, in whatever order ps lists them", () => {
    const ps = "    7     5  300\n    5     1  100\n    6     5  200\n    9     2  900\n    8     7   50\n";
    expect(descendants(ps, 5).map(({ pid }) => pid)).toEqual([7, 6, 8]);
    expect(descendants(ps, 4)).toEqual([]);
  });
});

describe("readCommandLine", () => {
  const options = { check: { help: "a" }, gateway: { value: "PROFILE", among: ["none", "gzip"], help: "b" } };

  it("reads flags and values", () => {
    expect(readCommandLine(["--check", "--gateway", "gzip"], options)).toEqual({
      values: { check: true, gateway: "gzip" },
      problems: [],
    });
    expect(readCommandLine(["--gateway=none"], options).values).toEqual({ gateway: "none" });
  });

  it("finds everything that is wrong at once", () => {
    const wrong = ["--chek", "now", "--check=yes", "--gateway", "--gateway=slow", "--toString"];
    expect(readCommandLine(wrong, options).problems).toEqual([
      "there is no option --chek",
      '"now" is not understood',
      '--check takes no value, got "yes"',
      "--gateway wants a value: none, gzip",
      '--gateway takes one of none, gzip, got "slow"',
      "there is no option --toString",
    ]);
  });

  it("takes one operand, where a command has some", () => {
    const read = (...args: string[]) => readCommandLine(args, options, ["synthesis", "space"]);
    expect(read("--check", "space")).toEqual({ values: { check: true }, operand: "space", problems: [] });
    expect(read("spaces").problems).toEqual(['one of synthesis, space is taken, got "spaces"']);
    expect(read("space", "synthesis").problems).toEqual([
      'one of synthesis, space is taken, got "synthesis", after "space"',
    ]);
  });

  it("makes a list of an option that may be repeated, and takes the last of another", () => {
    const repeated = { ...options, accept: { value: "NAME", repeated: true, help: "c" } } as const;
    const { values } = readCommandLine(
      ["--accept", "a", "--accept=b", "--gateway=none", "--gateway=gzip"],
      repeated,
    );
    expect(values).toEqual({ accept: ["a", "b"], gateway: "gzip" });
    expect(listOf(values.accept)).toEqual(["a", "b"]);
    expect(listOf(undefined)).toEqual([]);
  });

  it("lists the options in columns", () => {
    expect(optionsHelp(options)).toBe("  --check            a\n  --gateway PROFILE  b");
  });
});
