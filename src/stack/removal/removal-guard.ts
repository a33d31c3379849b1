import { Fn, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { bucketPrefixes } from "../../settings/names.ts";
import type { Trail } from "../audit/trail.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { type RemovalScripts, RemovalStep } from "./removal-step.ts";

export interface RemovalGuardProps {
  readonly account: AwsAccount;
  readonly scripts: RemovalScripts;
  /** Name prefix of the environment's jobs, pipelines and roles. */
  readonly prefix: string;
  /** Name of an existing role that all jobs run as. @default roles of the stack's own */
  readonly existingRole?: string | undefined;
  readonly domainId: string;
  /** Terraform list of the user profile names. */
  readonly userProfileNames: unknown;
  readonly homeFileSystemRetention: "Retain" | "Delete";
  /** The environment's bucket. @default none: the guard does not look at any bucket */
  readonly bucket?: EnvironmentBucket | undefined;
  /** The trail of the bucket's writes, whose log files are evidence. @default none */
  readonly trail?: Trail | undefined;
  /** All other resources of the environment, which are destroyed only after the guard. */
  readonly before: readonly ITerraformDependable[];
}

/**
 * The first step of `terraform destroy`: lists what users would lose and stops Terraform before anything is
 * destroyed, unless the environment variable `SAGEMAKER_MARIMO_DELETE_WORK_IN` holds the domain's id. With it, removes
 * what people made in Studio, which would otherwise stop Terraform at the domain, and stops jobs and sweeps, which would
 * otherwise stop it at the subnets.
 */
export class RemovalGuard extends Construct {
  constructor(scope: Construct, id: string, props: RemovalGuardProps) {
    super(scope, id);
    const { bucket, trail } = props;
    new RemovalStep(this, "step", {
      scripts: props.scripts,
      script: "guard.ts",
      prefix: "GUARD",
      input: {
        region: props.account.region,
        account: props.account.id,
        domain_id: props.domainId,
        prefix: props.prefix,
        ...(props.existingRole === undefined ? {} : { existing_role: props.existingRole }),
        own_profiles: Fn.jsonencode(props.userProfileNames),
        retention: props.homeFileSystemRetention,
        ...(bucket?.destroyed === undefined
          ? {}
          : {
              bucket: bucket.name,
              access_logs_bucket: bucket.destroyed.accessLogsName,
              bucket_force_destroy: bucket.destroyed.forceDestroy,
            }),
        ...(bucket === undefined ? {} : { backup_bucket: bucket.name }),
        ...(trail === undefined
          ? {}
          : { trail_bucket: trail.bucketName, trail_force_destroy: trail.forceDestroy }),
        payload_prefix: bucketPrefixes.payload,
        schedules_prefix: bucketPrefixes.schedules,
        wheels_prefix: bucketPrefixes.wheels,
      },
      dependsOn: props.before,
    });
  }
}
