import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import { projectFolder } from "../../cli/paths.ts";
import { athenaUsers } from "../../settings/athena.ts";
import { awsNames } from "../../settings/names.ts";
import { userTypes } from "../../settings/team-types.ts";
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
    athenaUsers: athenaUsers(context.workgroups),
    serverlessEndpoints: environment.services.serverlessEndpoints,
    tags: tagsOf(environment),
    requiredTags: environment.guardRails.requiredTags,
    userTypes: userTypes(environment.teams),
    existingRoleArn: environment.existing.executionRoleArn,
    ...places,
  });
}

/** The roles of schedules without `runAs`, by team; that of schedules without a team has no key. */
export type ScheduledJobRoles = ReadonlyMap<string | undefined, JobRole>;

export interface ScheduledJobRolesProps {
  readonly context: EnvironmentContext;
  readonly jobs: Jobs;
  readonly bucket: EnvironmentBucket;
  /** See `EnvironmentNetwork`. */
  readonly perimeter: readonly string[] | undefined;
}

/** In the scope that they have always been in: Terraform would create a role of the same name before it deletes the old. */
export function scheduledJobRoles(props: ScheduledJobRolesProps): ScheduledJobRoles {
  const { bucket, context, jobs, perimeter } = props;
  const { account, environment, packages, prefix } = context;
  const teams = new Set(
    environment.schedules.filter(({ runAs }) => runAs === undefined).map(({ team }) => team),
  );
  return new Map(
    [...teams].map((team) => [
      team,
      new JobRole(jobs, team === undefined ? "role" : `role_${team}`, {
        ...jobs.access,
        ...{ account, bucketArn: bucket.arn, packages, perimeter },
        name: team === undefined ? undefined : awsNames(prefix).scheduledTeam(team),
      }),
    ]),
  );
}

export interface EnvironmentSchedulesProps {
  readonly context: EnvironmentContext;
  readonly jobs: Jobs;
  readonly jobRoles: ScheduledJobRoles;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
  readonly payload: Payload;
  /** The policies of the roles of users and of schedules. */
  readonly policies: readonly ITerraformDependable[];
  /** Policies that AWS may attach to the scheduler's role later. */
  readonly attachedLater: readonly ITerraformDependable[];
}

/** The schedules of the settings, with alerts. */
export function environmentSchedules(
  scope: Construct,
  props: EnvironmentSchedulesProps,
): { readonly schedulerRole?: NamedRole; readonly outputs: Outputs } {
  const { bucket, context, encryptionKeyArn, jobRoles, jobs, payload, policies } = props;
  const { account, environment, prefix } = context;
  const { schedules } = environment;
  if (schedules.length === 0) return { outputs: {} };

  if (jobs.defaults === undefined) throw new Error(`no image for jobs in ${environment.region}`);
  const hasUsers = schedules.some(({ runAs }) => runAs !== undefined);
  const roles = [...jobRoles.values()];
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
    workgroups: context.workgroups,
    jobRoleArns: new Map([...jobRoles].map(([team, { arn }]) => [team, arn])),
    roleReady: [...new Set([...roles.flatMap((role) => role.policies), ...policies])],
  });
  const { topicArn } = new JobAlerts(scope, "job_alerts", {
    prefix,
    account,
    jobRoleArns: [
      ...roles.map(({ arn }) => arn),
      ...(hasUsers ? [{ prefix: scheduledUserArn(account, prefix, "") }] : []),
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
