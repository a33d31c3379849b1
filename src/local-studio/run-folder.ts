import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workFolder } from "./paths.ts";

/** Everything that one run writes; gone when it ends. */
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

/** A run that was killed could not remove its folder; its process's number tells. */
function removeAbandoned(runs: string): void {
  for (const name of existsSync(runs) ? readdirSync(runs) : []) {
    const file = join(runs, name, "pid");
    const owner = existsSync(file) ? Number(readFileSync(file, "utf8")) : Number.NaN;
    if (!isAlive(owner)) rmSync(join(runs, name), { recursive: true, force: true, maxRetries: 5 });
  }
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
