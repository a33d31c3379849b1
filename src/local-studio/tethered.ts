import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { linesOf } from "../cli/processes.ts";

export interface TetheredProps {
  /** Any Python that can run `tether.py`. */
  readonly python: string;
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** File for the complete output of the command. */
  readonly log: string;
  readonly onLine?: ((line: string) => void) | undefined;
  /** Ends the command and its descendants. */
  readonly signal?: AbortSignal | undefined;
}

export interface Finished {
  readonly status: number;
  readonly output: string;
}

/** Runs a command in the project's folder and waits for it. The command cannot outlive this process. */
export async function runTethered(props: TetheredProps): Promise<Finished> {
  props.signal?.throwIfAborted();
  const child = spawn(props.python, [join(projectFolder, "src/local-studio/tether.py"), ...props.command], {
    cwd: projectFolder,
    env: props.environment,
    // Not in the terminal's process group: Ctrl-C reaches only this process's handler and does not interrupt Terraform.
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
