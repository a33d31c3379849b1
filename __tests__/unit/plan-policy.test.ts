import { describe, expect, it } from "vitest";
import { boundless, widenings } from "../../src/plan-review/policy.ts";

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

describe("two policies", () => {
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
    ["anybody", allow({ Principal: { AWS: "arn:1" } }), allow({ Principal: "*" })],
    ["no condition any more", allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1")), allow()],
    [
      "one more value of a condition",
      allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1")),
      allow(when("StringEquals", "aws:RequestedRegion", "eu-west-1", "us-east-1")),
    ],
    [
      "one value less of a negative condition",
      allow(when("StringNotEquals", "aws:PrincipalOrgID", "o-1", "o-2")),
      allow(when("StringNotEquals", "aws:PrincipalOrgID", "o-1")),
    ],

    ["a narrower Deny", deny(), deny({ Resource: "arn:aws:s3:::b/*" })],
    ["a Deny with a condition", deny(), deny(when("Bool", "aws:SecureTransport", "false"))],
  ])("%s is wider, and the other way round it is not", (_what, narrow, wide) => {
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
      "another Sid, order and case",
      [allow({ Sid: "A" }), deny()],
      [deny(), allow({ Sid: "B", Action: "S3:getobject" })],
    ],
    ["one more Deny", [allow()], [allow(), deny()]],
  ])("%s is no change", (_what, before, after) => {
    expect(widenings(document(...before), document(...after))).toEqual([]);
  });

  it.each([
    [
      "another operator",
      allow(when("StringEquals", "k", "v")),
      allow(when("StringEqualsIfExists", "k", "v")),
    ],
    ["everything but", allow(), allow({ Action: undefined, NotAction: "iam:*" })],
    ["everybody but", allow({ Principal: { AWS: "arn:1" } }), allow({ NotPrincipal: { AWS: "arn:2" } })],
  ])("with %s are wider both ways, and the same when they are", (_what, one, other) => {
    expect(widenings(document(one), document(other))).not.toEqual([]);
    expect(widenings(document(other), document(one))).not.toEqual([]);
    expect(widenings(document(other), document(other))).toEqual([]);
  });

  it("says what is allowed more, with its conditions", () => {
    expect(
      widenings(
        document(allow()),
        document(allow(), allow({ Action: "s3:PutObject", ...when("Bool", "aws:SecureTransport", "true") })),
      ),
    ).toEqual(["allows s3:putobject on arn:aws:s3:::b/* when Bool aws:securetransport true"]);
    expect(widenings(document(deny()), document())).toEqual(["no longer denies s3:putobject on *"]);
  });

  it("are wider when they cannot be read, unless they are the same", () => {
    expect(widenings(document(), "no JSON")).toEqual(["is no policy document that can be compared"]);
    expect(widenings("no JSON", "no JSON")).toEqual([]);
  });
});

describe("a policy without bounds", () => {
  it.each([
    ["anybody", allow({ Principal: "*" }), allow({ Principal: { AWS: "arn:1" } })],
    [
      "anybody, as an AWS principal",
      allow({ Principal: { AWS: "*" } }),
      allow({ Principal: { AWS: "*" }, ...when("StringEquals", "aws:PrincipalOrgID", "o-1") }),
    ],
    ["an administrator", allow({ Action: "*", Resource: "*" }), allow({ Action: "s3:*", Resource: "*" })],
    // The default key policy: everything on this key, for the account itself.
    [
      "anybody on a key",
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: "*" },
      { Effect: "Allow", Action: "kms:*", Resource: "*", Principal: { AWS: "arn:aws:iam::1:root" } },
    ],
  ])("is one for %s, not its bounded twin", (_what, open, bounded) => {
    expect(boundless(document(open))).toHaveLength(1);
    expect(boundless(document(bounded))).toEqual([]);
    expect(boundless(document({ ...open, Effect: "Deny" }))).toEqual([]);
  });
});
