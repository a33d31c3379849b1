import { type AccessChange, accessChanges } from "./access.ts";
import { type ChangesOfConcern, changesByConcern } from "./changes.ts";
import { type Costs, costsOf } from "./costs.ts";
import { differencesOf } from "./differences.ts";
import { instanceTypeChanges } from "./instance-types.ts";
import {
  changesOf,
  isCreated,
  isDestroyed,
  isReplaced,
  isUpdated,
  type Plan,
  type ResourceChange,
} from "./plan.ts";
import { accessRule } from "./risks/access.ts";
import { aiRegionsRule } from "./risks/ai.ts";
import { queryLimitRule } from "./risks/athena.ts";
import { auditRule } from "./risks/audit.ts";
import { egressRule } from "./risks/egress.ts";
import { endpointTimeoutRule } from "./risks/endpoint-timeout.ts";
import { publicRule, trafficRule } from "./risks/exposure.ts";
import { homeBackupRule } from "./risks/home-backup.ts";
import { instanceLimitRule } from "./risks/instance-limit.ts";
import { instanceTypesRule } from "./risks/instance-types.ts";
import { lostRules } from "./risks/lost.ts";
import { perimeterRule } from "./risks/perimeter.ts";
import { permissionsRule, unknownPermissionsRule } from "./risks/permissions.ts";
import { protectionRule } from "./risks/protection.ts";
import { retentionRule } from "./risks/retention.ts";
import type { Finding, Rule } from "./risks/rule.ts";
import { scheduleRightsRule } from "./risks/schedule-rights.ts";
import { sharedRoleRule } from "./risks/shared-role.ts";
import {
  canBeBlockedByApps,
  lifecycleRule,
  refusedUpdateRule,
  removedImageRule,
  runningAppsRule,
} from "./risks/studio.ts";
import type { RunningApps } from "./running-apps.ts";

/** Every rule, in the order of the review. Losses that cannot be undone come first. */
export const rules: readonly Rule[] = [
  ...lostRules,
  retentionRule,
  homeBackupRule,
  auditRule,
  protectionRule,
  publicRule,
  permissionsRule,
  unknownPermissionsRule,
  sharedRoleRule,
  scheduleRightsRule,
  accessRule,
  queryLimitRule,
  trafficRule,
  perimeterRule,
  egressRule,
  instanceLimitRule,
  endpointTimeoutRule,
  instanceTypesRule,
  aiRegionsRule,
  refusedUpdateRule,
  runningAppsRule,
  removedImageRule,
  lifecycleRule,
];

export interface Risk extends Finding {
  /** The name for `--accept`: the rule, and the resource's address without its type. */
  readonly name: string;
  readonly title: string;
  readonly accepted: boolean;
}

export interface Review {
  readonly risks: readonly Risk[];
  readonly changes: readonly ChangesOfConcern[];
  readonly counts: Readonly<Record<"add" | "change" | "replace" | "remove", number>>;
  readonly costs: Costs;
  readonly access: readonly AccessChange[];
  /** Addresses of the resources that were changed outside Terraform. */
  readonly drift: readonly string[];
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
  /** Names of the accepted risks. */
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
    access: [...accessChanges(plan), ...instanceTypeChanges(plan)],
    drift: driftOf(plan),
    appsNotChecked: "notChecked" in apps && canBeBlockedByApps(plan) ? apps.notChecked : undefined,
    unknownNames: accept.filter((name) => !risks.some((risk) => risk.name === name)),
    // `applyable` also covers changes that no list contains, such as an upgrade of the state's format.
    changed: changes.length > 0 || plan.applyable === true,
  };
}

/**
 * Resources that were deleted outside Terraform, or changed in an attribute that causes this plan's changes. The list
 * in the plan also contains attributes that AWS sets after each apply. Terraform's own output leaves those out, too.
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
      // One rule can have two findings for a resource, and two addresses can have the same slug.
      const times = (taken.get(plain) ?? 0) + 1;
      taken.set(plain, times);
      const name = times === 1 ? plain : `${plain}.${times}`;
      return { ...finding, name, title, accepted: accept.includes(name) };
    }),
  );
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
