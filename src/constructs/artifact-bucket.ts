import type { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket/index.js";
import { S3BucketLoggingA } from "@cdktf/provider-aws/lib/s3-bucket-logging/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { artifactBucketName } from "../settings/names.ts";
import type { AwsAccount } from "./aws-account.ts";
import { PrivateBucket } from "./private-bucket.ts";

export interface ArtifactBucketProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly encryptionKeyArn: string;
  readonly forceDestroy: boolean;
  readonly removalProtection: boolean;
}

/** The bucket of an environment: what the spaces start from, sample data, and what people's notebooks write. */
export class ArtifactBucket extends Construct {
  readonly bucket: S3Bucket;
  readonly accessLogsBucket: S3Bucket;
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ArtifactBucketProps) {
    super(scope, id);
    const { account, prefix } = props;
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
    this.bucket = artifacts.bucket;
    this.accessLogsBucket = accessLogs.bucket;
    this.ready = artifacts.ready;
  }
}
