import { createInterface } from "node:readline/promises";
import { Problem } from "./problem.ts";

/** Throws a Problem if nobody can answer. `done`: what does not happen then, such as "deleted". */
export function requireTerminal(done: string): void {
  if (process.stdin.isTTY) return;
  throw new Problem({
    message: `Confirmation needs a terminal, and there is none: nothing was ${done}.`,
    remedy: "read what it would do, then add --yes",
  });
}

export interface Consent {
  /** The answer that means yes. */
  readonly word: string;
  /** What it consents to, such as "delete all of these". */
  readonly to: string;
  /** The same in the past, such as "deleted". */
  readonly done: string;
  readonly signal?: AbortSignal | undefined;
}

/** Asks for a word before something that cannot be undone. Ctrl-C interrupts the process, and Ctrl-D means no. */
export async function confirmed({ word, to, done, signal }: Consent): Promise<boolean> {
  requireTerminal(done);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.once("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
    const answer = await Promise.race([terminal.question(`Type ${word} to ${to}: `, { signal }), closed]);
    if (answer === word) return true;
    console.log(`The answer "${answer}" is not ${word}: nothing was ${done}.`);
    return false;
  } finally {
    terminal.close();
  }
}
