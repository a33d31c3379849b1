import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { patience } from "./patience.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Command {
  readonly child: ChildProcess;
  /** Everything written so far. */
  readonly output: { stdout: string; stderr: string };
  readonly status: Promise<number | null>;
}

/** Runs one of `scripts/` like its `npm run` command, but without npm, so that signals reach the script. */
export function startScript(
  script: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
  folder = root,
): Command {
  const child = spawn(process.execPath, ["--import", "tsx", `scripts/${script}.ts`, ...args], {
    cwd: folder,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (piece) => {
    output.stdout += String(piece);
  });
  child.stderr.on("data", (piece) => {
    output.stderr += String(piece);
  });
  return { child, output, status: new Promise((resolve) => child.once("close", resolve)) };
}

/** Waits for a condition; the error after the timeout contains the command's output. */
export async function until(
  command: Command,
  condition: () => boolean,
  seconds = patience / 1000,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > deadline || command.child.exitCode !== null) {
      throw new Error(
        `Condition not met (exit status ${command.child.exitCode}):\n${Object.values(command.output).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
