import { describe, expect, it } from "vitest";
import { accessLines } from "../../../src/plan-review/access.ts";
import { instanceTypeChanges } from "../../../src/plan-review/instance-types.ts";
import { report } from "../../../src/plan-review/report.ts";
import { change, plan, review, risksOf } from "../../support/plan-fixture.ts";

const role = (user: string, ...types: readonly string[]) => ({
  name: `marimo-dev-user-${user}`,
  tags: {
    StudioUser: user,
    ...(types.length === 0 ? {} : { JobTeams: "forecasting" }),
    ...Object.fromEntries(types.map((type, index) => [`JobType${index + 1}`, type])),
  },
});
const at = (user: string) => `aws_iam_role.users_role["${user}"]`;
const lines = (...changes: Parameters<typeof plan>[0]) => accessLines(instanceTypeChanges(plan(changes)));
const large = "ml.g5.12xlarge";

describe("a team's instance types in a plan", () => {
  const added = ["ana", "bo"].map((user) => change(at(user), role(user), role(user, large)));

  it("are said in words, with the members and the price of an hour", () => {
    expect(lines(...added)).toEqual([
      "- Team `forecasting` (ana; bo) can now run jobs on `ml.g5.12xlarge` (7.09 US dollars an hour).",
    ]);
    expect(report("dev", review(plan(added)))).toContain("can now run jobs on `ml.g5.12xlarge`");
    expect(lines(change(at("cy"), null, role("cy", "ml.p5.48xlarge")))).toEqual([
      expect.stringContaining("`ml.p5.48xlarge`"),
    ]);
  });

  it("are a risk once for all members, and none where a type goes", () => {
    expect(risksOf(added)).toEqual(["more-instance-types:users_role.ana"]);
    const removed = change(at("ana"), role("ana", large, "ml.m5.24xlarge"), role("ana", "ml.m5.24xlarge"));
    expect(risksOf([removed])).toEqual([]);
    expect(lines(removed)).toEqual([
      "- Team `forecasting` (ana) can no longer run jobs on `ml.g5.12xlarge` (7.09 US dollars an hour).",
    ]);
    expect(lines(change(at("ana"), role("ana", large), role("ana")))).toEqual([
      expect.stringContaining("Team `forecasting` (ana) can no longer run jobs on"),
    ]);
  });

  it("are not reported for a user who is removed, or whose types stay the same", () => {
    expect(lines(change(at("ana"), role("ana", large), null))).toEqual([]);
    const other = { ...role("ana", large), description: "x" };
    expect(lines(change(at("ana"), role("ana", large), other))).toEqual([]);
  });
});
