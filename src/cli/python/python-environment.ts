import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { projectFolder, workFolder } from "../paths.ts";
import { Problem } from "../problem.ts";
import { capture, linesOf, stopOnAbort } from "../processes.ts";

/** Folder of `requirements.lock` for each virtual environment. */
const lockFolders = {
  aws: "src/local-studio/aws",
  image: "src/local-studio/image",
  "image-full": "src/local-studio/image/full",
  lint: "src/cli/python/lint",
  scan: "src/cli/python/scan",
  iam: "__tests__/support/iam",
  "image-older": "__tests__/compat/image-older",
  "sagemaker-sdk": "__tests__/compat/sagemaker-sdk",
  "go-tools": "__tests__/compat/opentofu/go-tools",
} as const;
export type PythonEnvironmentName = keyof typeof lockFolders;

export interface PythonEnvironmentOptions {
  readonly onProgress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Environment variables with the `PATH` to search for Python. @default `process.env` */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Folder of the virtual environments. @default `.local-studio/python` */
  readonly folder?: string | undefined;
}

export interface PythonEnvironment {
  readonly python: string;
  readonly prefix: string;
}

interface Interpreter {
  readonly command: string;
  readonly version: string;
}

/** The minor versions of Python 3 to look for. */
interface PythonVersions {
  readonly preferred: number;
  readonly oldest: number;
}
/** SageMaker Distribution 4.5.2 has Python 3.12. */
const anyPython: PythonVersions = { preferred: 12, oldest: 11 };
const pythonVersions: { readonly [Name in PythonEnvironmentName]?: PythonVersions } = {
  // Some of its packages need the image's Python.
  "image-full": { preferred: 12, oldest: 12 },
  // The older image is replaced with the oldest supported Python.
  "image-older": { preferred: 11, oldest: 11 },
};
const commands = ["python3", "python3.12", "python3.13", "python3.11", "python3.14", "python"];
const probe = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])";

/** Builds a virtual environment from its lock file, if it does not exist yet, and returns its path. */
export async function pythonEnvironment(
  name: PythonEnvironmentName,
  options: PythonEnvironmentOptions = {},
): Promise<PythonEnvironment> {
  const lockFile = join(projectFolder, lockFolders[name], "requirements.lock");
  const interpreter = await findPython(options.environment ?? process.env, name);
  const key = createHash("sha256").update(readFileSync(lockFile)).update(interpreter.version).digest("hex");
  const folder = options.folder ?? join(workFolder, "python");
  mkdirSync(folder, { recursive: true });
  // Its scripts begin with this path, which must outlive a link that leads there.
  const prefix = join(realpathSync(folder), `${name}-${key.slice(0, 12)}`);
  if (!existsSync(join(prefix, ".complete"))) {
    await build(
      interpreter,
      [join(import.meta.dirname, "build_environment.py"), prefix, lockFile],
      name,
      options,
    );
  }
  return { python: join(prefix, "bin/python"), prefix };
}

async function build(
  interpreter: Interpreter,
  args: readonly string[],
  name: string,
  options: PythonEnvironmentOptions,
): Promise<void> {
  // In a separate process group, so that Ctrl-C reaches only this process's handler, which then ends the child.
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
      message: `The virtual environment "${name}" could not be built with ${interpreter.command} ${interpreter.version}:\n${tail.map((line) => `    ${line}`).join("\n")}`,
      remedy:
        "correct the error above; if you use your own package index, set it in the configuration of pip or uv",
    });
  }
}

/**
 * Finds a Python that can create virtual environments, or this one: with the preferred minor version if possible,
 * otherwise with any supported version.
 */
export async function findPython(
  environment: NodeJS.ProcessEnv,
  name?: PythonEnvironmentName,
): Promise<Interpreter> {
  const { preferred, oldest } = (name && pythonVersions[name]) ?? anyPython;
  const rejected: string[] = [];
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
    rejected.push(
      `${command}: ${result.status === 0 ? `version ${version}` : (result.stderr.trim().split("\n").at(-1) ?? "")}`,
    );
  }
  throw new Problem({
    message: `Python 3.${oldest} or later with venv and ensurepip was not found.${rejected.map((line) => `\n    ${line}`).join("")}`,
    remedy:
      "install Python 3.12 (on Debian and Ubuntu: python3 and python3-venv), so that `python3` is on the PATH",
  });
}

/** pyenv's commands on the PATH fail unless their version is selected, so its version folders are searched. */
function pyenvPythons(environment: NodeJS.ProcessEnv, prefix: string): string[] {
  const versions = join(environment.PYENV_ROOT ?? join(environment.HOME ?? homedir(), ".pyenv"), "versions");
  const found = existsSync(versions)
    ? readdirSync(versions).filter((version) => version.startsWith(prefix))
    : [];
  return found.sort().map((version) => join(versions, version, "bin/python3"));
}
