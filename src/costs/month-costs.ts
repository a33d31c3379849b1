import { CostExplorerClient } from "@aws-sdk/client-cost-explorer";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { Problem } from "../cli/problem.ts";
import { domainIdOf } from "../people/domain.ts";
import { monthlyOf, type Resources } from "../plan-review/costs-by-people.ts";
import { prices } from "../plan-review/prices.ts";
import { clientSettings } from "../removal/aws.ts";
import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { billOf, inactiveTags } from "./bill.ts";
import type { Month } from "./cost.ts";
import type { EnvironmentCosts } from "./report.ts";
import { costOf, hoursIn, runningCosts } from "./running.ts";

export interface MonthCosts extends EnvironmentCosts {
  /** What the amounts do not say. */
  readonly notes: readonly string[];
}

export interface MonthCostsProps {
  readonly environment: ResolvedEnvironment;
  readonly month: Month;
  readonly now: Date;
  /** The stack's resources, which are asked for only if there is something to estimate. */
  readonly resources: () => Resources;
}

/** The bill of an environment and month, and an estimate of what it does not have yet. */
export async function monthCosts(props: MonthCostsProps): Promise<MonthCosts> {
  const { environment, month, now } = props;
  const { name, region } = environment;
  const client = new CostExplorerClient(clientSettings(region));
  const { costs, until } = await billOf(client, { environment: name, month, now });
  const notes = [...(await tagNotes(client, name, costs.length))];
  // A month that is over has a bill, without what runs now.
  if (now >= month.end) return { environment: name, costs, notes };
  const estimate = await estimateOf(props, until);
  return { environment: name, costs: [...costs, ...estimate.costs], notes: [...notes, ...estimate.notes] };
}

async function tagNotes(client: CostExplorerClient, name: string, lines: number): Promise<string[]> {
  const inactive = await inactiveTags(client);
  const how =
    "Activate them in the paying account (Billing and Cost Management, Cost allocation tags). A day later Cost Explorer " +
    "knows them, and costs from before only after a backfill";
  if (inactive === undefined) {
    return lines > 0
      ? []
      : [
          `The bill has nothing of "${name}". Its tags may not be active, which only the paying account can see. ${how}.`,
        ];
  }
  if (inactive.length === 0) return [];
  return [`Not active as cost allocation tags, or on no resource: ${inactive.join(", ")}. ${how}.`];
}

async function estimateOf(props: MonthCostsProps, from: Date) {
  const { environment, now } = props;
  const { existing, name, region } = environment;
  const client = new SageMakerClient(clientSettings(region));
  const prefix = prefixOf(name);
  const domainId = existing.domainId ?? (await deployedDomain(client, name));
  if (domainId === undefined)
    return { costs: [], notes: [`"${name}" is not deployed: nothing is estimated.`] };
  const running = await runningCosts({ client, prefix, domainId, from, now });
  const hours = hoursIn({ from, now }, from);
  const fixed = (monthlyOf(props.resources()) / prices.hoursOfMonth) * hours;
  return {
    costs: [...running.costs, ...costOf({ now }, "other", undefined, fixed)],
    notes: [
      `"${name}" is estimated from ${from.toISOString().slice(0, 16)}Z to now: apps, volumes and endpoints of now, jobs ` +
        `since then, and the stack's fixed costs. Prices of ${prices.region}, ${prices.date}; not what depends on use.`,
      ...(running.unknownTypes.length === 0
        ? []
        : [`Not estimated, because no price is known: ${running.unknownTypes.join(", ")}.`]),
    ],
  };
}

async function deployedDomain(client: SageMakerClient, name: string): Promise<string | undefined> {
  try {
    return await domainIdOf(client, name);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
