import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { realPayload, Space, until } from "../support/space-fixture.ts";

const spaces: Space[] = [];
const newSpace = () => {
  const space = new Space();
  spaces.push(space);
  return space;
};
afterEach(async () => {
  for (const space of spaces.splice(0)) await space.dispose();
});

/** Whether each process is running. Zombies ("Z") have ended, but their parent has not waited for them. */
async function alive(pids: readonly number[]): Promise<boolean[]> {
  const listing = await capture("ps", ["-A", "-o", "pid=,stat="]);
  const running = new Set(
    (listing?.stdout ?? "")
      .split("\n")
      .filter((line) => !/ Z\S*$/.test(line))
      .map((line) => Number.parseInt(line, 10)),
  );
  return pids.map((pid) => running.has(pid));
}

/** Starts a background process that ignores SIGTERM and has a child. Returns both process IDs. */
async function leaveBehind(space: Space): Promise<number[]> {
  const background = `trap "" TERM; sleep 300 & echo $$ $! >"$HOME/pids"; wait`;
  await space.run("/bin/bash", ["-c", `nohup bash -c '${background}' >/dev/null 2>&1 </dev/null &`]);
  const file = join(space.home, "pids");
  const pids = await until(
    "the background part",
    () => (existsSync(file) && /^(\d+) (\d+)\n/.exec(space.read("home/pids"))) || undefined,
  );
  return pids.slice(1).map(Number);
}

describe("a test's space", () => {
  it("stops its own background processes when it is disposed, and not those of another space", async () => {
    const [mine, other] = [newSpace(), newSpace()];
    const left = await leaveBehind(mine);
    const others = await leaveBehind(other);
    // Without dispose() they would keep running.
    expect(await alive([...left, ...others])).toEqual([true, true, true, true]);
    expect((await mine.processes()).sort()).toEqual(left.sort());
    await mine.dispose();
    expect(await alive(left)).toEqual([false, false]);
    expect(await alive(others)).toEqual([true, true]);
    expect(existsSync(mine.folder)).toBe(false);
  });

  it("stops an installation that has just started", async () => {
    const space = newSpace();
    const { python } = await pythonEnvironment("image");
    await space.run(python, ["-m", "venv", "--without-pip", space.prefix]);
    space.upload(realPayload());
    const started = await space.runLifecycleScript();
    expect(started.status, started.stderr).toBe(0);
    await until("the installation", () => existsSync(join(space.state, "status")) || undefined);
    expect(await space.processes()).not.toEqual([]);
    await space.dispose();
    expect(await space.processes()).toEqual([]);
    expect(existsSync(space.folder)).toBe(false);
  });
});
