import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { projectFolder, workFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { capture, linesOf, stopOnAbort } from "./processes.ts";

export type PythonEnvironmentName = "aws" | "go-tools" | "iam" | "image" | "image-3" | "lint" | "scan";

export interface PythonEnvironmentOptions {
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** Where to look for Python. @default the `PATH` */
  readonly environment?: NodeJS.ProcessEnv;
}

export interface PythonEnvironment {
  readonly python: string;
  readonly prefix: string;
}

interface Interpreter {
  readonly command: string;
  readonly version: string;
}

/** The version of SageMaker Distribution 4.4.1 is Python 3.12; the older image's stand-in is to have the oldest. */
const imagePython = 12;
const oldest = 11;
const commands = ["python3", "python3.12", "python3.13", "python3.11", "python3.14", "python"];
const probe = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])";

/** Prepares, once, the environment of `src/local-studio/<name>/requirements.lock` and says where its Python is. */
export async function pythonEnvironment(
  name: PythonEnvironmentName,
  options: PythonEnvironmentOptions = {},
): Promise<PythonEnvironment> {
  const folder = join(projectFolder, "src/local-studio");
  const lockFile = join(folder, name, "requirements.lock");
  const interpreter = await findPython(
    options.environment ?? process.env,
    name === "image-3" ? oldest : imagePython,
  );
  const key = createHash("sha256").update(readFileSync(lockFile)).update(interpreter.version).digest("hex");
  const prefix = join(workFolder, "python", `${name}-${key.slice(0, 12)}`);
  if (!existsSync(join(prefix, ".complete"))) {
    await build(interpreter, [join(folder, "build_environment.py"), prefix, lockFile], name, options);
  }
  return { python: join(prefix, "bin/python"), prefix };
}

async function build(
  interpreter: Interpreter,
  args: readonly string[],
  name: string,
  options: PythonEnvironmentOptions,
): Promise<void> {
  // Its own process group: a Ctrl-C on the terminal reaches our handler alone, which then ends it.
  const child = spawn(interpreter.command, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  stopOnAbort(child, options.signal);
  const tail: string[] = [];
  const take = (line: string) => {
    tail.splice(0, Math.max(0, tail.length - 19));
    tail.push(line);
    options.onProgress?.(line);
  };
  await Promise.all([linesOf(child.stdout, take), linesOf(child.stderr, take)]);
  const status = child.exitCode ?? (await new Promise((resolve) => child.once("close", resolve)));
  options.signal?.throwIfAborted();
  if (status !== 0) {
    throw new Problem({
      message: `Preparing the Python environment "${name}" with ${interpreter.command} ${interpreter.version} failed:\n${tail.map((line) => `    ${line}`).join("\n")}`,
      remedy:
        "see pip's message above; with a package index of your own, set it in pip's configuration, then try again",
    });
  }
}

/**
 * The first usable Python: of the preferred minor version where there is one, then whatever is new enough, with the
 * modules that make virtual environments.
 */
export async function findPython(
  environment: NodeJS.ProcessEnv,
  preferred = imagePython,
): Promise<Interpreter> {
  const refused: string[] = [];
  for (const command of new Set([
    ...pyenvPythons(environment, `3.${preferred}.`),
    `python3.${preferred}`,
    ...commands,
    ...pyenvPythons(environment, "3."),
  ])) {
    const result = await capture(command, ["-c", probe], { env: environment });
    if (result === undefined) continue;
    const version = result.stdout.trim();
    const minor = /^3\.(\d+)\.\d+$/.exec(version)?.[1];
    if (result.status === 0 && minor !== undefined && Number(minor) >= oldest) return { command, version };
    refused.push(
      `${command}: ${result.status === 0 ? `version ${version}` : (result.stderr.trim().split("\n").at(-1) ?? "")}`,
    );
  }
  throw new Problem({
    message: `Python 3.${oldest} or later with venv and ensurepip was not found.${refused.map((line) => `\n    ${line}`).join("")}`,
    remedy:
      "install Python 3.12 (on Debian and Ubuntu: python3 and python3-venv), so that `python3` is on the PATH",
  });
}

/** pyenv puts commands on the PATH that refuse to run unless their version is selected; its folders hold them all. */
function pyenvPythons(environment: NodeJS.ProcessEnv, prefix: string): string[] {
  const versions = join(environment.PYENV_ROOT ?? join(environment.HOME ?? homedir(), ".pyenv"), "versions");
  const found = existsSync(versions)
    ? readdirSync(versions).filter((version) => version.startsWith(prefix))
    : [];
  return found.sort().map((version) => join(versions, version, "bin/python3"));
}
