import { S3BucketLoggingA } from "@cdktf/provider-aws/lib/s3-bucket-logging/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { artifactBucketName } from "../settings/names.ts";
import type { AwsAccount } from "./aws-account.ts";
import { checkPrefix } from "./prefix.ts";
import { PrivateBucket } from "./private-bucket.ts";

/** Where an environment has payload, samples and artifacts: in a bucket of its own, or in one that is there already. */
export interface EnvironmentBucket {
  readonly name: string;
  readonly arn: string;
  /** What of the bucket must be there before its first object. */
  readonly ready: readonly ITerraformDependable[];
}

export interface ArtifactBucketProps {
  /** How the names of all that it makes begin. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** KMS key of the artifacts; the access logs cannot have it. */
  readonly encryptionKeyArn: string;
  /** Whether a destroy deletes what is in the buckets. */
  readonly forceDestroy: boolean;
  /** Whether Terraform refuses to destroy the bucket (`prevent_destroy`). */
  readonly removalProtection: boolean;
}

/** The bucket of an environment: what the spaces start from, sample data, and what people's notebooks write. */
export class ArtifactBucket extends Construct implements EnvironmentBucket {
  readonly name: string;
  readonly arn: string;
  readonly accessLogsName: string;
  /** As applied, in Terraform: what the bucket will do is in the state. */
  readonly forceDestroy: string;
  /** What must be there before the bucket's first object. */
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
      allow: (bucketArn) => [
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
    this.accessLogsName = accessLogs.bucket.bucket;
    this.forceDestroy = artifacts.bucket.getStringAttribute("force_destroy");
    this.ready = artifacts.ready;
  }
}
