import { describe, expect, it } from "vitest";
import { type PolicyRequest, type PolicyStatement, simulate } from "../../support/policy-simulator.ts";

const allowed = (
  statements: PolicyStatement | readonly PolicyStatement[],
  request: Partial<PolicyRequest> = {},
) =>
  simulate(
    { identity: [{ Version: "2012-10-17", Statement: statements }] },
    { action: "s3:GetObject", resource: "arn:aws:s3:::bucket/key", ...request },
  ).allowed;

const allow: PolicyStatement = { Effect: "Allow", Action: "s3:*", Resource: "*" };
const when = (operator: string, key: string, ...values: string[]): PolicyStatement => ({
  ...allow,
  Condition: { [operator]: { [key]: values } },
});

/** Each case is a rule from the IAM User Guide. The title starts with the page. */
describe("the policy simulator", () => {
  it("'Policy evaluation logic': denies by default, allows with a statement, and an explicit deny overrides", () => {
    expect(allowed([])).toBe(false);
    expect(allowed(allow)).toBe(true);
    expect(allowed([allow, { ...allow, Effect: "Deny" }])).toBe(false);
    expect(allowed([{ ...allow, Effect: "Deny", Resource: "arn:aws:s3:::other/*" }, allow])).toBe(true);
  });

  it("'Action', 'NotAction': ignores case, supports wildcards, and NotAction matches all other actions", () => {
    expect(allowed({ ...allow, Action: "S3:getobject" })).toBe(true);
    expect(allowed({ ...allow, Action: "s3:Get*" }, { action: "s3:PutObject" })).toBe(false);
    expect(allowed({ ...allow, Action: "s3:GetObjec?" })).toBe(true);
    const { Action: _, ...rest } = allow;
    expect(allowed({ ...rest, NotAction: "iam:*" })).toBe(true);
    expect(allowed({ ...rest, NotAction: ["iam:*", "s3:*"] })).toBe(false);
  });

  it("'Resource', 'NotResource': is case-sensitive, and a wildcard matches only within its part of the ARN", () => {
    expect(allowed({ ...allow, Resource: "arn:aws:s3:::bucket/*" })).toBe(true);
    expect(allowed({ ...allow, Resource: "arn:aws:s3:::Bucket/*" })).toBe(false);
    expect(allowed({ ...allow, Resource: "arn:aws:s3:::bucket" })).toBe(false);
    expect(allowed({ ...allow, Resource: "arn:aws:*:::bucket/*" })).toBe(true);
    expect(allowed({ ...allow, Resource: "arn:*:::*:bucket/*" })).toBe(false);
    const { Resource: _, ...rest } = allow;
    expect(allowed({ ...rest, NotResource: "arn:aws:s3:::bucket/*" })).toBe(false);
    expect(allowed({ ...rest, NotResource: "arn:aws:s3:::other/*" })).toBe(true);
  });

  it("'Variables and tags': replaces variables, and matches nothing without a value or default", () => {
    const home = { ...allow, Resource: `arn:aws:s3:::bucket/\${aws:username}/*` };
    const own = { resource: "arn:aws:s3:::bucket/ana/file" };
    expect(allowed(home, { ...own, context: { "aws:username": "ana" } })).toBe(true);
    expect(allowed(home, { ...own, context: { "AWS:UserName": "bo" } })).toBe(false);
    expect(allowed(home, own)).toBe(false);
    expect(allowed({ ...home, Resource: `arn:aws:s3:::bucket/\${aws:username, 'ana'}/*` }, own)).toBe(true);
    // A wildcard in a value is a literal character.
    expect(allowed(home, { ...own, context: { "aws:username": "*" } })).toBe(false);
    expect(
      allowed({ ...home, Resource: `arn:aws:s3:::bucket/\${*}` }, { resource: "arn:aws:s3:::bucket/*" }),
    ).toBe(true);
    expect(allowed({ ...home, Resource: `arn:aws:s3:::bucket/\${*}` })).toBe(false);
  });

  it("'AWS global condition context keys': has a role's tags as aws:PrincipalTag, over what the request says", () => {
    const own = { ...allow, Resource: `arn:aws:s3:::bucket/\${aws:PrincipalTag/StudioUser}/*` };
    const guarded = {
      ...own,
      Condition: { StringLike: { "aws:PrincipalTag/StudioUser": "?*" } },
    };
    const tagged = (StudioUser: string) => ({
      resource: "arn:aws:s3:::bucket/ana/file",
      tags: { StudioUser },
    });
    expect(allowed(own, tagged("ana"))).toBe(true);
    expect(allowed(own, tagged("bo"))).toBe(false);
    expect(allowed(own, { resource: "arn:aws:s3:::bucket/ana/file" })).toBe(false);
    expect(allowed(own, { ...tagged("bo"), context: { "aws:PrincipalTag/StudioUser": "ana" } })).toBe(false);
    expect(allowed(own, { ...tagged(""), tags: { studiouser: "ana" } })).toBe(true);
    // An empty tag makes a pattern match others' names, which the guard prevents.
    const empty = { resource: "arn:aws:s3:::bucket//file", tags: { StudioUser: "" } };
    expect(allowed(own, empty)).toBe(true);
    expect(allowed(guarded, empty)).toBe(false);
    expect(allowed(guarded, { ...empty, tags: {} })).toBe(false);
    expect(allowed(guarded, tagged("ana"))).toBe(true);
  });

  it.each([
    // "If the key that you specify … is not present in the request context, the values do not match"
    ["StringEquals", ["a", "b"], { b: true, B: false, c: false, none: false }],
    ["StringNotEquals", ["a", "b"], { b: false, c: true, none: true }],
    ["StringEqualsIgnoreCase", ["a"], { A: true, b: false, none: false }],
    ["StringLike", ["a*"], { abc: true, ba: false, none: false }],
    ["StringNotLike", ["a*"], { abc: false, ba: true, none: true }],
    ["StringEquals", ["a*"], { abc: false, "a*": true }],
    ["StringEqualsIfExists", ["a"], { a: true, b: false, none: true }],
    ["Null", ["true"], { a: false, none: true }],
    ["Null", ["false"], { a: true, none: false }],
    ["Bool", ["false"], { false: true, true: false, none: false }],
    ["BoolIfExists", ["false"], { false: true, true: false, none: true }],
    ["NumericLessThanEquals", ["10"], { 10: true, 11: false, none: false }],
    ["NumericGreaterThan", ["10"], { 10: false, 11: true, none: false }],
    ["NumericNotEquals", ["10"], { 10: false, 11: true, none: true }],
    [
      "ArnLike",
      ["arn:aws:sns:*:1:t*"],
      { "arn:aws:sns:eu:1:to": true, "arn:aws:sns:eu:2:to": false, none: false },
    ],
    ["ArnEquals", ["arn:aws:sns:*:1:t*"], { "arn:aws:sns:eu:1:to": true, "arn:aws:sqs:eu:1:to": false }],
    [
      "ArnNotLike",
      ["arn:aws:sns:*:1:*"],
      { "arn:aws:sns:eu:1:to": false, "arn:aws:sns:eu:2:to": true, none: true },
    ],
    ["ForAnyValue:StringEquals", ["a", "b"], { "b,c": true, "c,d": false, none: false }],
    ["ForAllValues:StringEquals", ["a", "b"], { "a,b": true, "b,c": false, none: true }],
    ["ForAnyValue:StringNotLike", ["a*"], { "ab,c": true, "ab,ac": false, none: false }],
  ] as const)("'Condition operators': %s %j", (operator, values, cases) => {
    for (const [value, expected] of Object.entries(cases)) {
      const context = value === "none" ? {} : { "aws:key": value.includes(",") ? value.split(",") : value };
      expect(allowed(when(operator, "AWS:Key", ...values), { context }), value).toBe(expected);
    }
  });

  it("'Condition operators': requires all operators and all keys of a statement", () => {
    const both = {
      ...allow,
      Condition: { StringEquals: { "aws:a": "1", "aws:b": "2" }, Null: { "aws:c": "true" } },
    };
    expect(allowed(both, { context: { "aws:a": "1", "aws:b": "2" } })).toBe(true);
    expect(allowed(both, { context: { "aws:a": "1", "aws:b": "3" } })).toBe(false);
    expect(allowed(both, { context: { "aws:a": "1", "aws:b": "2", "aws:c": "" } })).toBe(false);
  });

  it("'Principal': a resource policy allows its principals, but not a role through its account's root", () => {
    const role = "arn:aws:iam::111122223333:role/one";
    const decide = (Principal: PolicyStatement["Principal"] & {}) =>
      simulate(
        { identity: [], resource: [{ Statement: { ...allow, Principal } }] },
        { action: "s3:GetObject", resource: "arn:aws:s3:::bucket/key", principal: role },
      ).allowed;
    expect(decide("*")).toBe(true);
    expect(decide({ AWS: "*" })).toBe(true);
    expect(decide({ AWS: role })).toBe(true);
    expect(decide({ AWS: "arn:aws:iam::111122223333:root" })).toBe(false);
    expect(decide({ Service: "s3.amazonaws.com" })).toBe(false);
  });

  it("rejects what it does not support", () => {
    expect(() => allowed(when("DateLessThan", "aws:CurrentTime", "2026-01-01"))).toThrow(/"DateLessThan"/);
    expect(() => allowed(when("StringEquals", "aws:k", "a"), { context: { "aws:k": ["a", "b"] } })).toThrow(
      /"aws:k" has 2 values/,
    );
    expect(() => allowed({ ...allow, Resource: "arn:aws:s3" })).toThrow(/"arn:aws:s3" is not a complete ARN/);
    expect(() => allowed({ ...allow, NotPrincipal: "*" } as PolicyStatement)).toThrow(/"NotPrincipal"/);
  });
});
