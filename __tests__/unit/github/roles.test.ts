import { describe, expect, it } from "vitest";
import { type PolicyStatement, roleDocument, roleEntry, roleName, roles } from "../../../src/github/roles.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";

const account = "123456789012";
const repository = "our/team";
const environmentOf = (settings: Partial<EnvironmentSettings> = {}) =>
  resolveEnvironment({ name: "dev", backend: { type: "s3", bucket: "our-state" }, ...settings });
const statements = (...[role, kind, settings]: Parameters<typeof document>) =>
  document(role, kind, settings).Statement;
const document = (
  role: (typeof roles)[number],
  kind: "policy" | "trust",
  settings?: Partial<EnvironmentSettings>,
) => roleDocument(role, kind, { environment: environmentOf(settings), account, repository });
const list = (one: string | readonly string[] = []) => (typeof one === "string" ? [one] : one);

describe("the trust policy", () => {
  it.each([
    ["plan", ["repo:our/team:pull_request", "repo:our/team:ref:refs/heads/main"]],
    ["apply", ["repo:our/team:environment:dev"]],
  ] as const)("of the %s role allows only its own jobs", (role, subjects) => {
    const [statement, ...more] = statements(role, "trust");
    expect(more).toEqual([]);
    expect(Object.keys(statement?.Condition ?? {})).toEqual(["StringEquals"]);
    const { "token.actions.githubusercontent.com:sub": sub, ...rest } =
      statement?.Condition?.StringEquals ?? {};
    expect(sub).toEqual(subjects);
    expect(rest).toEqual({ "token.actions.githubusercontent.com:aud": "sts.amazonaws.com" });
  });
});

describe.each(roles)("the policy of the %s role", (role) => {
  it("fits in a role with the longest names (IAM User Guide, quotas: 10,240 characters without white space)", () => {
    const longest = document(role, "policy", {
      name: "e".repeat(20),
      region: "ap-northeast-1",
      backend: {
        type: "s3",
        bucket: "b".repeat(63),
        key: "k".repeat(120),
        kmsKeyId: `arn:aws:kms:ap-northeast-1:${account}:key/12345678-1234-1234-1234-123456789012`,
      },
    });
    expect(JSON.stringify(longest).length).toBeLessThanOrEqual(10_240);
  });

  it("contains the region's partition, the account and the environment's names", () => {
    const text = JSON.stringify(document(role, "policy", { region: "cn-north-1" }));
    expect(text).toContain(`arn:aws-cn:s3:::marimo-dev-${account}-cn-north-1`);
    expect(text).not.toContain("arn:aws:");
    expect(text).not.toMatch(/\$\{/);
  });

  it("includes the state's KMS key if there is one", () => {
    const kmsKeyId = `arn:aws:kms:us-east-1:${account}:key/12345678-1234-1234-1234-123456789012`;
    const sids = (all: readonly PolicyStatement[]) => all.map(({ Sid }) => Sid);
    const backend = { type: "s3", bucket: "our-state", kmsKeyId } as const;
    expect(sids(statements(role, "policy"))).not.toContain("StateEncryption");
    expect(
      statements(role, "policy", { backend }).find(({ Sid }) => Sid === "StateEncryption")?.Resource,
    ).toBe(kmsKeyId);
  });

  it("does not cover the GitHub roles, so that a job cannot extend its own permissions", () => {
    const patterns = statements(role, "policy")
      .filter(({ Action }) => list(Action).some((action) => action.startsWith("iam:")))
      .flatMap(({ Resource }) => list(Resource));
    expect(patterns.length).toBeGreaterThan(1);
    for (const own of roles.map((one) => `arn:aws:iam::${account}:role/${roleName(one, environmentOf())}`)) {
      for (const pattern of patterns) {
        expect(own.startsWith(pattern.replace(/\*$/, "")), `${pattern} covers ${own}`).toBe(false);
      }
    }
    expect(patterns).toContain(`arn:aws:iam::${account}:role/marimo-dev-execution`);
  });

  it("allows a plan to be written only once", () => {
    const writing = statements(role, "policy").filter(
      ({ Action, Resource }) =>
        list(Action).includes("s3:PutObject") && list(Resource).some((one) => one.includes(".plans/")),
    );
    expect(writing.map(({ Condition }) => Condition)).toEqual(
      role === "plan" ? [{ Null: { "s3:if-none-match": "false" } }] : [],
    );
  });
});

it("returns an entry for the workflows' matrix, in the partition of the region", () => {
  const environment = environmentOf({ region: "cn-north-1" });
  expect(roleEntry("plan", { environment, account })).toEqual({
    environment: "dev",
    region: "cn-north-1",
    role: `arn:aws-cn:iam::${account}:role/marimo-dev-plan`,
  });
});

it("rejects a local state file", () => {
  expect(() => document("plan", "policy", { backend: { type: "local" } })).toThrow("local file");
});
