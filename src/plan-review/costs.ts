import {
  changesOf,
  isCreated,
  isDestroyed,
  isUpdated,
  type Plan,
  type ResourceChange,
  regionOf,
} from "./plan.ts";
import { backupPrice, monthly, prices, usagePrice } from "./prices.ts";

export interface Cost {
  readonly about: ResourceChange;
  /** US dollars a month. Negative for a saving. */
  readonly monthly: number;
}

export interface Costs {
  readonly fixed: readonly Cost[];
  readonly total: number;
  /** Prices that depend on use or age. */
  readonly usage: readonly string[];
  /** The plan's region, if the prices are for a different one. */
  readonly otherRegion?: string | undefined;
}

export function costsOf(plan: Plan): Costs {
  const changes = changesOf(plan);
  const fixed = changes
    .map((about) => {
      const old = isDestroyed(about) || isUpdated(about) ? (monthly(about, "before", plan) ?? 0) : 0;
      const now = isCreated(about) || isUpdated(about) ? (monthly(about, "after", plan) ?? 0) : 0;
      return { about, monthly: now - old };
    })
    .filter(({ monthly }) => Math.abs(monthly) > 0.001);
  const addedOrRemoved = changes.filter((one) => isCreated(one) !== isDestroyed(one));
  const region = regionOf(plan);
  return {
    fixed,
    total: fixed.reduce((sum, { monthly }) => sum + monthly, 0),
    usage: [
      ...new Set([
        ...addedOrRemoved.flatMap((one) => usagePrice(one) ?? []),
        ...changes.flatMap((one) => backupPrice(one) ?? []),
      ]),
    ].toSorted(),
    otherRegion: region === prices.region ? undefined : region,
  };
}
