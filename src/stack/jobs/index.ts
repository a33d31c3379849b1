import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import { projectFolder } from "../../cli/paths.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { Payload } from "../storage/payload.ts";
import { type EnvironmentContext, tagsOf } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { JobAlerts } from "./job-alerts.ts";
import { JobRole } from "./job-role.ts";
import type { JobAccess } from "./job-user-statements.ts";
import { Jobs } from "./jobs.ts";
import { type NamedRole, Schedules } from "./schedules.ts";

export interface EnvironmentJobsProps {
  readonly context: EnvironmentContext;
  readonly network: EnvironmentNetwork;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
  readonly payload: Payload;
  /** Policies that AWS may attach to the scheduler's role later. */
  readonly attachedLater: readonly ITerraformDependable[];
}

/** Jobs, and their schedules with alerts where the settings have any. */
export function environmentJobs(
  scope: Construct,
  props: EnvironmentJobsProps,
): { readonly access: JobAccess; readonly schedulerRole?: NamedRole; readonly outputs: Outputs } {
  const { attachedLater, context, payload, ...places } = props;
  const { account, environment, packages, prefix } = context;
  const jobs = new Jobs(scope, "jobs", {
    prefix,
    account,
    environment: environment.name,
    settings: environment.jobs,
    schedules: environment.schedules.map(({ name }) => name),
    tags: tagsOf(environment),
    requiredTags: environment.guardRails.requiredTags,
    existingRoleArn: environment.existing.executionRoleArn,
    ...places,
  });
  if (environment.schedules.length === 0) return { access: jobs.access, outputs: {} };

  if (jobs.defaults === undefined) throw new Error(`no image for jobs in ${environment.region}`);
  // In the scope that it has always been in: Terraform would create the role of the same name before it deletes the old.
  const role = new JobRole(jobs, "role", {
    ...jobs.access,
    account,
    bucketArn: props.bucket.arn,
    packages,
    perimeter: props.network.perimeter,
  });
  const { deadLetterQueue, schedulerRole } = new Schedules(scope, "schedules", {
    prefix,
    account,
    environment: environment.name,
    attachedLater,
    schedules: environment.schedules,
    root: projectFolder,
    bucket: props.bucket,
    payload,
    jobs: { ...jobs.defaults, roleArn: role.arn },
    roleReady: role.policies,
  });
  const { topicArn } = new JobAlerts(scope, "job_alerts", {
    prefix,
    account,
    jobRoleArn: role.arn,
    schedules: environment.schedules.map(({ name }) => name),
    deadLetterQueueName: deadLetterQueue.name,
    encryptionKeyArn: props.encryptionKeyArn,
    addresses: environment.jobs.alertAddresses,
  });
  return {
    access: jobs.access,
    schedulerRole,
    outputs: { job_alert_topic_arn: ["Topic for alerts about scheduled jobs that failed", topicArn] },
  };
}
