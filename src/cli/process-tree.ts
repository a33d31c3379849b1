import { execFileSync } from "node:child_process";
import { capture } from "./processes.ts";

interface Process {
  readonly pid: number;
  readonly kibibytes: number;
}

const listing = ["-A", "-o", "pid=", "-o", "ppid=", "-o", "rss="];

/** The running descendants of a process. */
export function descendants(psOutput: string, root: number): Process[] {
  const rows = psOutput
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((row): row is [number, number, number] => row.length === 3);
  const found: Process[] = [];
  const parents = [root];
  for (const parent of parents) {
    for (const [pid, ppid, kibibytes] of rows) {
      if (ppid !== parent) continue;
      found.push({ pid, kibibytes });
      parents.push(pid);
    }
  }
  return found;
}

/** Samples the resident memory of this process and its descendants. Shared pages are counted once per process. */
export function watchMemory(everyMilliseconds = 1000): { peakMebibytes: () => number; stop: () => void } {
  let peak = 0;
  const sample = async () => {
    const result = await capture("ps", listing);
    const below = descendants(result?.stdout ?? "", process.pid).reduce(
      (sum, { kibibytes }) => sum + kibibytes,
      0,
    );
    peak = Math.max(peak, below / 1024 + process.memoryUsage.rss() / 2 ** 20);
  };
  const timer = setInterval(() => void sample(), everyMilliseconds);
  timer.unref();
  return { peakMebibytes: () => Math.round(peak), stop: () => clearInterval(timer) };
}

/** Kills all descendants of this process. */
export function killDescendants(): void {
  for (const { pid } of descendants(execFileSync("ps", listing, { encoding: "utf8" }), process.pid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Already ended.
    }
  }
}
