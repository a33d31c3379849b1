import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { workFolder } from "../../src/local-studio/paths.ts";
import type { RunFolder } from "../../src/local-studio/run-folder.ts";

export interface BenchmarkProps {
  /** How often each case runs; the median counts. */
  readonly runs: number;
  readonly folder: RunFolder;
  readonly signal: AbortSignal;
}

export interface Benchmark {
  /** What it measures, for the help. */
  readonly about: string;
  readonly defaultRuns: number;
  /** Measures, and resolves to what it found; rejects when anything failed. */
  readonly run: (props: BenchmarkProps) => Promise<Report>;
}

export interface Report {
  /** What is printed, in the order of reading. */
  readonly text: string;
  readonly targets: readonly Target[];
  /** For the JSON file: what the text was made of. */
  readonly results: unknown;
}

export interface Target {
  readonly target: string;
  readonly value: number;
  /** The target is met below it. */
  readonly limit: number;
}

export const isMet = ({ value, limit }: Target): boolean => value < limit;

/** Prints a report, and writes it to a file beside what it was measured on; resolves to the exit status. */
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

/** A table in Markdown, all but its first column flush right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|---|${"---:|".repeat(header.length - 1)}`, ...rows.map(line)].join("\n");
}

export function median(values: readonly number[]): number {
  const middle = values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}
