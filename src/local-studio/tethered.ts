import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "./paths.ts";
import { linesOf } from "./processes.ts";

export interface TetheredProps {
  /** Any Python that runs `tether.py`. */
  readonly python: string;
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Gets the command's whole output. */
  readonly log: string;
  readonly onLine?: (line: string) => void;
  /** Ends the command and all below it. */
  readonly signal?: AbortSignal | undefined;
}

export interface Finished {
  readonly status: number;
  readonly output: string;
}

/** Runs a command in the project's folder to its end; it cannot outlive this process. */
export async function runTethered(props: TetheredProps): Promise<Finished> {
  props.signal?.throwIfAborted();
  const child = spawn(props.python, [join(projectFolder, "src/local-studio/tether.py"), ...props.command], {
    cwd: projectFolder,
    env: props.environment,
    // Out of the terminal's process group: Ctrl-C reaches our handler alone, and Terraform is not cut short.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const log = createWriteStream(props.log);
  const lines: string[] = [];
  const take = (line: string) => {
    lines.push(line);
    log.write(`${line}\n`);
    props.onLine?.(line);
  };
  const release = () => child.stdin.end();
  child.stdin.on("error", () => {});
  props.signal?.addEventListener("abort", release);
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  const [status] = await Promise.all([ended, linesOf(child.stdout, take), linesOf(child.stderr, take)]);
  props.signal?.removeEventListener("abort", release);
  log.end();
  props.signal?.throwIfAborted();
  return { status, output: lines.join("\n") };
}
