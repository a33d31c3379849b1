import { describe, expect, it } from "vitest";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { type Synthesized, synthesize } from "../../support/synthesize.ts";

const everything = {
  egress: "endpoints-only",
  tags: { CostCenter: "42" },
  guardRails: {
    allowedInstanceTypes: ["ml.t3.medium"],
    maximumSpacesPerUser: 2,
    requiredTags: ["CostCenter"],
    budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], stopAtPercent: 100 },
  },
} satisfies Partial<EnvironmentSettings>;

/** Attributes by which AWS tells two resources of a type apart, in an account and region. */
const naming = ["name", "bucket", "domain_name", "studio_lifecycle_config_name"];

/** Types with the names in them; names that belong to a resource of the stack's own are apart by that. */
function namesIn(stack: Synthesized): string[] {
  return Object.entries(stack.resource).flatMap(([type, byName]) =>
    Object.values(byName).flatMap((block) =>
      naming
        .map((attribute) => block[attribute])
        .filter((name) => typeof name === "string" && !name.startsWith("${aws_"))
        .filter(() => type !== "aws_iam_role_policy")
        .map((name) => `${type} ${name}`),
    ),
  );
}

describe("environments in one account and region", () => {
  it.each([
    ["dev", "prod"],
    ["dev", "dev-b"],
    ["dev", "dev-budget"],
    ["dev", "dev-guard-rail"],
    ["dev", "dev-user"],
  ])("%s and %s have no name in common", (one, other) => {
    const [first, second] = [one, other].map((name) => namesIn(synthesize({ ...everything, name })));
    expect(first?.length).toBeGreaterThan(15);
    expect(first).toContain(`aws_budgets_budget marimo-${one}`);
    expect(first?.filter((name) => second?.includes(name))).toEqual([]);
  });

  it("would be found to clash where they have one name", () => {
    const [first, second] = ["us-east-1", "us-east-1"].map((region) =>
      namesIn(synthesize({ ...everything, region })),
    );
    expect(first?.filter((name) => second?.includes(name))).toEqual(first);
  });
});
