import { describe, expect, it } from "vitest";
import { resultsMadeFrom, sampleNotebooks } from "../../../scripts/lock/sample-results.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { lockFileOf } from "../../../src/settings/locks.ts";

const notebooks = [...sampleNotebooks(lockFileOf(resolveEnvironment({ name: "default" })))];

describe("the results of the sample notebooks", () => {
  it.each(notebooks)("are those of %s; otherwise run `npm run lock`", (name, digest) => {
    expect(resultsMadeFrom(name)).toBe(digest);
  });

  it("differ for another notebook", () => {
    expect(new Set(notebooks.map(([, digest]) => digest)).size).toBe(notebooks.length);
    expect(resultsMadeFrom("none.py")).toBeUndefined();
  });
});
