import { type AccessSettings, checkAccess, type ResolvedAccess, resolveAccess } from "./access.ts";
import { type AiSettings, checkAi, type ResolvedAi, resolveAi } from "./ai.ts";
import { checkPolicyArn } from "./arns.ts";
import { type AuditSettings, checkAudit, type ResolvedAudit, resolveAudit } from "./audit.ts";
import { type BasicSettings, basicChecks, type ResolvedBasics, resolveBasics } from "./basics.ts";
import { checkDeployers } from "./deployers.ts";
import { checkExisting, type ExistingSettings } from "./existing.ts";
import {
  checkGuardRails,
  type GuardRailSettings,
  type ResolvedGuardRails,
  resolveGuardRails,
} from "./guard-rails.ts";
import {
  checkHomeBackup,
  type HomeBackupSettings,
  type ResolvedHomeBackup,
  resolveHomeBackup,
} from "./home-backup.ts";
import { checkJobs, type JobSettings, type ResolvedJobs, resolveJobs } from "./jobs.ts";
import { type MarimoSettings, marimoChecks, type ResolvedMarimo, resolveMarimo } from "./marimo.ts";
import { type NetworkSettings, networkChecks, type ResolvedNetwork, resolveNetwork } from "./network.ts";
import type { Checks } from "./problems.ts";
import {
  type ResolvedRetention,
  type RetentionSettings,
  resolveRetention,
  retentionChecks,
} from "./retention.ts";
import {
  checkSchedules,
  type ResolvedSchedule,
  resolveSchedule,
  type ScheduleSettings,
} from "./schedules.ts";
import { checkServices, type ResolvedServices, resolveServices, type ServiceSettings } from "./services.ts";
import { type ResolvedStudio, resolveStudio, type StudioSettings, studioChecks } from "./studio.ts";
import { checkTeams, type ResolvedTeam, resolveTeam, type TeamSettings } from "./teams.ts";
import {
  type ResolvedTerraform,
  resolveTerraform,
  type TerraformSettings,
  terraformChecks,
} from "./terraform.ts";

/** One environment: one stack, one Terraform state, one Studio domain. Only `name` is required. */
export interface EnvironmentSettings
  extends BasicSettings,
    NetworkSettings,
    StudioSettings,
    MarimoSettings,
    TerraformSettings,
    RetentionSettings {
  /**
   * Models of Amazon Bedrock in marimo: chat, generated cells and inline completion, with each person's role and without a
   * key. Run `npm run lock` after the first use.
   * @default marimo has no AI, and the roles have no access to Bedrock
   */
  readonly ai?: AiSettings;

  /**
   * Limits on instance types, spaces, volumes, tags and cost.
   * @default small instance types, volumes of 5 to 100 GB
   */
  readonly guardRails?: GuardRailSettings;

  /**
   * Notebooks as SageMaker Processing jobs: `marimo-job run` and `schedules`. They run in the private subnets with
   * the role of the user who sends them, and `schedules` with a role of their own. Not available with `existing.domainId`.
   * @default small instance types, one day at most
   */
  readonly jobs?: JobSettings;

  /**
   * Notebooks that EventBridge Scheduler runs as jobs.
   * @default none
   */
  readonly schedules?: readonly ScheduleSettings[];

  /**
   * SageMaker's services that users have: `{ serverlessEndpoints?, featureStore?, mlflowArn?, instanceEndpoints? }`. Training, transform jobs,
   * models and the model registry need no setting.
   * @default serverless endpoints and feature groups, neither with `endpoints-only`
   */
  readonly services?: ServiceSettings;

  /**
   * Data of the account that every notebook may use: `{ buckets?, glueDatabases?, secrets?, athena?, redshift?,
   * lakeFormation? }`. Private and shared spaces, jobs and schedules have it. With `endpoints-only`, each service that
   * it needs adds an interface endpoint.
   * Limit: one IAM policy, 6,144 characters (IAM User Guide, "IAM and AWS STS quotas").
   * @default none: only the environment's own bucket
   */
  readonly access?: AccessSettings;

  /**
   * Users who may use more data, and more instance types for jobs, each `{ name, members, access,
   * allowedInstanceTypes? }`: their private spaces and jobs have the team's access too, and so have schedules that name
   * the team. A member must be in `userProfiles`. Each team is a managed policy of
   * its members' roles, whose number is a quota: 10 a role, or up to 25 when raised.
   * Limit: 100 teams; 10 for each user. Not available with `existing.executionRoleArn` or `existing.domainId`.
   * @default none
   */
  readonly teams?: readonly TeamSettings[];

  /**
   * ARNs of the roles and users that deploy, besides the role of `npm run github-roles`. Only they may then write the
   * payload, wheels and schedules: the bucket's policy denies it to everybody else in the account, except with
   * `existing.bucket`. They cause no alert. For a session of a role, the ARN of the role with its path. Name the
   * role that deploys first, or its uploads are denied. The policy does not deny changes to itself.
   * Limit: 1-5 ARNs of at most 200 characters (EventBridge quotas: 2,048 characters an event pattern).
   * @default none: the bucket's policy has no such rule, and each deployment from elsewhere is reported
   */
  readonly deployers?: readonly string[];

  /**
   * A CloudTrail trail of the writes to the environment's bucket: `{ retentionDays?, alertAddresses? }`.
   * Alerts are sent for writes of the payload, wheels and schedules and for `DeleteObjects` by anyone but the deployers,
   * and for denied writes. `false` where the organization has a trail of these events.
   * @default a trail whose log files are kept for 365 days
   */
  readonly audit?: AuditSettings | false;

  /**
   * Backups of each space's home folder in its user's part of the bucket, a shared space's in `shared`:
   * `{ intervalMinutes?, include?, exclude?, maximumSizeGb? }`. A space's volume is deleted with the space, and only a
   * backup stays, as long as the bucket does. Administrators can read the bucket. Not available with
   * `existing.executionRoleArn` or `existing.domainId`.
   * @default none by themselves; `marimo-backup now` makes one in any space
   */
  readonly homeBackup?: HomeBackupSettings;

  /**
   * Existing resources to use instead of the stack's own. Cannot change later where the domain refers to them.
   * @default none
   */
  readonly existing?: ExistingSettings;

  /**
   * ARN of the managed policy that is the IAM permissions boundary of every role in the stack.
   * @default none
   */
  readonly permissionsBoundaryArn?: string;
}

