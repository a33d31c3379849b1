import { spawn } from "node:child_process";
import type { Captured } from "./processes.ts";

export interface Program {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Interrupts the program, like Ctrl-C. */
  readonly signal: AbortSignal;
  /** Also print the output on this terminal. */
  readonly shown?: true | undefined;
}

/**
 * Runs a program that must not be killed, such as Terraform, which releases its state lock when it is interrupted. It
 * runs detached from the terminal, because a second interrupt would end it immediately.
 */
export function runProgram({ command, cwd, environment, signal, shown }: Program): Promise<Captured> {
  signal.throwIfAborted();
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    cwd,
    env: environment,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on("data", (piece: Buffer) => output.stdout.push(piece));
  child.stderr.on("data", (piece: Buffer) => output.stderr.push(piece));
  if (shown) {
    child.stdout.on("data", (piece: Buffer) => process.stdout.write(piece));
    child.stderr.on("data", (piece: Buffer) => process.stderr.write(piece));
  }
  const interrupt = () => child.kill("SIGINT");
  signal.addEventListener("abort", interrupt);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      signal.removeEventListener("abort", interrupt);
      const [stdout, stderr] = [output.stdout, output.stderr].map((pieces) =>
        Buffer.concat(pieces).toString("utf8"),
      );
      resolve({ status: status ?? 1, stdout: stdout ?? "", stderr: stderr ?? "" });
    });
  });
}
