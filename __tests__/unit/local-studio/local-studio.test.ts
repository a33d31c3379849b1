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
import { listOf, optionsHelp, readCommandLine } from "../../../src/cli/command-line.ts";
import { environmentOption } from "../../../src/cli/environment-option.ts";
import { projectFolder } from "../../../src/cli/paths.ts";
import { describeError, Problem, StepFailure } from "../../../src/cli/problem.ts";
import { descendants } from "../../../src/cli/process-tree.ts";
import { findPython } from "../../../src/cli/python/python-environment.ts";
import { createRunFolder } from "../../../src/cli/run-folder.ts";
import { Steps } from "../../../src/cli/steps.ts";
import { findTerraform, providerProblem, terraformEnvironment } from "../../../src/cli/terraform-cli.ts";
import { findChromium } from "../../../src/local-studio/chromium.ts";
import { rehearsalOverride, rehearsedSynthesis } from "../../../src/local-studio/rehearsed-synthesis.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Creates a program; returns an environment with its folder as the PATH and the home. */
function program(name: string, script: string): NodeJS.ProcessEnv {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
  return { PATH: folder, HOME: folder, PYENV_ROOT: join(folder, "none") };
}
const nothing = (): NodeJS.ProcessEnv => ({ PATH: folder, HOME: folder, PYENV_ROOT: join(folder, "none") });

