import { describe, expect, it } from "vitest";
import {
  accountId,
  arn,
  dnsSuffix,
  expression,
  partition,
  resource,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

describe("the key", () => {
  it("rotates, has an alias and a stated policy", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_kms_key", "encryption_key")).toMatchObject({
      enable_key_rotation: true,
      policy: expression("data.aws_iam_policy_document.encryption_policy.json"),
    });
    expect(resource(stack, "aws_kms_alias", "encryption_alias")).toMatchObject({
      name: "alias/marimo-dev",
      target_key_id: expression("aws_kms_key.encryption_key.key_id"),
    });
  });

  it("is the account's to administer", () => {
    expect(statements(synthesize(), "encryption_policy").AccountAdministration).toMatchObject({
      actions: ["kms:*"],
      principals: [{ type: "AWS", identifiers: [`arn:${partition}:iam::${accountId}:root`] }],
    });
  });

  it("can be used by CloudWatch Logs only for this environment's groups", () => {
    expect(statements(synthesize(), "encryption_policy").CloudWatchLogs).toMatchObject({
      principals: [{ type: "Service", identifiers: [`logs.us-east-1.${dnsSuffix}`] }],
      condition: [
        {
          test: "ArnLike",
          variable: "kms:EncryptionContext:aws:logs:arn",
          values: [arn("logs", "log-group:marimo-dev-*")],
        },
      ],
    });
  });

  it("can be used only from this account, through Studio or its file system", () => {
    const document = statements(synthesize(), "encryption_policy");
    const through = [
      { test: "StringEquals", variable: "kms:CallerAccount", values: [accountId] },
      {
        test: "StringEquals",
        variable: "kms:ViaService",
        values: [`elasticfilesystem.us-east-1.${dnsSuffix}`, `sagemaker.us-east-1.${dnsSuffix}`],
      },
    ];
    expect(document.StudioServices?.condition).toEqual(through);
    expect(document.StudioServices?.actions).not.toContain("kms:CreateGrant");
    expect(document.StudioServicesGrants?.actions).toEqual(["kms:CreateGrant"]);
    expect(document.StudioServicesGrants?.condition).toEqual([
      ...through,
      { test: "Bool", variable: "kms:GrantIsForAWSResource", values: ["true"] },
    ]);
    for (const statement of Object.values(document)) {
      const open = statement.principals?.some(({ identifiers }) => identifiers.includes("*"));
      if (open) expect(statement.condition, statement.sid).toEqual(expect.arrayContaining(through));
    }
  });

  it("can be brought back for as long as KMS allows where a home file system outlives the domain", () => {
    const days = (settings: Parameters<typeof synthesize>[0]) =>
      resource(synthesize(settings), "aws_kms_key", "encryption_key").deletion_window_in_days;
    expect(days({ homeFileSystemRetention: "Retain" })).toBe(30);
    expect(days({ homeFileSystemRetention: "Delete" })).toBe(7);
  });
});
