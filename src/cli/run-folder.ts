import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workFolder } from "./paths.ts";

/** The files of one run, which are deleted when it ends. */
export interface RunFolder {
  readonly path: string;
  readonly logs: string;
  remove(): void;
}

export function createRunFolder(runs = join(workFolder, "runs")): RunFolder {
  removeAbandoned(runs);
  const path = join(runs, `${new Date().toISOString().replace(/\D/g, "").slice(0, 14)}-${process.pid}`);
  const logs = join(path, "logs");
  mkdirSync(logs, { recursive: true });
  writeFileSync(join(path, "pid"), `${process.pid}\n`);
  return {
    path,
    logs,
    remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }),
  };
}

/** Removes the folders of killed runs, whose process no longer exists. */
function removeAbandoned(runs: string): void {
  for (const name of existsSync(runs) ? readdirSync(runs) : []) {
    const folder = join(runs, name);
    if (ownerOf(folder) === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The process ID in a folder's `pid` file, if that process is running. */
export function ownerOf(folder: string): number | undefined {
  const file = join(folder, "pid");
  const owner = existsSync(file) ? Number(readFileSync(file, "utf8")) : Number.NaN;
  return isAlive(owner) ? owner : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
