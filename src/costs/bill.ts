import {
  type CostExplorerClient,
  type Expression,
  GetCostAndUsageCommand,
  type GetCostAndUsageCommandOutput,
  ListCostAllocationTagsCommand,
} from "@aws-sdk/client-cost-explorer";
import { scheduleTag, userTag } from "../settings/names.ts";
import { type Cost, type CostKind, costTags, dayOf, type Month } from "./cost.ts";

export interface Bill {
  readonly costs: readonly Cost[];
  /** The end of the last day with a cost, or the start of the month. What is later is not on the bill yet. */
  readonly until: Date;
}

/**
 * Kinds by usage type, such as `USE1-Studio:JupyterLab-ml.t3.medium`, `USE1-Processing:ml.m5.large` and
 * `USE1-Host:ml.m5.large` (AWS's price list of SageMaker). Guess: those of training on Spot have `Train` in them too.
 */
const kindsByUsage: readonly (readonly [CostKind, RegExp])[] = [
  ["apps", /\bStudio:/],
  ["jobs", /(^|-)(Processing|[A-Za-z]*Train[A-Za-z]*|Tsform)\b/],
  ["endpoints", /(^|-)(Host|ServerlessInf)\b/],
];

export const kindOfUsage = (usageType: string): CostKind =>
  kindsByUsage.find(([, pattern]) => pattern.test(usageType))?.[0] ?? "other";

const metric = "UnblendedCost";

/**
 * What Cost Explorer has of an environment and month, up to the end of yesterday: it adds a day's costs within 24 hours
 * (AWS Cost Management User Guide). Groups are at most two, so the jobs of schedules are asked for separately.
 */
export async function billOf(
  client: Pick<CostExplorerClient, "send">,
  { environment, month, now }: { readonly environment: string; readonly month: Month; readonly now: Date },
): Promise<Bill> {
  const end = dayOf(now < month.end ? now : month.end);
  if (dayOf(month.start) >= end) return { costs: [], until: month.start };
  const own: Expression[] = [
    { Tags: { Key: "Project", Values: ["sagemaker-marimo"] } },
    { Tags: { Key: "Environment", Values: [environment] } },
  ];
  const scheduled: Expression = { Not: { Tags: { Key: scheduleTag, MatchOptions: ["ABSENT"] } } };
  const read = (...further: Expression[]) =>
    linesOf(client, { Start: dayOf(month.start), End: end }, { And: [...own, ...further] });
  const all = await read();
  const ofSchedules = all.length === 0 ? [] : await read(scheduled);
  const costs = [
    ...all,
    // What a schedule started costs nothing as a job.
    ...ofSchedules.flatMap((cost) => [
      { ...cost, usd: -cost.usd },
      { ...cost, kind: "schedules" as const },
    ]),
  ];
  const last = all
    .map(({ day }) => day)
    .sort()
    .at(-1);
  const until = last === undefined ? month.start : new Date(Date.parse(last) + 86_400_000);
  return { costs, until };
}

async function linesOf(
  client: Pick<CostExplorerClient, "send">,
  TimePeriod: { readonly Start: string; readonly End: string },
  Filter: Expression,
): Promise<Cost[]> {
  const lines: Cost[] = [];
  let NextPageToken: string | undefined;
  do {
    const page: GetCostAndUsageCommandOutput = await client.send(
      new GetCostAndUsageCommand({
        ...{ TimePeriod, Filter, NextPageToken },
        Granularity: "DAILY",
        Metrics: [metric],
        GroupBy: [
          { Type: "TAG", Key: userTag },
          { Type: "DIMENSION", Key: "USAGE_TYPE" },
        ],
      }),
    );
    for (const { Groups = [], TimePeriod: day } of page.ResultsByTime ?? []) {
      for (const { Keys: [tag = "", usageType = ""] = [], Metrics } of Groups) {
        const usd = Number(Metrics?.[metric]?.Amount);
        if (usd === 0) continue;
        lines.push({
          day: day?.Start?.slice(0, 10) ?? TimePeriod.Start,
          // `StudioUser$ana`, and `StudioUser$` for what lacks the tag.
          person: tag.slice(userTag.length + 1) || undefined,
          kind: kindOfUsage(usageType),
          usd,
          estimated: false,
        });
      }
    }
    NextPageToken = page.NextPageToken;
  } while (NextPageToken !== undefined);
  return lines;
}

/** The tags that Cost Explorer does not know. Undefined if only the paying account can tell. */
export async function inactiveTags(
  client: Pick<CostExplorerClient, "send">,
): Promise<readonly string[] | undefined> {
  try {
    const { CostAllocationTags = [] } = await client.send(
      new ListCostAllocationTagsCommand({ TagKeys: [...costTags], Status: "Active" }),
    );
    return costTags.filter((key) => !CostAllocationTags.some(({ TagKey }) => TagKey === key));
  } catch (error) {
    // Guess: that this is the error in a member account of an organization.
    if (error instanceof Error && error.name === "AccessDeniedException") return undefined;
    throw error;
  }
}
