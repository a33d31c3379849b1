import { DataAwsS3Bucket } from "@cdktf/provider-aws/lib/data-aws-s3-bucket/index.js";
import { Fn, Op, TerraformSelf } from "cdktf";
import { Construct } from "constructs";
import type { EnvironmentBucket } from "./artifact-bucket.ts";

export interface ExistingBucketProps {
  readonly name: string;
  readonly region: string;
}

/** An existing bucket, instead of `ArtifactBucket`. No data source says whether it keeps versions. */
export class ExistingBucket extends Construct implements EnvironmentBucket {
  readonly name: string;
  readonly arn: string;
  readonly ready = [];

  constructor(scope: Construct, id: string, props: ExistingBucketProps) {
    super(scope, id);
    const { name, region } = props;
    // `region` is the bucket's in provider 5 and the provider's own in provider 6: its address is the same in both.
    const address = TerraformSelf.getString("bucket_regional_domain_name");
    const bucket = new DataAwsS3Bucket(this, "bucket", {
      bucket: name,
      lifecycle: {
        postcondition: [
          {
            condition: Op.eq(Fn.strcontains(address, `.s3.${region}.`), true),
            errorMessage:
              `existing.bucket: ${name} is at ${address}, and the environment in ${region}. Spaces fetch what they ` +
              "run from a bucket of their own region.",
          },
        ],
      },
    });
    this.name = bucket.id;
    this.arn = bucket.arn;
  }
}
