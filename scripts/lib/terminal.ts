import { describeError } from "../../src/local-studio/problem.ts";
import type { Steps } from "../../src/local-studio/steps.ts";

/** How long each step took. */
export function timesTable({ times }: Steps): string {
  const width = Math.max(...times.map(({ name }) => name.length));
  return times
    .map(({ name, seconds }) => `  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`)
    .join("\n");
}

/** Texts side by side in two columns, read downwards. */
export function columns(texts: readonly string[]): string {
  const rows = Math.ceil(texts.length / 2);
  const width = Math.max(...texts.slice(0, rows).map(({ length }) => length));
  return texts
    .slice(0, rows)
    .map((left, row) => `${left.padEnd(width)}  ${texts[row + rows] ?? ""}`.trimEnd())
    .join("\n");
}

/** Runs a command to its exit status; whatever it throws is told, each with what to do about it. */
export async function exitStatusOf(command: () => Promise<number>): Promise<number> {
  // The AWS SDK warns of Node.js versions that it will leave behind one day: no concern of whoever runs this.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  try {
    return await command();
  } catch (error) {
    const all = error instanceof AggregateError ? error.errors : [error];
    console.error(all.map(describeError).join("\n\n"));
    return 1;
  }
}
