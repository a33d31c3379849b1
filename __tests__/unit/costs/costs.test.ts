import type { CostExplorerClient, GetCostAndUsageCommandInput } from "@aws-sdk/client-cost-explorer";
import { describe, expect, it } from "vitest";
import { billOf, inactiveTags, kindOfUsage } from "../../../src/costs/bill.ts";
import { type Cost, monthOf } from "../../../src/costs/cost.ts";
import { costCsv, costTable, rowsOf } from "../../../src/costs/report.ts";
import { hoursIn } from "../../../src/costs/running.ts";

const november = monthOf("2026-11");
if (november === undefined) throw new Error("2026-11 is a month");
const now = new Date("2026-11-27T12:00:00Z");

describe("a month", () => {
  it("is a year and a month, in UTC", () => {
    expect(november).toEqual({ start: new Date("2026-11-01"), end: new Date("2026-12-01") });
    expect(monthOf("2026-12")?.end).toEqual(new Date("2027-01-01"));
    for (const wrong of ["2026-13", "2026-00", "2026-1", "11-2026", "2026-11-01", "26-11", ""])
      expect(monthOf(wrong), wrong).toBeUndefined();
  });
});

describe("the kind of a usage type", () => {
  it.each([
    ["USE1-Studio:JupyterLab-ml.t3.medium", "apps"],
    ["Studio:VolumeUsage.gp3", "apps"],
    ["EUC1-Processing:ml.m5.large", "jobs"],
    ["USE1-Train:ml.m5.large", "jobs"],
    ["USE1-Host:ml.m5.large", "endpoints"],
    ["USE1-ServerlessInf:Mem-2GB", "endpoints"],
    ["NatGateway-Hours", "other"],
    // Not SageMaker's: the word is elsewhere.
    ["USE1-DataProcessing-Bytes", "other"],
  ])("%s: %s", (usageType, kind) => expect(kindOfUsage(usageType)).toBe(kind));
});

/** Cost Explorer with one answer for all costs, and one for those of schedules. */
function explorer(all: readonly object[], scheduled: readonly object[] = []) {
  const requests: GetCostAndUsageCommandInput[] = [];
  const client = {
    send: async ({ input }: { input: GetCostAndUsageCommandInput }) => {
      requests.push(input);
      return { ResultsByTime: JSON.stringify(input.Filter).includes("ABSENT") ? scheduled : all };
    },
  } as unknown as CostExplorerClient;
  return { client, requests };
}
const day = (Start: string, ...groups: readonly (readonly [string, string, string])[]) => ({
  TimePeriod: { Start },
  Groups: groups.map(([tag, usageType, Amount]) => ({
    Keys: [`StudioUser$${tag}`, usageType],
    Metrics: { UnblendedCost: { Amount, Unit: "USD" } },
  })),
});
const lines = (costs: readonly Cost[]) =>
  costs.map((cost) => `${cost.day} ${cost.person ?? "-"} ${cost.kind} ${cost.usd}`);

describe("the bill", () => {
  it("has each day's costs by person and kind, and the jobs of schedules as such", async () => {
    const job = "USE1-Processing:ml.m5.large";
    const { client, requests } = explorer(
      [
        day(
          "2026-11-03",
          ["ana", "USE1-Studio:JupyterLab-ml.t3.medium", "1.5"],
          ["", "NatGateway-Hours", "2"],
        ),
        day("2026-11-25", ["bo", job, "4"], ["bo", "USE1-Host:ml.m5.large", "0"]),
        day("2026-11-26"),
      ],
      [day("2026-11-25", ["bo", job, "3"])],
    );
    const { costs, until } = await billOf(client, { environment: "dev", month: november, now });
    expect(lines(costs)).toEqual([
      "2026-11-03 ana apps 1.5",
      "2026-11-03 - other 2",
      "2026-11-25 bo jobs 4",
      "2026-11-25 bo jobs -3",
      "2026-11-25 bo schedules 3",
    ]);
    // The next day is not on the bill yet.
    expect(until).toEqual(new Date("2026-11-26"));
    // Today has no whole day.
    expect(requests.map(({ TimePeriod }) => TimePeriod)).toEqual([
      { Start: "2026-11-01", End: "2026-11-27" },
      { Start: "2026-11-01", End: "2026-11-27" },
    ]);
    expect(requests[0]?.Filter?.And).toContainEqual({ Tags: { Key: "Environment", Values: ["dev"] } });
  });

  it("ends with the month, and has nothing on its first day", async () => {
    const { client, requests } = explorer([]);
    const later = new Date("2027-01-05");
    expect(await billOf(client, { environment: "dev", month: november, now: later })).toEqual({
      costs: [],
      until: november.start,
    });
    expect(requests.map(({ TimePeriod }) => TimePeriod?.End)).toEqual(["2026-12-01"]);
    await billOf(client, { environment: "dev", month: november, now: new Date("2026-11-01T05:00:00Z") });
    // Cost Explorer refuses a period without a day.
    expect(requests).toHaveLength(1);
  });

  it("knows which tags are not active, and that only the paying account can tell", async () => {
    const answering = (send: () => Promise<object>) => ({ send }) as unknown as CostExplorerClient;
    const active = ["Project", "Environment"].map((TagKey) => ({ TagKey }));
    const some = answering(async () => ({ CostAllocationTags: active }));
    expect(await inactiveTags(some)).toEqual(["StudioUser", "StudioSchedule"]);
    const refusing = (name: string) =>
      answering(() => Promise.reject(Object.assign(new Error("no"), { name })));
    expect(await inactiveTags(refusing("AccessDeniedException"))).toBeUndefined();
    await expect(inactiveTags(refusing("ThrottlingException"))).rejects.toThrow("no");
  });
});

