import { describe, expect, it } from "vitest";
import { type CostsByPeople, costsByPeople, defaultHours } from "../../../src/plan-review/costs-by-people.ts";
import { prices } from "../../../src/plan-review/prices.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";
import { readDoc } from "../../support/docs.ts";
import { synthesize } from "../../support/synthesize.ts";

const costs = (
  settings: Partial<EnvironmentSettings> = {},
  people: readonly number[] = [1, 10, 50],
  hours = defaultHours,
): CostsByPeople =>
  costsByPeople({
    environment: resolveEnvironment({ name: "dev", ...settings }),
    resources: synthesize(settings).resource,
    people,
    hours,
  });

/** Amounts of the row that begins so. */
const row = ({ table }: CostsByPeople, start: string) =>
  table
    .split("\n")
    .find((line) => line.startsWith(`| ${start}`))
    ?.split("|")
    .slice(2, -1)
    .map((cell) => Number(cell.replaceAll("*", "")));

describe("costs by people", () => {
  it("are in scripts/README.md as the command prints them for the default settings", () => {
    expect(readDoc("scripts/README.md")).toContain(`\n${costs().table}\n`);
  });

  it("are fixed for the resources, and by the person for spaces, volumes and storage", () => {
    const found = costs({}, [1, 10]);
    expect(row(found, "1 × NAT gateway")).toEqual([32.85, 32.85]);
    expect(row(found, "each: 80 hours")).toEqual([4, 40]);
    expect(row(found, "each: space volume")).toEqual([0.56, 5.6]);
    const [one = 0, ten = 0] = row(found, "**Total**") ?? [];
    // By the person: 4 + 0.56 + 0.115 + 0.45.
    expect(ten - one).toBeCloseTo(9 * 5.125, 1);
    expect(row(costs({}, [1], 0), "each: 0 hours")).toEqual([0]);
  });

  it("follow the settings", () => {
    const found = costs(
      { egress: "endpoints-only", guardRails: { spaceVolumeGb: { default: 20 } }, region: "eu-west-1" },
      [1],
    );
    expect(found.table).not.toContain("NAT");
    expect(row(found, "5 × VPC endpoint")).toEqual([73]);
    expect(row(found, "each: space volume of 20 GB")).toEqual([2.24]);
    expect(found.assumptions.at(-1)).toContain("eu-west-1 has other prices");
  });

  it("take Studio's own price of a type, and say where it is another or not known", () => {
    const hours = (type: string) => {
      const found = costs({ defaultInstanceType: type }, [1], 1);
      return [row(found, "each: 1 hours")?.[0], found.assumptions[1]];
    };
    expect(prices.spaces.hourly["ml.g5.12xlarge"]).toBe(7.09);
    expect(hours("ml.g5.12xlarge")).toEqual([7.09, expect.stringContaining("Studio's own price")]);
    expect(hours("ml.m5.large")).toEqual([
      Number(prices.instances["ml.m5.large"].toFixed(2)),
      expect.stringContaining("the price of a job"),
    ]);
    expect(hours("ml.none.large")).toEqual([0, expect.stringContaining("not known and not counted")]);
  });
});
