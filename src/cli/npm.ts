import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { capture } from "./processes.ts";

/**
 * Resolves when npm was killed with SIGKILL and so cannot forward Ctrl-C. Without npm it never resolves, because a
 * command that was started with `nohup` or `setsid` is meant to outlive its parent.
 */
export async function npmEnded(everyMilliseconds = 1000): Promise<void> {
  if (process.env.npm_lifecycle_event === undefined) return new Promise(() => {});
  const parent = process.ppid;
  const columns = ["-o", "ppid=", "-o", "comm=", "-p", String(parent)];
  // npm runs the command in a shell. If that shell is this process's parent, the shell's parent is checked.
  const before = spawnSync("ps", columns, { encoding: "utf8" }).stdout?.trim() ?? "";
  const isRunning = async () => {
    if (process.ppid !== parent) return false;
    if (!before.endsWith("sh")) return true;
    const now = (await capture("ps", columns))?.stdout.trim() ?? "";
    return now === "" || now === before;
  };
  do await sleep(everyMilliseconds, undefined, { ref: false });
  while (await isRunning());
}
