import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type PolicyRequest, type PolicyStatement, simulate } from "../../support/policy-simulator.ts";

interface Case {
  /** A rule from the IAM User Guide. Begins with the page. */
  readonly rule: string;
  readonly statements: readonly PolicyStatement[];
  readonly requests: readonly (readonly [Partial<PolicyRequest>, boolean])[];
}
/** `test_policy_evaluation.py` holds the local AWS to the same cases. */
const cases = JSON.parse(
  readFileSync(new URL("../../support/policy-cases.json", import.meta.url), "utf8"),
) as readonly Case[];

const allowed = (statements: readonly PolicyStatement[], request: Partial<PolicyRequest> = {}) => {
  const ofResource = statements.some(({ Principal }) => Principal !== undefined);
  const documents = [{ Version: "2012-10-17", Statement: statements }];
  return simulate(ofResource ? { identity: [], resource: documents } : { identity: documents }, {
    ...{ action: "s3:GetObject", resource: "arn:aws:s3:::bucket/key" },
    ...request,
  }).allowed;
};

const allow: PolicyStatement = { Effect: "Allow", Action: "s3:*", Resource: "*" };
const when = (operator: string, key: string, ...values: string[]): PolicyStatement => ({
  ...allow,
  Condition: { [operator]: { [key]: values } },
});

describe("the policy simulator", () => {
  it.each(cases)("$rule", ({ statements, requests }) => {
    for (const [request, expected] of requests)
      expect(allowed(statements, request), JSON.stringify(request)).toBe(expected);
  });

  it("rejects what it does not support", () => {
    expect(() => allowed([when("DateLessThan", "aws:CurrentTime", "2026-01-01")])).toThrow(/"DateLessThan"/);
    expect(() => allowed([when("StringEquals", "aws:k", "a")], { context: { "aws:k": ["a", "b"] } })).toThrow(
      /"aws:k" has 2 values/,
    );
    expect(() => allowed([{ ...allow, Resource: "arn:aws:s3" }])).toThrow(
      /"arn:aws:s3" is not a complete ARN/,
    );
    expect(() => allowed([{ ...allow, NotPrincipal: "*" } as PolicyStatement])).toThrow(/"NotPrincipal"/);
  });
});
