import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import { projectFolder } from "../../cli/paths.ts";
import { scheduledUserArn } from "../identity/conditions.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { Payload } from "../storage/payload.ts";
import { type EnvironmentContext, tagsOf } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { InstanceLimit } from "./instance-limit.ts";
import { JobAlerts } from "./job-alerts.ts";
import { JobRole } from "./job-role.ts";
import { Jobs } from "./jobs.ts";
import { type NamedRole, Schedules } from "./schedules.ts";

export interface EnvironmentJobsProps {
  readonly context: EnvironmentContext;
  readonly network: EnvironmentNetwork;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
}

/** What all jobs of the environment have in common: those of users and those of schedules. */
export function environmentJobs(scope: Construct, props: EnvironmentJobsProps): Jobs {
  const { context, ...places } = props;
  const { account, environment, prefix } = context;
  const { maximumInstances } = environment.jobs;
  if (maximumInstances !== "any") {
    new InstanceLimit(scope, "instance_limit", { account, prefix, maximum: maximumInstances });
  }
  return new Jobs(scope, "jobs", {
    prefix,
    account,
    environment: environment.name,
    settings: environment.jobs,
    schedules: environment.schedules.map(({ name }) => name),
    serverlessEndpoints: environment.services.serverlessEndpoints,
    tags: tagsOf(environment),
    requiredTags: environment.guardRails.requiredTags,
    existingRoleArn: environment.existing.executionRoleArn,
    ...places,
  });
}

export interface EnvironmentSchedulesProps {
  readonly context: EnvironmentContext;
  readonly jobs: Jobs;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
  readonly payload: Payload;
  /** The policies of the roles of schedules with a user's rights. */
  readonly policies: readonly ITerraformDependable[];
  /** Policies that AWS may attach to the scheduler's role later. */
  readonly attachedLater: readonly ITerraformDependable[];
  /** See `EnvironmentNetwork`. */
  readonly perimeter: readonly string[] | undefined;
}

/** The schedules of the settings, with alerts. */
export function environmentSchedules(
  scope: Construct,
  props: EnvironmentSchedulesProps,
): { readonly schedulerRole?: NamedRole; readonly outputs: Outputs } {
  const { bucket, context, encryptionKeyArn, jobs, payload, policies } = props;
  const { account, environment, packages, prefix } = context;
  const { schedules } = environment;
  if (schedules.length === 0) return { outputs: {} };

  if (jobs.defaults === undefined) throw new Error(`no image for jobs in ${environment.region}`);
  // In the scope that it has always been in: Terraform would create the role of the same name before it deletes the old.
  const [asUsers, asNobody] = [true, false].map((is) =>
    schedules.some(({ runAs }) => (runAs !== undefined) === is),
  );
  const role = !asNobody
    ? undefined
    : new JobRole(jobs, "role", {
        ...jobs.access,
        account,
        bucketArn: bucket.arn,
        packages,
        perimeter: props.perimeter,
      });
  const { deadLetterQueue, schedulerRole } = new Schedules(scope, "schedules", {
    prefix,
    account,
    environment: environment.name,
    attachedLater: props.attachedLater,
    schedules,
    root: projectFolder,
    bucket,
    payload,
    jobs: jobs.defaults,
    jobRoleArn: role?.arn,
    roleReady: [...(role?.policies ?? []), ...(asUsers ? policies : [])],
  });
  const { topicArn } = new JobAlerts(scope, "job_alerts", {
    prefix,
    account,
    jobRoleArns: [
      ...(role === undefined ? [] : [role.arn]),
      ...(asUsers ? [{ prefix: scheduledUserArn(account, prefix, "") }] : []),
    ],
    schedules: schedules.map(({ name }) => name),
    deadLetterQueueName: deadLetterQueue.name,
    encryptionKeyArn,
    addresses: environment.jobs.alertAddresses,
  });
  return {
    schedulerRole,
    outputs: { job_alert_topic_arn: ["Topic for alerts about scheduled jobs that failed", topicArn] },
  };
}
