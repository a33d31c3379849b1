import { Cloudtrail } from "@cdktf/provider-aws/lib/cloudtrail/index.js";
import { Construct } from "constructs";
import { trailBucketName } from "../../settings/basics.ts";
import { awsNames } from "../../settings/names.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { PrivateBucket } from "../storage/private-bucket.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { skipChecks } from "../support/skip-checks.ts";

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
      skippedChecks: {
        CKV_AWS_18: "CloudTrail's digest files show a log file that was changed or deleted",
        CKV_AWS_145: "Log files must be readable after the environment's key is deleted",
      },
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
    const trail = new Cloudtrail(this, "trail", {
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
    skipChecks(trail, {
      CKV_AWS_35: "Log files must be readable after the environment's key is deleted",
      CKV_AWS_67: "It records one bucket, whose events are in the bucket's own Region",
      CKV_AWS_252: "EventBridge sends the alerts: a message for each log file would hide them",
      CKV2_AWS_10: "EventBridge sends the alerts, which is cheaper and needs no log group and role",
    });
    this.bucketName = logs.bucket.bucket;
    this.forceDestroy = logs.bucket.getStringAttribute("force_destroy");
  }
}
