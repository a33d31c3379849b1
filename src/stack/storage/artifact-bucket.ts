import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { S3BucketLoggingA } from "@cdktf/provider-aws/lib/s3-bucket-logging/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { artifactBucketName } from "../../settings/basics.ts";
import { deployedPrefixes } from "../../settings/names.ts";
import { applyRoleArn } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { PrivateBucket } from "./private-bucket.ts";

/** The bucket for payload, samples and artifacts, whether the stack creates it or it exists. */
export interface EnvironmentBucket {
  readonly name: string;
  readonly arn: string;
  /** Resources that must exist before the bucket's first object. */
  readonly ready: readonly ITerraformDependable[];
  /** What a destroy deletes with the bucket. Undefined for an existing bucket, which stays. */
  readonly destroyed?: DestroyedBucket | undefined;
}

export interface DestroyedBucket {
  readonly accessLogsName: string;
  /** `force_destroy` as the state has it: Terraform destroys by the state. */
  readonly forceDestroy: string;
}

export interface ArtifactBucketProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** KMS key of the artifacts. Access logs cannot use it. */
  readonly encryptionKeyArn: string;
  /** ARNs of the only principals that may write what every space runs, besides the apply role. Empty: no such rule. */
  readonly deployers: readonly string[];
  /** Whether a destroy deletes the objects in the buckets. */
  readonly forceDestroy: boolean;
  /** Whether Terraform refuses to destroy the bucket (`prevent_destroy`). */
  readonly removalProtection: boolean;
}

/** The bucket of an environment: payload, sample data, and what notebooks write. */
export class ArtifactBucket extends Construct implements EnvironmentBucket {
  readonly name: string;
  readonly arn: string;
  readonly destroyed: DestroyedBucket;
  /** Resources that must exist before the bucket's first object. */
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ArtifactBucketProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const name = artifactBucketName({ prefix, account: account.id, region: account.region });
    const artifacts = new PrivateBucket(this, "artifacts", {
      name,
      encryptionKeyArn: props.encryptionKeyArn,
      forceDestroy: props.forceDestroy,
      removalProtection: props.removalProtection,
      noncurrentVersionDays: 90,
      statements: (bucketArn) => deployersOnly(bucketArn, props),
    });

    // Not encrypted with the key: S3 delivers access logs only to a bucket with its own keys (Amazon S3 User Guide,
    // "Enabling Amazon S3 server access logging"). Not logged itself: that would log its own writing without end.
    const accessLogs = new PrivateBucket(this, "access_logs", {
      // At the end: `${prefix}-logs` may be another environment's prefix.
      name: `${name}-logs`,
      forceDestroy: props.forceDestroy,
      removalProtection: false,
      noncurrentVersionDays: 7,
      expirationDays: 365,
      statements: (bucketArn) => [
        {
          sid: "AccessLogDelivery",
          actions: ["s3:PutObject"],
          resources: [`${bucketArn}/*`],
          principals: [{ type: "Service", identifiers: [account.servicePrincipal("logging.s3")] }],
          condition: [
            {
              test: "ArnLike",
              variable: "aws:SourceArn",
              values: [artifacts.bucket.arn],
            },
            {
              test: "StringEquals",
              variable: "aws:SourceAccount",
              values: [account.id],
            },
          ],
        },
      ],
    });
    new S3BucketLoggingA(this, "logging", {
      bucket: artifacts.bucket.bucket,
      targetBucket: accessLogs.bucket.bucket,
      targetPrefix: "artifacts/",
      dependsOn: [...accessLogs.ready],
    });
    this.name = artifacts.bucket.bucket;
    this.arn = artifacts.bucket.arn;
    this.destroyed = {
      accessLogsName: accessLogs.bucket.bucket,
      forceDestroy: artifacts.bucket.getStringAttribute("force_destroy"),
    };
    this.ready = artifacts.ready;
  }
}

/**
 * Denies writes of what every space runs to all other principals, administrators included. It denies no change of the
 * bucket's policy, so nobody is locked out: who may call `s3:PutBucketPolicy` can remove it.
 */
function deployersOnly(
  bucketArn: string,
  { account, deployers, prefix }: ArtifactBucketProps,
): DataAwsIamPolicyDocumentStatement[] {
  if (deployers.length === 0) return [];
  return [
    {
      sid: "OnlyDeployersWritePayload",
      effect: "Deny",
      actions: ["s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:PutObject*", "s3:RestoreObject"],
      resources: deployedPrefixes.map((folder) => `${bucketArn}/${folder}/*`),
      principals: [{ type: "AWS", identifiers: ["*"] }],
      condition: [
        {
          // For a session of a role, this is the ARN of the role with its path (IAM User Guide, "AWS global condition
          // context keys").
          test: "ArnNotLike",
          variable: "aws:PrincipalArn",
          values: [applyRoleArn(account, prefix), ...deployers],
        },
      ],
    },
  ];
}
