import { scheduleTag, userTag } from "../settings/names.ts";

/** What costs are for. `other`: the network, keys, storage, and all that is not SageMaker's. */
export const costKinds = ["apps", "jobs", "schedules", "endpoints", "other"] as const;
export type CostKind = (typeof costKinds)[number];

export interface Cost {
  /** The day in UTC, such as `2026-11-03`. */
  readonly day: string;
  /** The user's name in lower case. Undefined: nobody's, such as the network and shared spaces. */
  readonly person: string | undefined;
  readonly kind: CostKind;
  readonly usd: number;
  /** Whether it is an estimate, and not on the bill. */
  readonly estimated: boolean;
}

/** The tags that costs are found by. Each is a cost allocation tag, once it was activated in the paying account. */
export const costTags = ["Project", "Environment", userTag, scheduleTag] as const;

export interface Month {
  readonly start: Date;
  /** Exclusive. */
  readonly end: Date;
}

/** `2026-11`, or undefined if it is not a month. Months of a bill are in UTC. */
export function monthOf(text: string): Month | undefined {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) return undefined;
  const [year = 0, month = 0] = text.split("-").map(Number);
  return { start: new Date(Date.UTC(year, month - 1)), end: new Date(Date.UTC(year, month)) };
}

export const dayOf = (time: Date): string => time.toISOString().slice(0, 10);
