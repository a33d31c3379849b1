import { spawn } from "node:child_process";

export interface RunProps {
  readonly cwd: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Asks the command, once, to come to an orderly end. */
  readonly signal: AbortSignal;
}

/**
 * Runs a command whose output is for whoever watches, to its exit status and what it wrote to standard error. In a
 * process group of its own: Terraform takes a second interrupt, as npm passes it on, for the wish to give up its lock.
 */
export async function runShown(
  [command = "", ...args]: readonly string[],
  props: RunProps,
): Promise<{ readonly status: number; readonly errors: string }> {
  props.signal.throwIfAborted();
  const child = spawn(command, args, {
    cwd: props.cwd,
    env: props.environment ?? process.env,
    detached: true,
    stdio: ["ignore", "inherit", "pipe"],
  });
  const interrupt = () => child.kill("SIGINT");
  props.signal.addEventListener("abort", interrupt);
  let errors = "";
  child.stderr.on("data", (part: Buffer) => {
    errors += part;
    process.stderr.write(part);
  });
  const status = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
  props.signal.removeEventListener("abort", interrupt);
  return { status, errors };
}
