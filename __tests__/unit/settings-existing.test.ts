import { describe, expect, it } from "vitest";
import { validateEnvironments } from "../../src/settings/validate.ts";

type Settings = Record<string, unknown>;

const problemsOf = (settings: Settings): string[] => validateEnvironments([{ name: "dev", ...settings }]);
const existing = (things: Settings, others: Settings = {}): Settings => ({ existing: things, ...others });
const key = (region: string) => `arn:aws:kms:${region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const boundary = (arn: string): Settings => ({ permissionsBoundaryArn: arn });

const fine: readonly (readonly [string, Settings])[] = [
  ["nothing existing", existing({})],
  ["undefined for a thing left out", existing({ encryptionKeyArn: undefined })],
  ["a key", existing({ encryptionKeyArn: key("us-east-1") })],
  [
    "a key of another region's environment",
    existing({ encryptionKeyArn: key("eu-west-1") }, { region: "eu-west-1" }),
  ],
  ["a boundary", boundary("arn:aws:iam::123456789012:policy/boundary")],
  ["a boundary in a path", boundary("arn:aws-cn:iam::123456789012:policy/team/a.b/boundary+1=x,@_-")],
  ["AWS's own boundary", boundary("arn:aws:iam::aws:policy/PowerUserAccess")],
  ["a boundary of 128 characters", boundary(`arn:aws:iam::123456789012:policy/${"b".repeat(128)}`)],
];

/** Each has one problem, whose message has every one of these texts. */
const wrong: readonly (readonly [string, Settings, ...string[]])[] = [
  ["a word for existing things", { existing: "vpc-1" }, 'existing: "vpc-1" is no set of existing things'],
  ["an unknown thing", existing({ encryptionKey: key("us-east-1") }), 'did you mean "encryptionKeyArn"?'],
  [
    "an alias for a key",
    existing({ encryptionKeyArn: "arn:aws:kms:us-east-1:123456789012:alias/acme" }),
    "existing.encryptionKeyArn:",
    "is no ARN of a KMS key",
    "SageMaker API, KmsKeyId",
  ],
  [
    "a key of another region",
    existing({ encryptionKeyArn: key("us-east-1") }, { region: "eu-west-1" }),
    "is in region us-east-1",
    "a key in the environment's region, eu-west-1",
  ],
  ["a key that is a number", existing({ encryptionKeyArn: 1 }), "existing.encryptionKeyArn: 1 is no string"],
  ["a role for a boundary", boundary("arn:aws:iam::123456789012:role/a"), "is no ARN of a managed policy"],
  ["the name of a boundary", boundary("boundary"), "permissionsBoundaryArn:", "Permissions boundaries"],
  [
    "a boundary of 129 characters",
    boundary(`arn:aws:iam::123456789012:policy/${"b".repeat(129)}`),
    "is no ARN of a managed policy",
  ],
  [
    "a boundary that Terraform would read",
    boundary("arn:aws:iam::123456789012:policy/$" + "{path.cwd}"),
    "is no ARN of a managed policy",
  ],
];

describe("settings of what is there already", () => {
  it.each(fine)("are fine: %s", (_, settings) => {
    expect(problemsOf(settings)).toEqual([]);
  });

  const refusals = wrong.map(([what, settings, ...texts]) => ({ what, settings, texts }));
  it.each(refusals)("are refused, once: $what", ({ settings, texts }) => {
    const problems = problemsOf(settings);
    expect(problems).toHaveLength(1);
    for (const text of texts) expect(problems[0]).toContain(text);
    expect(problems[0]).toMatch(/^environments\[0\].*: .*\. Allowed: .+ \(.+\)\.$/);
  });
});
