import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { workFolder } from "../../src/cli/paths.ts";
import type { RunFolder } from "../../src/cli/run-folder.ts";

export interface BenchmarkProps {
  /** The number of runs of each case. The median is reported. */
  readonly runs: number;
  readonly folder: RunFolder;
  readonly signal: AbortSignal;
}

export interface Benchmark {
  /** The description in the help. */
  readonly about: string;
  readonly defaultRuns: number;
  /** Runs the benchmark. Rejects if a run fails. */
  readonly run: (props: BenchmarkProps) => Promise<Report>;
}

export interface Report {
  /** The printed text. */
  readonly text: string;
  readonly targets: readonly Target[];
  /** The measured values for the JSON file. */
  readonly results: unknown;
}

export interface Target {
  readonly target: string;
  readonly value: number;
  /** The value must be below this limit. */
  readonly limit: number;
}

export const isMet = ({ value, limit }: Target): boolean => value < limit;

/** Prints a report and writes it to a file with data of the machine. @returns the exit status */
export function publish(name: string, runs: number, { text, targets, results }: Report): number {
  console.log(`${text}\n`);
  for (const target of targets)
    console.log(`${isMet(target) ? "met   " : "missed"} ${target.target}: ${target.value.toFixed(2)}`);
  const machine = {
    node: process.version,
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memory: totalmem(),
    release: release(),
  };
  const judged = targets.map((target) => ({ ...target, met: isMet(target) }));
  const file = join(workFolder, `bench-${name}.json`);
  mkdirSync(workFolder, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ runs, machine, results, targets: judged }, null, 2)}\n`);
  console.log(`\nwritten: ${file}`);
  return targets.every(isMet) ? 0 : 1;
}

/** A Markdown table whose columns are right-aligned, except for the first one. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|---|${"---:|".repeat(header.length - 1)}`, ...rows.map(line)].join("\n");
}

export function median(values: readonly number[]): number {
  const middle = values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}
