import { describe, expect, it } from "vitest";
import { unrestrictedGrants, widenings } from "../../../src/plan-review/policy.ts";

const document = (...statements: object[]) =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });
const allow = (more: object = {}) => ({
  Effect: "Allow",
  Action: "s3:GetObject",
  Resource: "arn:aws:s3:::b/*",
  ...more,
});
const when = (test: string, key: string, ...values: string[]) => ({
  Condition: { [test]: { [key]: values } },
});
const deny = (more: object = {}) => ({ Effect: "Deny", Action: "s3:PutObject", Resource: "*", ...more });

describe("the comparison of two policies", () => {
  it.each([
    ["one more action", allow(), allow({ Action: ["s3:GetObject", "s3:PutObject"] })],
    ["a wider pattern of actions", allow(), allow({ Action: "s3:Get*" })],
    ["one more resource", allow(), allow({ Resource: ["arn:aws:s3:::b/*", "arn:aws:s3:::c/*"] })],
    ["a wider pattern of resources", allow(), allow({ Resource: "*" })],
    [
      "one character for many",
      allow({ Resource: "arn:aws:s3:::b/?" }),
      allow({ Resource: "arn:aws:s3:::b/*" }),
    ],
    [
      "another principal",
      allow({ Principal: { AWS: "arn:1" } }),
      allow({ Principal: { AWS: ["arn:1", "arn:2"] } }),
    ],
    ["everyone", allow({ Principal: { AWS: "arn:1" } }), allow({ Principal: "*" })],
    ["a removed condition", allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1")), allow()],
    [
      "one more value of a condition",
      allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1")),
      allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1", "us-east-1")),
    ],
    [
      "one value less of a negated condition",
      allow(when("StringNotEquals", "aws:PrincipalOrgID", "o-1", "o-2")),
      allow(when("StringNotEquals", "aws:PrincipalOrgID", "o-1")),
    ],

    ["a narrower Deny", deny(), deny({ Resource: "arn:aws:s3:::b/*" })],
    ["a Deny with a condition", deny(), deny(when("Bool", "aws:SecureTransport", "false"))],
  ])("finds %s wider, but not the reverse", (_what, narrow, wide) => {
    expect(widenings(document(narrow), document(wide))).not.toEqual([]);
    expect(widenings(document(wide), document(narrow))).toEqual([]);
  });

  it.each([
    [
      "a statement split in two",
      [allow({ Action: ["s3:Get*", "s3:List*"] })],
      [allow({ Action: "s3:Get*" }), allow({ Action: "s3:List*" })],
    ],
    [
      "a different Sid, order and case",
      [allow({ Sid: "A" }), deny()],
      [deny(), allow({ Sid: "B", Action: "S3:getobject" })],
    ],
    ["one more Deny", [allow()], [allow(), deny()]],
  ])("finds no change for %s", (_what, before, after) => {
    expect(widenings(document(...before), document(...after))).toEqual([]);
  });

  it.each([
    [
      "another operator",
      allow(when("StringEquals", "k", "v")),
      allow(when("StringEqualsIfExists", "k", "v")),
    ],
    ["NotAction", allow(), allow({ Action: undefined, NotAction: "iam:*" })],
    ["NotPrincipal", allow({ Principal: { AWS: "arn:1" } }), allow({ NotPrincipal: { AWS: "arn:2" } })],
  ])("finds %s wider in both directions, and equal documents equal", (_what, one, other) => {
    expect(widenings(document(one), document(other))).not.toEqual([]);
    expect(widenings(document(other), document(one))).not.toEqual([]);
    expect(widenings(document(other), document(other))).toEqual([]);
  });

  it("describes the additional grants with their conditions", () => {
    expect(
      widenings(
        document(allow()),
        document(allow(), allow({ Action: "s3:PutObject", ...when("Bool", "aws:SecureTransport", "true") })),
      ),
    ).toEqual(["allows s3:putobject on arn:aws:s3:::b/* when Bool aws:securetransport true"]);
    expect(widenings(document(deny()), document())).toEqual(["no longer denies s3:putobject on *"]);
  });

  it("finds unreadable documents wider unless they are equal", () => {
    expect(widenings(document(), "not JSON")).toEqual(["has a policy document that cannot be compared"]);
    expect(widenings("not JSON", "not JSON")).toEqual([]);
  });
});

describe("an unrestricted policy", () => {
  it.each([
    ["everyone", allow({ Principal: "*" }), allow({ Principal: { AWS: "arn:1" } })],
    [
      "everyone as an AWS principal",
      allow({ Principal: { AWS: "*" } }),
      allow({ Principal: { AWS: "*" }, ...when("StringEquals", "aws:PrincipalOrgID", "o-1") }),
    ],
    ["an administrator", allow({ Action: "*", Resource: "*" }), allow({ Action: "s3:*", Resource: "*" })],
    // The default key policy allows the account everything on this key.
    [
      "everyone on a key",
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: "*" },
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: { AWS: "arn:aws:iam::1:root" } },
    ],
  ])("is found for %s, but not with restrictions", (_what, open, bounded) => {
    expect(unrestrictedGrants(document(open))).toHaveLength(1);
    expect(unrestrictedGrants(document(bounded))).toEqual([]);
    expect(unrestrictedGrants(document({ ...open, Effect: "Deny" }))).toEqual([]);
  });
});
