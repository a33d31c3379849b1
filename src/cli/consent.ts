import { createInterface } from "node:readline/promises";
import { Problem } from "./problem.ts";

/** Asks for this word before everything that was listed is deleted. */
export async function confirmed(word: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Problem({
      message: "Confirmation needs a terminal, and there is none: nothing was deleted.",
      remedy: "read the list, then add --yes",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D are no answer.
  const answer = await terminal.question(`Type ${word} to delete all of these: `).catch(() => "");
  terminal.close();
  if (answer === word) return true;
  console.log(`The answer "${answer}" is not ${word}: nothing was deleted.`);
  return false;
}
