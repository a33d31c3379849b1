import { type ChildProcess, execFile } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export interface Captured {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end. Returns undefined if the command does not exist. */
export function capture(
  command: string,
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv | undefined;
    readonly cwd?: string | undefined;
    readonly timeout?: number | undefined;
  } = {},
): Promise<Captured | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 60_000, maxBuffer: 64 << 20, ...options }, (error, stdout, stderr) => {
      const missing = error?.code === "ENOENT" || error?.code === "EACCES";
      resolve(
        missing
          ? undefined
          : {
              status: error === null ? 0 : Number(error.code ?? 1) || 1,
              stdout,
              stderr,
            },
      );
    });
  });
}

/** Calls back for each line until the stream ends. */
export async function linesOf(stream: Readable, callback: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream })) callback(line);
}

/** Stops a child's process group when the signal fires. The child must be started with `detached`. */
export function stopOnAbort(child: ChildProcess, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const stop = () => signalGroup(child, "SIGTERM");
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  child.once("close", () => signal.removeEventListener("abort", stop));
}

export function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // The group has already ended.
  }
}
