import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { capture } from "../../src/local-studio/processes.ts";

/**
 * Resolves when npm, which waits for the command that it runs, was killed outright: then nobody passes Ctrl-C on. Never
 * without npm: what `nohup` or `setsid` started is meant to outlive its parent.
 */
export async function npmEnded(everyMilliseconds = 1000): Promise<void> {
  if (process.env.npm_lifecycle_event === undefined) return new Promise(() => {});
  const parent = process.ppid;
  const columns = ["-o", "ppid=", "-o", "comm=", "-p", String(parent)];
  // npm runs a shell, and some shells stay in between: then it is that shell's parent that counts.
  const before = spawnSync("ps", columns, { encoding: "utf8" }).stdout?.trim() ?? "";
  const isThere = async () => {
    if (process.ppid !== parent) return false;
    if (!before.endsWith("sh")) return true;
    const now = (await capture("ps", columns))?.stdout.trim() ?? "";
    return now === "" || now === before;
  };
  do await sleep(everyMilliseconds, undefined, { ref: false });
  while (await isThere());
}
