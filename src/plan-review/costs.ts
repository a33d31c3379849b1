import {
  changesOf,
  isCreated,
  isDestroyed,
  isUpdated,
  type Plan,
  type ResourceChange,
  regionOf,
} from "./plan.ts";
import { monthly, prices, usagePrice } from "./prices.ts";

export interface Cost {
  readonly about: ResourceChange;
  /** US dollars a month; negative where it is saved. */
  readonly monthly: number;
}

export interface Costs {
  readonly fixed: readonly Cost[];
  readonly total: number;
  /** What else changes in price, by use. */
  readonly usage: readonly string[];
  /** Set where the table is of another region. */
  readonly otherRegion?: string;
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
  const comesOrGoes = changes.filter((one) => isCreated(one) !== isDestroyed(one));
  const region = regionOf(plan);
  return {
    fixed,
    total: fixed.reduce((sum, { monthly }) => sum + monthly, 0),
    usage: [...new Set(comesOrGoes.flatMap((one) => usagePrice(one) ?? []))].toSorted(),
    ...(region === undefined || region === prices.region ? {} : { otherRegion: region }),
  };
}
