import type { RemovedEnvironment } from "../../state/removed.ts";
import type { Plan, ResourceChange } from "../plan.ts";
import type { RunningApps } from "../running-apps.ts";

/** A change that a person should know about before the plan is applied. Its texts are Markdown. */
export interface Finding {
  readonly about: ResourceChange;
  readonly reason: string;
  /** What is lost, and for how many people. */
  readonly lost?: string | undefined;
  /** What to do instead. */
  readonly instead: string;
}

export interface Rule {
  /** The prefix of its risks' names. */
  readonly name: string;
  readonly title: string;
  readonly find: (
    plan: Plan,
    apps: RunningApps,
    removed: readonly RemovedEnvironment[],
  ) => readonly Finding[];
}
