import { readFileSync, statSync } from "node:fs";
import { costsOf } from "../plan-review/costs.ts";
import type { Plan } from "../plan-review/plan.ts";
import { prices } from "../plan-review/prices.ts";

/** The resources that Terraform manages now, and their cost on AWS. */
export interface Deployed {
  readonly kinds: readonly {
    /** Terraform's resource type. */
    readonly type: string;
    readonly count: number;
    /** US dollars per month, independent of use. */
    readonly monthly: number;
  }[];
  readonly monthly: number;
  /** Prices that depend on use. */
  readonly usage: readonly string[];
  /** Region of the prices, and their year. */
  readonly prices: { readonly region: string; readonly date: string };
}

/** The parts of Terraform's state file (format 4) that are used here. */
interface State {
  readonly resources: readonly {
    readonly mode: "managed" | "data";
    readonly type: string;
    readonly name: string;
    readonly instances: readonly { readonly index_key?: string | number; readonly attributes?: unknown }[];
  }[];
}

/** Reads the state file again when it changes, because another terminal can apply a change to a running rehearsal. */
export class DeployedResources {
  private readonly stateFile: string;
  private readAt = -1;
  private deployed: Deployed = deployedOf({ resources: [] });

  constructor(stateFile: string) {
    this.stateFile = stateFile;
  }

  read(): Deployed {
    const changedAt = statSync(this.stateFile, { throwIfNoEntry: false })?.mtimeMs ?? -1;
    if (changedAt === this.readAt) return this.deployed;
    try {
      this.deployed = deployedOf(JSON.parse(readFileSync(this.stateFile, "utf8")));
      this.readAt = changedAt;
    } catch (error) {
      // Terraform is writing the file. The previous content is returned until the next call.
      if (!(error instanceof SyntaxError)) throw error;
    }
    return this.deployed;
  }
}

/** Uses the prices of the plan review, for a plan that creates all existing resources. */
export function deployedOf(state: State): Deployed {
  const resource_changes = state.resources.flatMap(({ mode, type, name, instances }) =>
    instances.map(({ index_key, attributes }) => ({
      ...{ address: `${type}.${name}${index_key === undefined ? "" : `[${JSON.stringify(index_key)}]`}` },
      ...{ mode, type, name },
      change: { actions: ["create"], before: null, after: attributes },
    })),
  );
  const plan = { format_version: "1.0", resource_changes } as Plan;
  const { fixed, total, usage } = costsOf(plan);
  const managed = resource_changes.filter(({ mode }) => mode === "managed").map(({ type }) => type);
  const kinds = [...new Set(managed)].sort().map((type) => ({
    type,
    count: managed.filter((one) => one === type).length,
    monthly: fixed.filter(({ about }) => about.type === type).reduce((sum, one) => sum + one.monthly, 0),
  }));
  return { kinds, monthly: total, usage, prices: { region: prices.region, date: prices.date } };
}
