import shared from "../space/payload/python/sagemaker_marimo/names.json" with { type: "json" };

export const {
  /**
   * Prefixes of objects in an environment's bucket. `payload` has one folder for each version, `wheels` one for each
   * lock file (scripts/wheelhouse.ts), and `schedules` one for each version of a schedule's notebook. `people` has one
   * folder for each user, by their name in lower case; only that user reads and writes it. `shared` is everybody's,
   * except `scheduledJobs`, the results of `schedules`, which everybody only reads.
   */
  bucketPrefixes,
  /**
   * Folders of a user. `marimo-job` writes `jobSources` and the state of `sweeps`. Jobs write their pages, files and
   * outcomes to `jobs`, and to `sweeps` as part of a sweep. `marimo-backup` writes `backup`, one folder for each space.
   */
  folders,
  /** Defaults of the setting `homeBackup`, which `marimo-backup now` has without the setting too. */
  homeBackup: homeBackupDefaults,
  /** Key of the object that names the current version of the payload. */
  payloadPointer,
  /** Key of the object that tells `marimo-job` how to submit jobs: `JobsJson`. */
  jobsJson,
  /** Key of the object with the ARNs of the inference profiles of `ai.costByUser`: `InferenceProfiles`. */
  inferenceProfilesJson,
  /** Log group of every processing job in an account and Region. SageMaker chooses its name. */
  jobLogGroup,
  /** Name of the list of a folder's files with their SHA-256, in the format of `sha256sum`. */
  checksums,
  /**
   * What begins a job's entrypoint; the path of a script in the payload follows. It is in the request, which nobody but
   * the sender writes, so it checks the payload before anything of it runs. No `${` or `<`: Terraform and EventBridge
   * Scheduler replace them. At most 256 characters a word (SageMaker API, AppSpecification, ContainerEntrypoint).
   */
  jobEntrypoint,
  /** Prefix of a job's environment variables with the ARN of a secret. */
  secretVariable,
  /**
   * Tag of what one user pays for: the name of the user profile, in lower case. IAM decides by that of a user's role, and
   * costs are counted by that of the user's profile and jobs.
   */
  userTag,
  /** Tag of the jobs that a schedule starts: its name. Costs are counted by it. */
  scheduleTag,
} = shared;

/** Line of settings.env with the setting `homeBackup`. */
export const homeBackupVariable = "MARIMO_HOME_BACKUP";

/** Prefixes that only deployers write. Every space and job reads them. */
export const deployedPrefixes = [bucketPrefixes.payload, bucketPrefixes.wheels, bucketPrefixes.schedules];

/** Instance types that the teams of one user may add to everybody's for jobs. */
export const mostTeamTypes = 6;
/** Tags of a user's role: each such type, and the names of the teams, for people and the plan review. */
export const teamTags = {
  instanceTypes: Array.from({ length: mostTeamTypes }, (_, index) => `JobType${index + 1}`),
  teams: "JobTeams",
};
/** The value of `userTag` on what all shared spaces use together. No user is named so: it has a space. */
export const sharedSpaces = "shared spaces";

/** Names of resources that the stack creates, and `npm run leftovers` finds without Terraform's state. */
export const awsNames = (prefix: string) => ({
  executionRole: `${prefix}-execution`,
  /** Role, schedule group and topic of a user, whose name is in lower case. src/removal/jobs.ts repeats it. */
  user: (name: string) => `${prefix}-user-${name}`,
  /** Role of scheduled jobs. src/removal/jobs.ts repeats it, because only that folder is there during a destroy. */
  jobRole: `${prefix}-jobs`,
  /** Role of scheduled jobs with a user's rights, whose name is in lower case. src/removal/jobs.ts repeats it. */
  scheduledUser: (name: string) => `${prefix}-schedules-${name}`,
  /**
   * Role of scheduled jobs with a team's access. No user is named so, because user names have no dot. src/removal/jobs.ts
   * knows what it begins with.
   */
  scheduledTeam: (team: string) => `${prefix}-schedules-team.${team}`,
  accessPolicy: `${prefix}-access`,
  /** Athena workgroup of roles that belong to no user. A user's has the name of the role, and so has a schedule's with a team. */
  sharedWorkgroup: `${prefix}-shared`,
  teamPolicy: (team: string) => `${prefix}-team-${team}`,
  /** Role of sweeps in deployments from before each user had a role. src/removal/jobs.ts repeats it. */
  pipelineRole: `${prefix}-pipelines`,
  schedulerRole: `${prefix}-scheduler`,
  /** Role with which AWS Budgets attaches a policy to a user's role. */
  userBudgetsRole: `${prefix}-budget-per-user`,
  imageRole: `${prefix}-images`,
  flowLogRole: `${prefix}-vpc-flow-logs`,
  flowLogGroup: `${prefix}-vpc-flow-logs`,
  scheduleGroup: prefix,
  deadLetterQueue: `${prefix}-schedules`,
  deadLetterAlarm: `${prefix}-dead-letters`,
  failedJobRule: `${prefix}-failed-jobs`,
  /** Rule, state machine and role that stop jobs with too many instances. */
  instanceLimit: `${prefix}-instance-limit`,
  /** Rule, state machine and role that delete endpoints on instances after their time-out. */
  endpointTimeout: `${prefix}-endpoint-timeout`,
  alertTopic: `${prefix}-jobs`,
  trail: `${prefix}-audit`,
  auditTopic: `${prefix}-audit`,
  changesRule: `${prefix}-audit-changes`,
  deniedRule: `${prefix}-audit-denied`,
  /** Path and name of the role that GitHub's workflow applies with (src/github/roles.ts). The stack does not create it. */
  applyRole: `github/${prefix}-apply`,
  keyAlias: `alias/${prefix}`,
});
