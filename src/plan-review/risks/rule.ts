import type { Plan, ResourceChange } from "../plan.ts";
import type { RunningApps } from "../running-apps.ts";

/** Something in a plan that a person should know before it is applied. Its texts are Markdown. */
export interface Finding {
  readonly about: ResourceChange;
  readonly reason: string;
  /** What is gone afterwards, and for how many people. */
  readonly lost?: string;
  /** What to do instead. */
  readonly instead: string;
}

export interface Rule {
  /** How the names of its risks begin. */
  readonly name: string;
  readonly title: string;
  readonly find: (plan: Plan, apps: RunningApps) => readonly Finding[];
}
