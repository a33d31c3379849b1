import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket/index.js";
import type { S3BucketLifecycleConfigurationRule } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration/index.js";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls/index.js";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy/index.js";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block/index.js";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration/index.js";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";

export interface PrivateBucketProps {
  /** Limit: 63 characters (Amazon S3 User Guide, "General purpose bucket naming rules"). */
  readonly name: string;
  /** @default Amazon S3's own keys (`AES256`) */
  readonly encryptionKeyArn?: string | undefined;
  readonly forceDestroy: boolean;
  readonly removalProtection: boolean;
  /** Days that overwritten and deleted objects can still be brought back. */
  readonly noncurrentVersionDays: number;
  /** @default kept until deleted */
  readonly expirationDays?: number | undefined;
  /** Further statements of the bucket's policy, given its ARN; beside the TLS-only rule. */
  readonly statements?: ((bucketArn: string) => DataAwsIamPolicyDocumentStatement[]) | undefined;
}

/** A bucket that no one outside the account can reach: encrypted, versioned, TLS only, without ACLs. */
export class PrivateBucket extends Construct {
  readonly bucket: S3Bucket;
  /** What must be there before the first object: otherwise that object has no version, or no encryption by the key. */
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: PrivateBucketProps) {
    super(scope, id);
    const bucket = new S3Bucket(this, "bucket", {
      bucket: props.name,
      forceDestroy: props.forceDestroy,
      lifecycle: { preventDestroy: props.removalProtection },
      // Seconds are usual. With a credential that expires just then, the provider asks for all of its 20 minutes whether
      // the bucket is there, and records it only after: hashicorp/terraform-provider-aws#26155, #49960.
      timeouts: { create: "5m" },
    });
    const publicAccessBlock = new S3BucketPublicAccessBlock(this, "public_access_block", {
      bucket: bucket.bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    const ownership = new S3BucketOwnershipControls(this, "ownership", {
      bucket: bucket.bucket,
      rule: { objectOwnership: "BucketOwnerEnforced" },
    });
    const versioning = new S3BucketVersioningA(this, "versioning", {
      bucket: bucket.bucket,
      versioningConfiguration: { status: "Enabled" },
    });
    const encryption = new S3BucketServerSideEncryptionConfigurationA(this, "encryption", {
      bucket: bucket.bucket,
      rule: [
        props.encryptionKeyArn === undefined
          ? { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }
          : {
              applyServerSideEncryptionByDefault: {
                sseAlgorithm: "aws:kms",
                kmsMasterKeyId: props.encryptionKeyArn,
              },
              bucketKeyEnabled: true,
            },
      ],
    });
    new S3BucketLifecycleConfiguration(this, "lifecycle", {
      bucket: bucket.bucket,
      rule: lifecycleRules(props),
      // Rules about versions are refused, or do nothing, before there are any.
      dependsOn: [versioning],
    });
    const policy = new DataAwsIamPolicyDocument(this, "policy_document", {
      statement: [
        {
          sid: "TlsOnly",
          effect: "Deny",
          actions: ["s3:*"],
          resources: [bucket.arn, `${bucket.arn}/*`],
          principals: [{ type: "AWS", identifiers: ["*"] }],
          condition: [
            {
              test: "Bool",
              variable: "aws:SecureTransport",
              values: ["false"],
            },
          ],
        },
        ...(props.statements?.(bucket.arn) ?? []),
      ],
    });
    const bucketPolicy = new S3BucketPolicy(this, "policy", {
      bucket: bucket.bucket,
      policy: policy.json,
      // S3 refuses to change both at once ("OperationAborted: a conflicting conditional operation").
      dependsOn: [publicAccessBlock, ownership],
    });
    this.bucket = bucket;
    this.ready = [versioning, encryption, bucketPolicy];
  }
}

function lifecycleRules(props: PrivateBucketProps): S3BucketLifecycleConfigurationRule[] {
  const everything = [{ prefix: "" }];
  return [
    {
      id: "abandoned-uploads",
      status: "Enabled",
      filter: everything,
      abortIncompleteMultipartUpload: [{ daysAfterInitiation: 7 }],
    },
    {
      id: "noncurrent-versions",
      status: "Enabled",
      filter: everything,
      noncurrentVersionExpiration: [{ noncurrentDays: props.noncurrentVersionDays }],
      // With `days` on the current version, S3 takes no expiredObjectDeleteMarker in the same rule.
      expiration: [{ expiredObjectDeleteMarker: true }],
    },
    ...(props.expirationDays === undefined
      ? []
      : [
          {
            id: "expiration",
            status: "Enabled",
            filter: everything,
            expiration: [{ days: props.expirationDays }],
          },
        ]),
  ];
}
