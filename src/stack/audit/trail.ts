import { Cloudtrail } from "@cdktf/provider-aws/lib/cloudtrail/index.js";
import { Construct } from "constructs";
import { trailBucketName } from "../../settings/basics.ts";
import { awsNames } from "../../settings/names.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { PrivateBucket } from "../storage/private-bucket.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface TrailProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The bucket whose writes are recorded. */
  readonly bucket: EnvironmentBucket;
  /** Days that log files are kept. */
  readonly retentionDays: number;
  /** Whether a destroy deletes the log files with the trail's bucket. */
  readonly forceDestroy: boolean;
  /** Whether Terraform refuses to destroy the trail's bucket (`prevent_destroy`). */
  readonly removalProtection: boolean;
}

/**
 * A CloudTrail trail of the writes to a bucket, and the bucket for its log files. It has data events only, so the account
 * pays for no second copy of management events, which CloudTrail's event history has for 90 days.
 */
export class Trail extends Construct {
  readonly bucketName: string;
  /** `force_destroy` of the trail's bucket as the state has it: Terraform destroys by the state. */
  readonly forceDestroy: string;

  constructor(scope: Construct, id: string, props: TrailProps) {
    super(scope, id);
    const { account, prefix, retentionDays } = props;
    checkPrefix(this, prefix);
    const name = awsNames(prefix).trail;
    const condition = [
      {
        test: "StringEquals",
        variable: "aws:SourceArn",
        values: [account.arn("cloudtrail", `trail/${name}`)],
      },
    ];
    const principals = [{ type: "Service", identifiers: [account.servicePrincipal("cloudtrail")] }];
    // Not encrypted with the environment's key: the evidence must be readable when that key is deleted.
    const logs = new PrivateBucket(this, "logs", {
      name: trailBucketName({ prefix, account: account.id, region: account.region }),
      forceDestroy: props.forceDestroy,
      removalProtection: props.removalProtection,
      noncurrentVersionDays: 90,
      expirationDays: retentionDays,
      // AWS CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail".
      statements: (bucketArn) => [
        {
          sid: "TrailChecksBucket",
          actions: ["s3:GetBucketAcl"],
          resources: [bucketArn],
          principals,
          condition,
        },
        {
          sid: "TrailDelivery",
          actions: ["s3:PutObject"],
          resources: [`${bucketArn}/AWSLogs/${account.id}/*`],
          principals,
          condition: [
            ...condition,
            { test: "StringEquals", variable: "s3:x-amz-acl", values: ["bucket-owner-full-control"] },
          ],
        },
      ],
    });
    new Cloudtrail(this, "trail", {
      name,
      s3BucketName: logs.bucket.bucket,
      // The bucket's own Region has its events.
      isMultiRegionTrail: false,
      includeGlobalServiceEvents: false,
      enableLogFileValidation: true,
      advancedEventSelector: [
        {
          name: "Writes to the environment's bucket",
          fieldSelector: [
            { field: "eventCategory", equalTo: ["Data"] },
            { field: "resources.type", equalTo: ["AWS::S3::Object"] },
            { field: "resources.ARN", startsWith: [`${props.bucket.arn}/`] },
            { field: "readOnly", equalTo: ["false"] },
          ],
        },
      ],
      dependsOn: [...logs.ready],
    });
    this.bucketName = logs.bucket.bucket;
    this.forceDestroy = logs.bucket.getStringAttribute("force_destroy");
  }
}
