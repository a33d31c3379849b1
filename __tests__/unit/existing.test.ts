import { describe, expect, it } from "vitest";
import { accountId, expression, keyArn, resourceNames, statements, synthesize } from "./synthesize.ts";

const encryptionKeyArn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const permissionsBoundaryArn = "arn:aws:iam::123456789012:policy/boundary";

/** What Terraform checks of a data source, as it stands in the JSON. */
function conditions(stack: ReturnType<typeof synthesize>, type: string, name: string): unknown[] {
  const data = stack.data[type]?.[name] as
    | { lifecycle?: Record<string, { condition: string; error_message: string }[]> }
    | undefined;
  return Object.values(data?.lifecycle ?? {})
    .flat()
    .map(({ condition }) => condition);
}

describe("the permissions boundary", () => {
  it("bounds every role that the stack makes, and is read first", () => {
    const budget = { monthlyUsd: 500, alertAddresses: ["ana@example.com"], stopAtPercent: 100 };
    const stack = synthesize({ permissionsBoundaryArn, guardRails: { budget } });
    const roles = Object.entries(stack.resource.aws_iam_role ?? {});
    expect(roles.map(([name]) => name).sort()).toEqual([
      "budget_role",
      "execution_role",
      "network_flow_logs_role",
    ]);
    for (const [name, role] of roles) {
      expect(role.permissions_boundary, name).toBe(
        expression("data.aws_iam_policy.permissions_boundary_policy.arn"),
      );
    }
    expect(stack.data.aws_iam_policy?.permissions_boundary_policy?.arn).toBe(permissionsBoundaryArn);
    expect(conditions(stack, "aws_iam_policy", "permissions_boundary_policy")).toEqual([
      expression(`(false || (${accountId.slice(2, -1)} == "123456789012"))`),
    ]);
  });

  it("may be AWS's own policy, whatever the account", () => {
    const stack = synthesize({ permissionsBoundaryArn: "arn:aws:iam::aws:policy/PowerUserAccess" });
    expect(conditions(stack, "aws_iam_policy", "permissions_boundary_policy")[0]).toContain("(true || ");
  });

  it("is on no role where there is none", () => {
    expect(synthesize().text).not.toContain("permissions_boundary");
  });
});

describe("an existing key", () => {
  const stack = () => synthesize({ existing: { encryptionKeyArn } });
  const found = expression("data.aws_kms_key.encryption_key.arn");

  it("takes the place of the stack's own everywhere", () => {
    expect(resourceNames(stack(), "aws_kms_key")).toEqual([]);
    expect(resourceNames(stack(), "aws_kms_alias")).toEqual([]);
    expect(stack().text).not.toContain(keyArn);
    // As many places as the own key has.
    const places = (text: string, arn: string) => text.split(arn).length;
    expect(places(stack().text, found)).toBe(places(synthesize().text, keyArn));
  });

  it("has to be enabled, and symmetric to encrypt with", () => {
    expect(conditions(stack(), "aws_kms_key", "encryption_key")).toEqual([
      expression('(self.key_state == "Enabled")'),
      expression('((self.key_spec == "SYMMETRIC_DEFAULT") && (self.key_usage == "ENCRYPT_DECRYPT"))'),
    ]);
  });

  it("comes with the statements that its policy must have: the own key's, without its administration", () => {
    const { AccountAdministration, ...others } = statements(synthesize(), "encryption_policy");
    expect(AccountAdministration).toBeDefined();
    expect(statements(stack(), "encryption_policy_statements")).toEqual(others);
    expect(stack().output.encryption_key_policy?.value).toBe(
      expression("data.aws_iam_policy_document.encryption_policy_statements.json"),
    );
    expect(synthesize().output).not.toHaveProperty("encryption_key_policy");
  });
});