describe("findTerraform", () => {
  const prints = (version: string) => `echo '{"terraform_version": "${version}"}'`;

  it("finds Terraform, OpenTofu, and the program in TERRAFORM_BINARY_NAME", async () => {
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
    providerVersion?: string,
  ) => {
    const { TF_CLI_CONFIG_FILE } = await terraformEnvironment({
      command,
      runFolder: folder,
      environment,
      mirrorRoots,
      providerVersion,
    });
    return readFileSync(String(TF_CLI_CONFIG_FILE), "utf8");
  };
  /** A program whose default registry is `host`, as `terraform providers` shows it. */
  const asks = (host: string) =>
    program(
      "tofu",
      `[ "$1" = providers ] && [ -f main.tf.json ] && echo '└── provider[${host}/hashicorp/aws]'`,
    );

  it("uses a mirror that has a supported version of the provider", async () => {
    const text = await configuration(nothing(), mirror("5.100.0"));
    expect(text).toContain(`path    = "${join(folder, "mirror")}"`);
    expect(text).toContain('exclude = ["registry.example.com/hashicorp/aws"]');
  });

  it("links the provider for a program with another default registry than the mirror's", async () => {
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

  it("links nothing if the mirror has the program's default registry", async () => {
    mirror("5.100.0");
    const roots = mirror("5.101.0", "registry.example.org");
    const text = await configuration(asks("registry.example.org"), roots, join(folder, "tofu"));
    expect(text).toContain(`path    = "${join(folder, "mirror")}"`);
    expect(text).toContain('include = ["registry.example.org/hashicorp/aws"]');
    expect(existsSync(join(folder, "provider-mirror"))).toBe(false);
  });

  it("uses a mirror only if it has the version that the environment requires", async () => {
    const roots = mirror("6.62.0");
    const text = await configuration(nothing(), roots, "terraform", "~> 6.62");
    expect(text).toContain(`path    = "${join(folder, "mirror")}"`);
    expect(await configuration(nothing(), roots, "terraform", "~> 6.63")).toMatch(/^plugin_cache_dir = /);
  });

  it.each(["5.99.0", "6.0.0"])(
    "does not use a mirror with provider %s, and downloads into a cache",
    async (version) => {
      expect(await configuration(nothing(), mirror(version))).toMatch(/^plugin_cache_dir = /);
    },
  );

  it("uses the user's own configuration, and replaces a missing one", async () => {
    const own = join(folder, "own.rc");
    writeFileSync(own, "# mine");
    expect(await configuration({ ...nothing(), TF_CLI_CONFIG_FILE: own }, mirror("5.100.0"))).toBe("# mine");
    rmSync(own);
    expect(await configuration({ ...nothing(), TF_CLI_CONFIG_FILE: own }, mirror("5.100.0"))).toContain(
      "filesystem_mirror",
    );
  });

  it("uses OpenTofu's configuration only for OpenTofu, where it precedes Terraform's", async () => {
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
    // OpenTofu's message if the host name of its registry cannot be resolved.
    "Error: Failed to resolve provider packages",
  ])("recognizes an unreachable registry: %s", (words) => {
    expect(describeError(providerProblem(words, "deploy.log"))).toMatch(
      /registry cannot be reached.*terraform providers mirror.*deploy\.log/s,
    );
  });

  it.each([
    [
      "the package",
      "│ Error: Failed to install provider\n│ \n│ Error while installing hashicorp/aws v5.100.0: the local package for\n│ registry.example.com/hashicorp/aws 5.100.0 doesn't match any of the\n│ checksums previously recorded in the dependency lock file (this might be",
      "the local package for registry.example.com/hashicorp/aws 5.100.0 doesn't match any of the checksums",
    ],
    [
      "the package, once it is installed",
      "- registry.example.com/hashicorp/aws: the cached package for registry.example.com/hashicorp/aws 5.100.0 (in .terraform/providers) does not match any of the checksums recorded in the dependency lock file",
      "the cached package for registry.example.com/hashicorp/aws 5.100.0",
    ],
    [
      "a source without the version",
      "Error: Failed to query available provider packages\n\nCould not retrieve the list of available versions for provider hashicorp/aws:\nthe previously-selected version 5.101.0 is no longer available",
      "the previously-selected version 5.101.0 is no longer available",
    ],
    [
      "the setting",
      "locked provider registry.example.com/hashicorp/aws\n6.62.0 does not match configured version constraint ~> 5.100; must use\nterraform init -upgrade",
      "aws 6.62.0 does not match configured version constraint ~> 5.100.",
    ],
    [
      "another registry",
      "Changes to the required provider dependencies were detected, but the lock\nfile is read-only. To use",
      "the lock file is read-only",
    ],
  ])("recognizes a lock file that does not allow %s", (_, words, expected) => {
    const text = describeError(providerProblem(words));
    expect(text).toContain(expected);
    expect(text).toContain("npm run provider-lock -- --environment NAME");
  });

  it("does not match other messages", () => {
    expect(providerProblem("Error: creating VPC", "deploy.log")).toBeUndefined();
  });
});

describe("findPython", () => {
  it("prefers the version of the image", async () => {
    program("python3", "echo 3.13.0");
    expect(await findPython(program("python3.12", "echo 3.12.4"))).toEqual({
      command: "python3.12",
      version: "3.12.4",
    });
  });

  it("prefers a requested version, then the version of the image", async () => {
    program("python3.12", "echo 3.12.4");
    expect(await findPython(program("python3.11", "echo 3.11.2"), "image-older")).toMatchObject({
      version: "3.11.2",
    });
    program("python3.11", "exit 127");
    expect(await findPython(program("python3", "exit 127"), "image-older")).toMatchObject({
      version: "3.12.4",
    });
  });

  it("refuses a Python that is too old for the full image", async () => {
    const environment = program("python3", "echo 3.11.7");
    const problem = await findPython(environment, "image-full").catch((error: unknown) => error);
    expect(describeError(problem)).toContain(
      "Python 3.12 or later with venv and ensurepip was not found.\n    python3: version 3.11.7",
    );
    // Control: the other virtual environments accept it.
    expect(await findPython(environment, "image")).toMatchObject({ version: "3.11.7" });
  });

  it("skips a Python that does not run", async () => {
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
  it("finds a browser on the PATH, and the one in CHROMIUM_PATH", () => {
    const environment = program("google-chrome", "");
    expect(findChromium(environment, [])).toBe(join(folder, "google-chrome"));
    program("mine", "");
    expect(findChromium({ ...environment, CHROMIUM_PATH: join(folder, "mine") }, [])).toBe(
      join(folder, "mine"),
    );
  });

  it("reports that no browser was found, or that CHROMIUM_PATH does not exist", () => {
    expect(() => findChromium(nothing(), [])).toThrow("No Chromium, Chrome or Edge was found");
    expect(() => findChromium({ ...nothing(), CHROMIUM_PATH: "/none/chrome" }, [])).toThrow(
      'CHROMIUM_PATH is "/none/chrome"',
    );
  });
});

describe("rehearsalOverride", () => {
  it("changes only the backend and the settings that prevent destroying", () => {
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

  it("lets the account of the local AWS through", () => {
    const aws = [{ region: "us-east-1", allowed_account_ids: ["111122223333"] }];
    expect(rehearsalOverride({ resource: {}, provider: { aws } }, "state")).toEqual({
      terraform: { backend: { local: { path: "state" } } },
      provider: { aws: [{ allowed_account_ids: [] }] },
    });
  });

  it("has no empty `resource`, which Terraform would reject", () => {
    expect(rehearsalOverride({ resource: { aws_vpc: { vpc: {} } } }, "state")).toEqual({
      terraform: { backend: { local: { path: "state" } } },
    });
  });

  it("leaves out the lifecycle rules of the buckets, unless the deployment is complete", () => {
    const resource = { aws_s3_bucket_lifecycle_configuration: { a: {}, b: {} }, aws_vpc: { vpc: {} } };
    expect(rehearsalOverride({ resource }, "/run/state")).toMatchObject({
      resource: { aws_s3_bucket_lifecycle_configuration: { a: { count: 0 }, b: { count: 0 } } },
    });
    expect(rehearsalOverride({ resource }, "/run/state", true)).toEqual({
      terraform: { backend: { local: { path: "/run/state" } } },
    });
  });
});

describe("rehearsedSynthesis", () => {
  const problems = (props: Partial<Parameters<typeof rehearsedSynthesis>[0]> = {}) => {
    const file = join(folder, "synthesis.json");
    writeFileSync(file, JSON.stringify({ environmentName: "dev", statePath: join(folder, "state") }));
    const output = join(folder, "cdktf.out");
    return rehearsedSynthesis({ file, output, environments: [{ name: "dev" }], ...props }).problems;
  };

  it("synthesizes only its own environment, and writes the override next to it", () => {
    expect(problems()).toEqual([]);
    const output = join(folder, "cdktf.out");
    const stack = join(output, "stacks/dev");
    mkdirSync(stack, { recursive: true });
    const resource = { aws_s3_bucket: { a: {} } };
    writeFileSync(join(stack, "cdk.tf.json"), JSON.stringify({ resource }));
    const synthesis = rehearsedSynthesis({
      ...{ file: join(folder, "synthesis.json"), output, environments: [{ name: "dev" }, { name: "prod" }] },
    });
    expect(["dev", "prod"].filter(synthesis.leavesOut)).toEqual(["prod"]);
    synthesis.writeOverride();
    expect(JSON.parse(readFileSync(join(stack, "rehearsal_override.tf.json"), "utf8"))).toEqual(
      rehearsalOverride({ resource }, join(folder, "state")),
    );
  });

  it("rejects the folder for deployments to AWS", () => {
    expect(problems({ output: undefined })).toEqual([
      expect.stringContaining(`cannot be synthesized to ${join(projectFolder, "cdktf.out")}`),
    ]);
  });

  it("reports that the rehearsal has ended, or that its environment is no longer in the settings", () => {
    const file = join(folder, "nothing.json");
    expect(problems({ file })).toEqual([
      `the rehearsal in SAGEMAKER_MARIMO_REHEARSAL (${file}) has ended: use another terminal`,
    ]);
    expect(problems({ environments: [{ name: "other" }] })).toEqual([
      'the rehearsed environment "dev" is not in src/environments.ts',
    ]);
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

  it("writes a line for each step, and its progress only on a terminal", async () => {
    expect((await run(false)).written.map((text) => text.replace(/\d\.\d/, "0.0"))).toEqual([
      "✓ first (0.0 s)\n",
      "✗ second (0.0 s)\n",
    ]);
    expect((await run(true)).written.join("")).toContain("… first: 1 of 2");
  });

  it("records the times and names the failed step", async () => {
    const { steps, failure } = await run(false);
    expect(steps.times.map(({ name }) => name)).toEqual(["first"]);
    expect(failure).toBeInstanceOf(StepFailure);
    expect(describeError(failure)).toBe('The step "second" failed: no');
  });
});

describe("createRunFolder", () => {
  it("removes only the folders of killed runs", () => {
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
  it("finds all descendants, independent of the order of ps", () => {
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

  it("reports all problems at once", () => {
    const wrong = ["--chek", "now", "gzip", "--check=yes", "--gateway", "--gateway=slow", "--toString"];
    expect(readCommandLine(wrong, options).problems).toEqual([
      "unknown option --chek",
      'unexpected argument "now"',
      'unexpected argument "gzip", did you mean --gateway gzip?',
      '--check takes no value, got "yes"',
      "--gateway needs a value: none, gzip",
      '--gateway must be one of none, gzip, got "slow"',
      "unknown option --toString",
    ]);
  });

  it("names the file that defines the allowed values", () => {
    const { problems } = readCommandLine(["--environment", "prod"], environmentOption);
    expect(problems).toEqual(['--environment must be one of dev (src/environments.ts), got "prod"']);
  });

  it("accepts one operand if the command has operands", () => {
    const read = (...args: string[]) => readCommandLine(args, options, ["synthesis", "space"]);
    expect(read("--check", "space")).toEqual({ values: { check: true }, operand: "space", problems: [] });
    expect(read("spaces").problems).toEqual(['expected one of synthesis, space, got "spaces"']);
    expect(read("space", "synthesis").problems).toEqual([
      'expected one of synthesis, space, got "synthesis" after "space"',
    ]);
  });

  it("accepts one word of any content if the command takes an argument, after the operand", () => {
    const read = (...args: string[]) => readCommandLine(args, options, ["remove"], true);
    expect(read("remove", "ana", "--check")).toMatchObject({
      operand: "remove",
      argument: "ana",
      problems: [],
    });
    expect(read("ana").problems).toEqual(['expected one of remove, got "ana"']);
    expect(read("remove", "ana", "bo").problems).toEqual(['unexpected argument "bo"']);
    expect(readCommandLine(["ana"], options, [], true)).toMatchObject({ argument: "ana", problems: [] });
    expect(readCommandLine(["ana"], options).problems).toEqual(['unexpected argument "ana"']);
  });

  it("collects the values of a repeatable option, and uses the last value of other options", () => {
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
