import { CostExplorerClient } from "@aws-sdk/client-cost-explorer";
import { DescribeDomainCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { billOf } from "../costs/bill.ts";
import { dayOf, monthOf } from "../costs/cost.ts";
import { type CostRow, rowsOf } from "../costs/report.ts";
import { costOf, hoursIn, runningCosts } from "../costs/running.ts";
import { prices } from "../plan-review/prices.ts";
import { prefixOf } from "../settings/basics.ts";
import type { LocalAws } from "./local-aws.ts";

export interface StudioCosts {
  /** Such as `2026-11`. */
  readonly month: string;
  readonly rows: readonly CostRow[];
}

/** What the running month would cost on AWS, by person, as `npm run costs -- --month` counts it. */
export async function studioCosts(
  settings: ReturnType<LocalAws["clientSettings"]>,
  { domainId, monthly }: { readonly domainId: string; readonly monthly: number },
  now = new Date(),
): Promise<StudioCosts> {
  const client = new SageMakerClient(settings);
  const { DomainName = "" } = await client.send(new DescribeDomainCommand({ DomainId: domainId }));
  const environment = DomainName.slice(prefixOf("").length);
  const text = dayOf(now).slice(0, 7);
  const month = monthOf(text);
  if (month === undefined) throw new Error(`${text} must be a month`);
  const bill = await billOf(new CostExplorerClient(settings), { environment, month, now });
  const time = { from: bill.until, now };
  const running = await runningCosts({ client, prefix: DomainName, domainId, ...time });
  const fixed = (monthly / prices.hoursOfMonth) * hoursIn(time, bill.until);
  const costs = [...bill.costs, ...running.costs, ...costOf(time, "other", undefined, fixed)];
  return { month: text, rows: rowsOf([{ environment, costs }]) };
}
