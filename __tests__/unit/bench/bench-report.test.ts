import { describe, expect, it } from "vitest";
import { isMet, median, table } from "../../../scripts/bench/report.ts";

describe("a benchmark's report", () => {
  it("reports the median, the lower one of two middle values, and fails without values", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2);
    expect(() => median([])).toThrow("nothing was measured");
  });

  it.each([
    [1.24, true],
    [1.25, false],
    [Number.NaN, false],
  ])("compares %s to a limit of 1.25", (value, met) => {
    expect(isMet({ target: "slider", value, limit: 1.25 })).toBe(met);
  });

  it("aligns all columns except the first to the right", () => {
    expect(table(["case", "time"], [["one", "2 ms"]])).toBe("| case | time |\n|---|---:|\n| one | 2 ms |");
  });
});
