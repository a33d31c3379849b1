import { describe, expect, it } from "vitest";
import { roleName } from "../../../src/github/roles.ts";
import { mostDeployers } from "../../../src/settings/deployers.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { awsNames } from "../../../src/settings/names.ts";
import {
  accountId,
  arn,
  expression,
  keyArn,
  partition,
  resource,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const bucketArn = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
const bucket = expression("aws_s3_bucket.storage_artifacts_bucket.bucket");
const role = "arn:aws:iam::123456789012:role/aws-reserved/Admin";
const user = "arn:aws:iam::123456789012:user/ana";
const apply = `arn:${partition}:iam::${accountId}:role/github/marimo-dev-apply`;
const pattern = (name: string, deployers?: readonly string[]) =>
  JSON.parse(
    String(
      resource(
        synthesize(deployers ? { deployers } : {}),
        "aws_cloudwatch_event_rule",
        `audit_alerts_${name}`,
      ).event_pattern,
    ),
  );

describe("the trail", () => {
  it("records the writes to the environment's bucket, and nothing else", () => {
    expect(resource(synthesize(), "aws_cloudtrail", "audit_trail")).toMatchObject({
      name: "marimo-dev-audit",
      s3_bucket_name: expression("aws_s3_bucket.audit_logs_bucket.bucket"),
      enable_log_file_validation: true,
      is_multi_region_trail: false,
      include_global_service_events: false,
      advanced_event_selector: [
        {
          field_selector: [
            { field: "eventCategory", equals: ["Data"] },
            { field: "resources.type", equals: ["AWS::S3::Object"] },
            { field: "resources.ARN", starts_with: [`${bucketArn}/`] },
            { field: "readOnly", equals: ["false"] },
          ],
        },
      ],
    });
  });

  it("is written to a bucket of its own, by CloudTrail for this trail only", () => {
    const trail = {
      test: "StringEquals",
      variable: "aws:SourceArn",
      values: [arn("cloudtrail", "trail/marimo-dev-audit")],
    };
    const { TrailChecksBucket, TrailDelivery } = statements(synthesize(), "audit_logs_policy_document");
    for (const statement of [TrailChecksBucket, TrailDelivery]) {
      expect(statement?.principals).toEqual([
        { type: "Service", identifiers: [servicePrincipal("cloudtrail")] },
      ]);
      expect(statement?.condition).toContainEqual(trail);
    }
    expect(TrailDelivery?.resources).toEqual([
      `${expression("aws_s3_bucket.audit_logs_bucket.arn")}/AWSLogs/${accountId}/*`,
    ]);
    expect(resource(synthesize(), "aws_cloudtrail", "audit_trail").depends_on).toContain(
      "aws_s3_bucket_policy.audit_logs_policy",
    );
  });

  it.each([
    [{}, 365],
    [{ audit: { retentionDays: 30 } }, 30],
  ])("is kept as long as %o says, and protected as the environment's bucket is", (settings, days) => {
    const stack = synthesize(settings);
    expect(
      resource(stack, "aws_s3_bucket_lifecycle_configuration", "audit_logs_lifecycle").rule,
    ).toContainEqual(expect.objectContaining({ id: "expiration", expiration: [{ days }] }));
    for (const name of ["audit_logs_bucket", "storage_artifacts_bucket"]) {
      expect(resource(stack, "aws_s3_bucket", name)).toMatchObject({
        force_destroy: false,
        lifecycle: { prevent_destroy: true },
      });
    }
    const trial = synthesize({ ...settings, homeFileSystemRetention: "Delete" });
    expect(resource(trial, "aws_s3_bucket", "audit_logs_bucket").force_destroy).toBe(true);
  });

  it("can be read after the environment's key is deleted", () => {
    const { rule } = resource(
      synthesize(),
      "aws_s3_bucket_server_side_encryption_configuration",
      "audit_logs_encryption",
    );
    expect(JSON.stringify(rule)).toContain("AES256");
    expect(JSON.stringify(rule)).not.toContain("kms_master_key_id");
  });

  it("is not there where the settings turn it off, nor is anything of it", () => {
    const { text } = synthesize({ audit: false });
    expect(text).not.toMatch(/audit|cloudtrail|trail_bucket/i);
  });

  it("records the bucket that an existing domain or an existing bucket has", () => {
    const attached = synthesize({ existing: { domainId: "d-0123456789ab" } });
    expect(resource(attached, "aws_cloudtrail", "audit_trail").name).toBe("marimo-dev-audit");
    expect(synthesize({ existing: { bucket: "acme-studio" } }).text).toContain(
      expression("data.aws_s3_bucket.storage_bucket.arn"),
    );
  });

  it("is looked at by the removal guard", () => {
    expect(resource(synthesize(), "terraform_data", "removal_guard_step").input).toMatchObject({
      trail_bucket: expression("aws_s3_bucket.audit_logs_bucket.bucket"),
      trail_force_destroy: expression("aws_s3_bucket.audit_logs_bucket.force_destroy"),
    });
  });
});

describe("an alert is sent", () => {
  it("for writes that only deployers make, by anyone else", () => {
    expect(pattern("changes", [role, user])).toEqual({
      source: ["aws.s3"],
      "detail-type": ["AWS API Call via CloudTrail"],
      detail: {
        errorCode: [{ exists: false }],
        readOnly: [false],
        requestParameters: { bucketName: [bucket] },
        userIdentity: {
          $or: [
            { sessionContext: { sessionIssuer: { arn: [{ "anything-but": [apply, role] }] } } },
            {
              type: [{ "anything-but": ["AssumedRole"] }],
              arn: [{ "anything-but": [user] }, { exists: false }],
            },
          ],
        },
        $or: [
          { eventName: ["DeleteObjects"] },
          {
            requestParameters: {
              key: [
                { prefix: "marimo/payload/" },
                { prefix: "marimo/wheels/" },
                { prefix: "marimo/schedules/" },
              ],
            },
          },
        ],
      },
    });
    expect(pattern("changes").detail.userIdentity.$or[1]).toEqual({
      type: [{ "anything-but": ["AssumedRole"] }],
    });
  });

  it("for each denied write", () => {
    expect(pattern("denied").detail).toEqual({
      errorCode: ["AccessDenied"],
      readOnly: [false],
      requestParameters: { bucketName: [bucket] },
    });
  });

  it("not for the role of the workflows", () => {
    const environment = resolveEnvironment({ name: "dev" });
    expect(awsNames("marimo-dev").applyRole).toBe(`github/${roleName("apply", environment)}`);
  });

  it("to an encrypted topic, and by e-mail where the settings have addresses", () => {
    const stack = synthesize({ deployers: [role], audit: { alertAddresses: ["security@example.com"] } });
    expect(resource(stack, "aws_sns_topic", "audit_alerts_topic")).toMatchObject({
      name: "marimo-dev-audit",
      kms_master_key_id: keyArn,
    });
    expect(resource(stack, "aws_sns_topic_subscription", "audit_alerts_address_0").endpoint).toBe(
      "security@example.com",
    );
    expect(statements(stack, "audit_alerts_document").Writes?.principals?.[0]?.identifiers).toEqual([
      servicePrincipal("events"),
    ]);
    expect(statements(stack, "encryption_policy").Alerts?.actions).toContain("kms:Decrypt");
  });

  it("by rules that fit EventBridge's 2,048 characters with the longest names", () => {
    const longest = (kind: string) =>
      JSON.stringify(
        pattern(
          "changes",
          Array.from({ length: mostDeployers }, () => `arn:aws:iam::123456789012:${kind}/`.padEnd(200, "x")),
        ),
      )
        .replaceAll(bucket, "b".repeat(63))
        .replaceAll(apply, "a".repeat(100)).length;
    expect(longest("role")).toBeGreaterThan(1000);
    expect(longest("role")).toBeLessThanOrEqual(2048);
    expect(longest("user")).toBeLessThanOrEqual(2048);
  });
});
