import { describeError } from "./problem.ts";
import type { Steps } from "./steps.ts";

/** The duration of each step. */
export function timesTable({ times }: Steps): string {
  const width = Math.max(...times.map(({ name }) => name.length));
  return times
    .map(({ name, seconds }) => `  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`)
    .join("\n");
}

/** Texts in two columns, ordered down the first column. */
export function columns(texts: readonly string[]): string {
  const rows = Math.ceil(texts.length / 2);
  const width = Math.max(...texts.slice(0, rows).map(({ length }) => length));
  return texts
    .slice(0, rows)
    .map((left, row) => `${left.padEnd(width)}  ${texts[row + rows] ?? ""}`.trimEnd())
    .join("\n");
}

/** Runs a command and returns its exit status. Prints each error with its remedy. */
export async function exitStatusOf(command: () => Promise<number>): Promise<number> {
  // Suppresses the AWS SDK's warning about the end of support for Node.js versions.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  try {
    return await command();
  } catch (error) {
    const all = error instanceof AggregateError ? error.errors : [error];
    console.error(all.map(describeError).join("\n\n"));
    return 1;
  }
}
