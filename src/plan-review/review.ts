import { type ChangesOfConcern, changesByConcern } from "./changes.ts";
import { type Costs, costsOf } from "./costs.ts";
import { differencesOf } from "./differences.ts";
import {
  changesOf,
  isCreated,
  isDestroyed,
  isReplaced,
  isUpdated,
  type Plan,
  type ResourceChange,
} from "./plan.ts";
import { publicRule, trafficRule } from "./risks/exposure.ts";
import { lostRules } from "./risks/lost.ts";
import { permissionsRule, unknownPermissionsRule } from "./risks/permissions.ts";
import { retentionRule } from "./risks/retention.ts";
import type { Finding, Rule } from "./risks/rule.ts";
import { asksForApps, lifecycleRule, refusedUpdateRule, runningAppsRule } from "./risks/studio.ts";
import type { RunningApps } from "./running-apps.ts";

/** Every rule, in the order of the review: what cannot be undone comes first. */
export const rules: readonly Rule[] = [
  ...lostRules,
  retentionRule,
  publicRule,
  permissionsRule,
  unknownPermissionsRule,
  trafficRule,
  refusedUpdateRule,
  runningAppsRule,
  lifecycleRule,
];

export interface Risk extends Finding {
  /** What `--accept` takes: the rule, and the resource without its type. */
  readonly name: string;
  readonly title: string;
  readonly accepted: boolean;
}

export interface Review {
  readonly risks: readonly Risk[];
  readonly changes: readonly ChangesOfConcern[];
  readonly counts: Readonly<Record<"add" | "change" | "replace" | "remove", number>>;
  readonly costs: Costs;
  /** What was changed outside Terraform, by address. */
  readonly drift: readonly string[];
  /** Why nobody knows whether apps are in the way, where that matters. */
  readonly appsNotAsked?: string;
  /** Names to accept that are no risk of this plan. */
  readonly unknownNames: readonly string[];
  /** An apply would do something. */
  readonly changed: boolean;
}

export interface ReviewProps {
  readonly plan: Plan;
  readonly apps: RunningApps;
  /** Names of the risks that somebody accepts. */
  readonly accept: readonly string[];
}

export function reviewOf({ plan, apps, accept }: ReviewProps): Review {
  const risks = risksOf(plan, apps, accept);
  const all = changesOf(plan);
  const number = (is: (one: ResourceChange) => boolean) => all.filter(is).length;
  const changes = changesByConcern(plan);
  return {
    risks,
    changes,
    counts: {
      add: number((one) => isCreated(one) && !isDestroyed(one)),
      change: number(isUpdated),
      replace: number(isReplaced),
      remove: number((one) => isDestroyed(one) && !isCreated(one)),
    },
    costs: costsOf(plan),
    drift: driftOf(plan),
    ...("notAsked" in apps && asksForApps(plan) ? { appsNotAsked: apps.notAsked } : {}),
    unknownNames: accept.filter((name) => !risks.some((risk) => risk.name === name)),
    // `applyable` knows of what is in no list, such as a check or a state of another version.
    changed: changes.length > 0 || plan.applyable === true,
  };
}

/**
 * What was deleted outside Terraform, or changed in an attribute that this plan's changes come from: what AWS fills in by
 * itself after each apply is in the same list, and Terraform's own plan leaves it out too.
 */
function driftOf(plan: Plan): readonly string[] {
  const relevant = new Set(
    (plan.relevant_attributes ?? []).map(({ resource, attribute }) => `${resource} ${attribute[0]}`),
  );
  return (plan.resource_drift ?? [])
    .filter(
      (one) =>
        isDestroyed(one) ||
        differencesOf(one).some(({ path }) =>
          [one.address, one.address.replace(/\[.*$/s, "")].some((address) =>
            relevant.has(`${address} ${path.split(/[.[]/)[0]}`),
          ),
        ),
    )
    .map(({ address }) => address);
}

function risksOf(plan: Plan, apps: RunningApps, accept: readonly string[]): readonly Risk[] {
  const taken = new Map<string, number>();
  return rules.flatMap(({ name: rule, title, find }) =>
    find(plan, apps).map((finding) => {
      const plain = `${rule}:${slugOf(finding.about)}`;
      // Two findings of one rule about one resource, or two addresses that are written alike.
      const times = (taken.get(plain) ?? 0) + 1;
      taken.set(plain, times);
      const name = times === 1 ? plain : `${plain}.${times}`;
      return { ...finding, name, title, accepted: accept.includes(name) };
    }),
  );
}

/** Terraform's address without its type, in letters that no shell takes for its own: `studio_profiles.ana`. */
function slugOf({ address, type, deposed }: ResourceChange): string {
  const own = address.replace(new RegExp(`(^|\\.)${type}\\.`), "$1");
  return `${own}${deposed === undefined ? "" : `.${deposed}`}`
    .replace(/[^A-Za-z0-9_-]+/g, ".")
    .replace(/^\.|\.$/g, "");
}

/** 0 nothing to do, 2 changes, 3 a risk that nobody accepted; 1 is for what went wrong. */
export function statusOf({ risks, changed, unknownNames }: Review): 0 | 1 | 2 | 3 {
  if (unknownNames.length > 0) return 1;
  if (risks.some(({ accepted }) => !accepted)) return 3;
  return changed ? 2 : 0;
}
