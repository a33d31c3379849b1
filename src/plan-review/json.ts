import type { NextStep } from "./apply-command.ts";
import type { Outcome } from "./drift.ts";
import { kindOf } from "./kinds.ts";
import type { Action } from "./plan.ts";
import { prices } from "./prices.ts";
import type { Review } from "./review.ts";

/**
 * The review for other programs. A later version can add properties. Any other change raises `schemaVersion`. Texts are
 * Markdown.
 */
export interface ReviewJson {
  readonly schemaVersion: 1;
  /** The environment, or the name of the reviewed file. */
  readonly subject: string;
  /** Whether an apply would change anything. */
  readonly changed: boolean;
  readonly counts: Readonly<Record<"add" | "change" | "replace" | "remove", number>>;
  readonly risks: readonly JsonRisk[];
  readonly resources: readonly JsonResource[];
  readonly access: readonly {
    readonly who: string;
    readonly more: readonly string[];
    readonly less: readonly string[];
  }[];
  /** Resources that were changed outside Terraform. */
  readonly drift: readonly {
    readonly address: string;
    /** What the plan does with the change. `changed`: it sets a third value. */
    readonly outcome: Outcome;
  }[];
  /** Why running apps were not checked, if one could block this plan. */
  readonly appsNotChecked: string | null;
  readonly monthlyCost: {
    readonly currency: "USD";
    /** The change of the fixed cost, in the region of the prices. */
    readonly total: number;
    readonly region: string;
    readonly fixed: readonly { readonly address: string; readonly monthly: number }[];
    readonly usage: readonly string[];
  };
  /** The shell command that applies the plan and accepts its risks, if there is anything to apply. */
  readonly apply: string | null;
}

interface JsonRisk {
  /** The name for `--accept`. */
  readonly name: string;
  readonly rule: string;
  readonly title: string;
  /** The resource's address in Terraform. */
  readonly address: string;
  readonly type: string;
  readonly reason: string;
  /** What is lost, and for how many people. */
  readonly lost: string | null;
  readonly instead: string;
  readonly accepted: boolean;
}

interface JsonResource {
  readonly address: string;
  readonly type: string;
  /** As in `terraform show -json`. */
  readonly actions: readonly Action[];
  /** The heading in the review, such as `Network`. */
  readonly concern: string;
}

export const reviewJson = (subject: string, review: Review, next?: NextStep): ReviewJson => ({
  schemaVersion: 1,
  subject,
  changed: review.changed,
  counts: review.counts,
  risks: review.risks.map(({ name, rule, title, about, reason, lost, instead, accepted }) => ({
    ...{ name, rule, title },
    ...{ address: about.address, type: about.type },
    ...{ reason, lost: lost ?? null, instead, accepted },
  })),
  resources: review.resources.map((one) => ({
    address: one.address,
    type: one.type,
    actions: one.change.actions,
    concern: kindOf(one).concern,
  })),
  access: review.access.map(({ who, more, less }) => ({ who, more, less })),
  drift: review.drift.map(({ about, outcome }) => ({ address: about.address, outcome })),
  appsNotChecked: review.appsNotChecked ?? null,
  monthlyCost: {
    currency: "USD",
    total: review.costs.total,
    region: prices.region,
    fixed: review.costs.fixed.map(({ about, monthly }) => ({ address: about.address, monthly })),
    usage: review.costs.usage,
  },
  apply: next?.command ?? null,
});
