import { Fn, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { ArtifactBucket } from "./artifact-bucket.ts";
import type { AwsAccount } from "./aws-account.ts";
import { payloadPrefix, schedulesPrefix, wheelsPrefix } from "./payload.ts";
import { type RemovalScripts, RemovalStep } from "./removal-step.ts";

export interface RemovalGuardProps {
  readonly account: AwsAccount;
  readonly scripts: RemovalScripts;
  /** How the names of the environment's jobs, pipelines and roles begin. */
  readonly prefix: string;
  readonly domainId: string;
  /** The names of the user profiles, a list in Terraform. */
  readonly userProfileNames: unknown;
  readonly homeFileSystemRetention: "Retain" | "Delete";
  /** The environment's own bucket. @default none: one of others stays, with all that is in it */
  readonly bucket?: ArtifactBucket;
  /** Everything else of the environment: destroyed only once the guard let it go. */
  readonly before: readonly ITerraformDependable[];
}

/**
 * The first step of `terraform destroy`: lists what people would lose, and stops Terraform there, with everything still
 * in place, unless the environment variable `SAGEMAKER_MARIMO_DELETE_WORK_IN` holds the domain's id. With it, removes
 * what people made in Studio, which would otherwise stop Terraform at the domain, and stops jobs and sweeps, which would
 * otherwise stop it at the subnets.
 */
export class RemovalGuard extends Construct {
  constructor(scope: Construct, id: string, props: RemovalGuardProps) {
    super(scope, id);
    new RemovalStep(this, "step", {
      scripts: props.scripts,
      script: "guard.ts",
      prefix: "GUARD",
      input: {
        region: props.account.region,
        account: props.account.id,
        domain_id: props.domainId,
        prefix: props.prefix,
        own_profiles: Fn.jsonencode(props.userProfileNames),
        retention: props.homeFileSystemRetention,
        ...(props.bucket === undefined
          ? {}
          : {
              bucket: props.bucket.name,
              access_logs_bucket: props.bucket.accessLogsName,
              bucket_force_destroy: props.bucket.forceDestroy,
            }),
        payload_prefix: payloadPrefix,
        schedules_prefix: schedulesPrefix,
        wheels_prefix: wheelsPrefix,
      },
      dependsOn: props.before,
    });
  }
}
