import type { Side } from "../app.ts";
import { type Setup, withApp } from "./setup.ts";

/** Milliseconds of a space's start. */
export interface Start {
  /** For which JupyterLab waits for the lifecycle script. */
  readonly blocking: number;
  /** Until the first cell is live. */
  readonly live: number;
}

export function timeStart(setup: Setup, side: Side, label: string): Promise<Start> {
  return withApp(setup, side, label, async (app, context) => {
    await app.open(context);
    return { blocking: app.blockingMilliseconds, live: app.millisecondsSinceStart };
  });
}