/** An environment with every default filled in: what the constructs work from. */
export interface ResolvedEnvironment
  extends ResolvedBasics,
    ResolvedNetwork,
    ResolvedStudio,
    ResolvedMarimo,
    ResolvedTerraform,
    ResolvedRetention {
  /** Undefined without the setting. */
  readonly ai: ResolvedAi | undefined;
  readonly guardRails: ResolvedGuardRails;
  readonly jobs: ResolvedJobs;
  readonly services: ResolvedServices;
  readonly schedules: readonly ResolvedSchedule[];
  readonly access: ResolvedAccess;
  readonly teams: readonly ResolvedTeam[];
  readonly deployers: readonly string[];
  /** Undefined where there is no trail. */
  readonly audit: ResolvedAudit | undefined;
  /** Undefined where spaces make no backups by themselves. */
  readonly homeBackup: ResolvedHomeBackup | undefined;
  readonly existing: ExistingSettings;
  readonly permissionsBoundaryArn: string | undefined;
}

/** Fills in every default. Expects settings that `validateEnvironments` accepts. */
export function resolveEnvironment(settings: EnvironmentSettings): ResolvedEnvironment {
  const basics = resolveBasics(settings);
  const { name, region } = basics;
  const jobs = resolveJobs(settings.jobs, { region, egress: settings.egress });
  const studio = resolveStudio(settings);
  return {
    ...basics,
    ...resolveNetwork(settings, region),
    ...studio,
    ...resolveMarimo(settings),
    ...resolveTerraform(settings, name, region),
    ...resolveRetention(settings),
    ai: resolveAi(settings.ai, region),
    guardRails: resolveGuardRails(settings.guardRails, [
      studio.defaultInstanceType,
      ...studio.userProfiles.map(({ defaultInstanceType }) => defaultInstanceType),
    ]),
    jobs,
    services: resolveServices(settings),
    schedules: (settings.schedules ?? []).map((schedule) => resolveSchedule(schedule, jobs)),
    access: resolveAccess(settings.access),
    teams: (settings.teams ?? []).map((team) => resolveTeam(team, jobs)),
    deployers: settings.deployers ?? [],
    audit: resolveAudit(settings.audit),
    homeBackup: resolveHomeBackup(settings.homeBackup),
    existing: settings.existing ?? {},
    permissionsBoundaryArn: settings.permissionsBoundaryArn,
  };
}

/** One check for each setting. */
export const environmentChecks: Checks<EnvironmentSettings> = {
  ...basicChecks,
  ...networkChecks,
  ...studioChecks,
  ...marimoChecks,
  ...terraformChecks,
  ...retentionChecks,
  ai: checkAi,
  guardRails: checkGuardRails,
  jobs: checkJobs,
  services: checkServices,
  schedules: checkSchedules,
  access: checkAccess,
  teams: checkTeams,
  deployers: checkDeployers,
  audit: checkAudit,
  homeBackup: checkHomeBackup,
  existing: checkExisting,
  permissionsBoundaryArn: checkPolicyArn,
};
