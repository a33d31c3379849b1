import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../app.ts";
import { installed, movesEach, type Setup, withApp } from "./setup.ts";

/** Seconds over which the processor time of an idle space is measured. */
const idleSeconds = 20;
/** As in activity.py. */
export const watcherSeconds = 30;

/** Resident bytes of JupyterLab with one notebook open. */
export function memoryOf(setup: Setup, side: Side): Promise<number> {
  return withApp(setup, side, "memory with one notebook open", async (app, context) => {
    const page = await app.open(context);
    for (let index = 0; index < movesEach; index++) await page.move();
    if (side === setup.ours) await installed(app, setup.signal);
    const processes = await app.processes();
    return processes
      .filter(({ command }) => /-m jupyterlab /.test(command))
      .reduce((total, { bytes }) => total + bytes, 0);
  });
}

export interface Watcher {
  /** Processor time of one check by the watcher, in JupyterLab and in marimo. */
  readonly millisecondsPerLook: number;
  readonly percentOfCore: number;
}

/** Compares an idle space with frequent checks by the watcher to one without checks. */
export async function watch(setup: Setup): Promise<Watcher> {
  const interval = 0.25;
  const often = await idleMilliseconds(setup, interval);
  const never = await idleMilliseconds(setup, 3600);
  const millisecondsPerLook = Math.max(0, often - never) / (idleSeconds / interval);
  return { millisecondsPerLook, percentOfCore: millisecondsPerLook / (watcherSeconds * 10) };
}

/** Processor time of all processes of an idle app with one open notebook. */
function idleMilliseconds(setup: Setup, interval: number): Promise<number> {
  const label = `${idleSeconds} s idle, watcher interval ${interval} s`;
  return withApp(
    setup,
    setup.ours,
    label,
    async (app, context) => {
      await app.open(context);
      await installed(app, setup.signal);
      await sleep(5000, undefined, { signal: setup.signal });
      const seconds = async () => (await app.processes()).reduce((sum, one) => sum + one.seconds, 0);
      const before = await seconds();
      await sleep(idleSeconds * 1000, undefined, { signal: setup.signal });
      return ((await seconds()) - before) * 1000;
    },
    { MARIMO_ACTIVITY_INTERVAL: String(interval) },
  );
}
