import { describe, expect, it } from "vitest";
import {
  accountId,
  expression,
  keyArn,
  resource,
  servicePrincipal,
  statements,
  synthesize,
} from "../../support/synthesize.ts";

const both = ["storage_artifacts", "storage_access_logs"] as const;
const longestRegion = "ap-southeast-1".length;

describe.each(both)("the bucket %s", (name) => {
  const ofBucket = { bucket: `\${aws_s3_bucket.${name}_bucket.bucket}` };

  it("blocks all public access and ACLs", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_s3_bucket_public_access_block", `${name}_public_access_block`)).toMatchObject(
      {
        ...ofBucket,
        block_public_acls: true,
        block_public_policy: true,
        ignore_public_acls: true,
        restrict_public_buckets: true,
      },
    );
    expect(resource(stack, "aws_s3_bucket_ownership_controls", `${name}_ownership`)).toMatchObject({
      ...ofBucket,
      rule: { object_ownership: "BucketOwnerEnforced" },
    });
  });

  it("is versioned and cleans up after itself", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_s3_bucket_versioning", `${name}_versioning`)).toMatchObject({
      ...ofBucket,
      versioning_configuration: { status: "Enabled" },
    });
    const { rule, ...lifecycle } = resource(
      stack,
      "aws_s3_bucket_lifecycle_configuration",
      `${name}_lifecycle`,
    );
    expect(lifecycle).toMatchObject(ofBucket);
    expect(rule).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ abort_incomplete_multipart_upload: [{ days_after_initiation: 7 }] }),
        expect.objectContaining({
          noncurrent_version_expiration: [{ noncurrent_days: name === "storage_artifacts" ? 90 : 7 }],
        }),
      ]),
    );
  });

  it("answers over TLS only", () => {
    const stack = synthesize();
    const bucketArn = `\${aws_s3_bucket.${name}_bucket.arn}`;
    expect(resource(stack, "aws_s3_bucket_policy", `${name}_policy`)).toMatchObject({
      ...ofBucket,
      policy: `\${data.aws_iam_policy_document.${name}_policy_document.json}`,
    });
    expect(statements(stack, `${name}_policy_document`).TlsOnly).toEqual({
      sid: "TlsOnly",
      effect: "Deny",
      actions: ["s3:*"],
      resources: [bucketArn, `${bucketArn}/*`],
      principals: [{ type: "AWS", identifiers: ["*"] }],
      condition: [{ test: "Bool", variable: "aws:SecureTransport", values: ["false"] }],
    });
  });

  it("has a name that S3 takes, for the longest environment and region too", () => {
    const bucket = resource(synthesize({ name: "e".repeat(20) }), "aws_s3_bucket", `${name}_bucket`);
    const longest = String(bucket.bucket)
      .replace(accountId, "1".repeat(12))
      .replace("us-east-1", "r".repeat(longestRegion));
    expect(longest).toMatch(/^[a-z0-9-]{3,63}$/);
  });
});

describe("the bucket for artifacts", () => {
  it("encrypts with the key", () => {
    const encryption = "aws_s3_bucket_server_side_encryption_configuration";
    expect(resource(synthesize(), encryption, "storage_artifacts_encryption").rule).toEqual([
      {
        apply_server_side_encryption_by_default: { kms_master_key_id: keyArn, sse_algorithm: "aws:kms" },
        bucket_key_enabled: true,
      },
    ]);
  });

  it("logs each access to the other bucket, which takes logs of no one else", () => {
    const stack = synthesize();
    expect(resource(stack, "aws_s3_bucket_logging", "storage_logging")).toMatchObject({
      bucket: expression("aws_s3_bucket.storage_artifacts_bucket.bucket"),
      target_bucket: expression("aws_s3_bucket.storage_access_logs_bucket.bucket"),
    });
    expect(statements(stack, "storage_access_logs_policy_document").AccessLogDelivery).toMatchObject({
      actions: ["s3:PutObject"],
      principals: [{ type: "Service", identifiers: [servicePrincipal("logging.s3")] }],
      condition: [
        { variable: "aws:SourceArn", values: [expression("aws_s3_bucket.storage_artifacts_bucket.arn")] },
        { variable: "aws:SourceAccount", values: [accountId] },
      ],
    });
  });

  it("gives up its objects at a destroy only where the setting says so", () => {
    const force = (settings: Parameters<typeof synthesize>[0]) =>
      resource(synthesize(settings), "aws_s3_bucket", "storage_artifacts_bucket").force_destroy;
    expect(force({})).toBe(false);
    expect(force({ removalProtection: false })).toBe(true);
    expect(force({ removalProtection: false, bucketForceDestroy: false })).toBe(false);
  });
});

describe("the policy of the bucket with `deployers`", () => {
  const document = "storage_artifacts_policy_document";

  it("denies writes of what every space runs to all but these and the workflow's role", () => {
    const deployer = "arn:aws:iam::123456789012:role/ops/deploy";
    const { OnlyDeployersWritePayload } = statements(synthesize({ deployers: [deployer] }), document);
    const bucketArn = expression("aws_s3_bucket.storage_artifacts_bucket.arn");
    expect(OnlyDeployersWritePayload).toMatchObject({
      effect: "Deny",
      resources: ["payload", "wheels", "schedules"].map((part) => `${bucketArn}/marimo/${part}/*`),
      principals: [{ type: "AWS", identifiers: ["*"] }],
    });
    expect(OnlyDeployersWritePayload?.condition).toMatchObject([
      {
        test: "ArnNotLike",
        variable: "aws:PrincipalArn",
        values: [expect.stringContaining(":role/github/marimo-dev-apply"), deployer],
      },
    ]);
    // Otherwise nobody could remove it.
    expect(OnlyDeployersWritePayload?.actions.filter((action) => /Bucket|\*$/.test(action))).toEqual([
      "s3:DeleteObject*",
      "s3:PutObject*",
    ]);
    expect(Object.keys(statements(synthesize(), document))).toEqual(["TlsOnly"]);
  });
});
