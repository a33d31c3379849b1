import type { RemovedEnvironment } from "../state/removed.ts";
import { type AccessChange, accessChanges } from "./access.ts";
import { type ChangesOfConcern, changesByConcern } from "./changes.ts";
import { type Costs, costsOf } from "./costs.ts";
import { type Drift, driftOf } from "./drift.ts";
import { instanceTypeChanges } from "./instance-types.ts";
import {
  accountOf,
  changesOf,
  isCreated,
  isDestroyed,
  isRemoved,
  isReplaced,
  isUpdated,
  type Plan,
  type ResourceChange,
} from "./plan.ts";
import type { Finding, Rule } from "./risks/rule.ts";
import { canBeBlockedByApps } from "./risks/studio.ts";
import type { RunningApps } from "./running-apps.ts";

export interface Risk extends Finding {
  readonly rule: string;
  /** The name for `--accept`: the rule, and the resource's address without its type. */
  readonly name: string;
  readonly title: string;
  readonly accepted: boolean;
}

export interface Review {
  /** The account of the credentials that made the plan, if its configuration reads it. */
  readonly account: string | undefined;
  readonly risks: readonly Risk[];
  readonly changes: readonly ChangesOfConcern[];
  /** Every change of a managed resource. */
  readonly resources: readonly ResourceChange[];
  readonly counts: Readonly<Record<"add" | "change" | "replace" | "remove", number>>;
  readonly costs: Costs;
  readonly access: readonly AccessChange[];
  readonly drift: readonly Drift[];
  /** Why running apps were not checked, if one could block this plan. */
  readonly appsNotChecked?: string | undefined;
  /** Names of `--accept` that match no risk of this plan. */
  readonly unknownNames: readonly string[];
  /** Whether an apply would change anything. */
  readonly changed: boolean;
}

export interface ReviewProps {
  readonly plan: Plan;
  readonly apps: RunningApps;
  /** From `allRules`. */
  readonly rules: readonly Rule[];
  /** Names of the accepted risks. */
  readonly accept: readonly string[];
  /** Other environments that are in a state file, but not in the settings. @default none */
  readonly removed?: readonly RemovedEnvironment[] | undefined;
}

export function reviewOf(props: ReviewProps): Review {
  const { plan, apps, accept } = props;
  const drift = driftOf(plan);
  const risks = risksOf(props, drift);
  const all = changesOf(plan);
  const number = (is: (one: ResourceChange) => boolean) => all.filter(is).length;
  const changes = changesByConcern(plan);
  return {
    account: accountOf(plan),
    risks,
    changes,
    resources: all,
    counts: {
      add: number((one) => isCreated(one) && !isDestroyed(one)),
      change: number(isUpdated),
      replace: number(isReplaced),
      remove: number(isRemoved),
    },
    costs: costsOf(plan),
    access: [...accessChanges(plan), ...instanceTypeChanges(plan)],
    drift,
    appsNotChecked: "notChecked" in apps && canBeBlockedByApps(plan) ? apps.notChecked : undefined,
    unknownNames: accept.filter((name) => !risks.some((risk) => risk.name === name)),
    // `applyable` also covers changes that no list contains, such as an upgrade of the state's format.
    changed: changes.length > 0 || plan.applyable === true,
  };
}

function risksOf(
  { plan, apps, rules, accept, removed = [] }: ReviewProps,
  drift: readonly Drift[],
): readonly Risk[] {
  const taken = new Map<string, number>();
  const found = [
    ...rules.flatMap((rule) => rule.find(plan, apps, removed).map((finding) => ({ ...finding, rule }))),
    // What the plan reverts is a risk only until it is applied.
    ...drift.filter(({ outcome }) => outcome === "kept").flatMap((one) => one.risks),
  ];
  return found.map(({ rule, ...finding }) => {
    const plain = `${rule.name}:${slugOf(finding.about)}`;
    // One rule can have two findings for a resource, and two addresses can have the same slug.
    const times = (taken.get(plain) ?? 0) + 1;
    taken.set(plain, times);
    const name = times === 1 ? plain : `${plain}.${times}`;
    return { ...finding, name, rule: rule.name, title: rule.title, accepted: accept.includes(name) };
  });
}

/** The Terraform address without its type, in characters that need no quoting in a shell: `studio_profiles.ana`. */
function slugOf({ address, type, deposed }: ResourceChange): string {
  const own = address.replace(new RegExp(`(^|\\.)${type}\\.`), "$1");
  return `${own}${deposed === undefined ? "" : `.${deposed}`}`
    .replace(/[^A-Za-z0-9_-]+/g, ".")
    .replace(/^\.|\.$/g, "");
}

/** Exit statuses of a review. As in every command, 1 is an error and 2 an invalid command line. */
export const reviewStatus = { noChanges: 0, risk: 3, changes: 4 } as const;

/** The exit status: one of `reviewStatus`, or 1 for an unknown `--accept` name. */
export function statusOf({ risks, changed, unknownNames }: Review): number {
  if (unknownNames.length > 0) return 1;
  if (risks.some(({ accepted }) => !accepted)) return reviewStatus.risk;
  return changed ? reviewStatus.changes : reviewStatus.noChanges;
}