describe("the report", () => {
  const cost = (person: string | undefined, kind: Cost["kind"], usd: number, estimated = false): Cost => ({
    ...{ day: "2026-11-03", person, kind, usd, estimated },
  });
  const all = [
    {
      environment: "dev",
      costs: [
        cost("bo", "jobs", 4),
        cost("bo", "jobs", -3),
        cost("bo", "schedules", 3),
        cost(undefined, "other", 2),
        cost("ana", "apps", 1.5),
        cost("ana", "apps", 0.25, true),
        cost("ana", "endpoints", 0),
      ],
    },
    { environment: "prod", costs: [cost("ana", "apps", 10)] },
  ];

  it("sums by person, environment and kind, and says what is estimated", () => {
    expect(costTable(rowsOf(all))).toBe(`\
| US dollars | person | apps | jobs | schedules | endpoints | other | total | of it estimated |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| dev | ana | 1.75 | 0.00 | 0.00 | 0.00 | 0.00 | 1.75 | 0.25 |
| dev | bo | 0.00 | 1.00 | 3.00 | 0.00 | 0.00 | 4.00 | 0.00 |
| dev | (no person) | 0.00 | 0.00 | 0.00 | 0.00 | 2.00 | 2.00 | 0.00 |
| **dev** |  | 1.75 | 1.00 | 3.00 | 0.00 | 2.00 | 7.75 | 0.25 |
| prod | ana | 10.00 | 0.00 | 0.00 | 0.00 | 0.00 | 10.00 | 0.00 |
| **prod** |  | 10.00 | 0.00 | 0.00 | 0.00 | 0.00 | 10.00 | 0.00 |
| **Total** |  | 11.75 | 1.00 | 3.00 | 0.00 | 2.00 | 17.75 | 0.25 |`);
  });

  it("is CSV as well, whatever a tag's value has", () => {
    const odd = [{ environment: "dev", costs: [cost('a,"b', "apps", 1)] }];
    expect(costCsv("2026-11", rowsOf(odd))).toBe(
      'month,environment,person,kind,billed_usd,estimated_usd\r\n2026-11,dev,"a,""b",apps,1.000000,0.000000\r\n',
    );
    expect(costCsv("2026-11", rowsOf(all)).split("\r\n")[1]).toBe("2026-11,dev,ana,apps,1.500000,0.250000");
  });
});

describe("the estimate", () => {
  it("counts the hours since the bill ended", () => {
    const time = { from: new Date("2026-11-26"), now };
    expect(hoursIn(time, new Date("2026-11-01"))).toBe(36);
    expect(hoursIn(time, new Date("2026-11-27T10:00:00Z"))).toBe(2);
    expect(hoursIn(time, new Date("2026-11-26T10:00:00Z"), new Date("2026-11-26T11:30:00Z"))).toBe(1.5);
    expect(hoursIn(time, new Date("2026-11-20"), new Date("2026-11-21"))).toBe(0);
    // It has not started.
    expect(hoursIn(time)).toBe(0);
  });
});
