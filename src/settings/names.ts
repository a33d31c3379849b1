import shared from "../space/payload/python/sagemaker_marimo/names.json" with { type: "json" };

export const {
  /**
   * Prefixes of objects in an environment's bucket. `payload` has one folder for each version, `wheels` one for each
   * lock file (scripts/wheelhouse.ts), and `schedules` one for each version of a schedule's notebook. `marimo-job` writes
   * `jobSources`, and jobs write their pages, files and outcomes to `jobs`.
   */
  bucketPrefixes,
  /** Key of the object that names the current version of the payload. */
  payloadPointer,
  /** Key of the object that tells `marimo-job` how to submit jobs: `JobsJson`. */
  jobsJson,
  /** Log group of every processing job in an account and Region. SageMaker chooses its name. */
  jobLogGroup,
  /** Prefix of a job's environment variables with the ARN of a secret. */
  secretVariable,
} = shared;

/** Names of resources that the stack creates, and `npm run leftovers` finds without Terraform's state. */
export const awsNames = (prefix: string) => ({
  executionRole: `${prefix}-execution`,
  /** src/removal/jobs.ts repeats it, because only that folder is there during a destroy. */
  jobRole: `${prefix}-jobs`,
  /** src/removal/jobs.ts repeats it. */
  pipelineRole: `${prefix}-pipelines`,
  schedulerRole: `${prefix}-scheduler`,
  imageRole: `${prefix}-images`,
  flowLogRole: `${prefix}-vpc-flow-logs`,
  flowLogGroup: `${prefix}-vpc-flow-logs`,
  scheduleGroup: prefix,
  deadLetterQueue: `${prefix}-schedules`,
  deadLetterAlarm: `${prefix}-dead-letters`,
  failedJobRule: `${prefix}-failed-jobs`,
  alertTopic: `${prefix}-jobs`,
  trail: `${prefix}-audit`,
  auditTopic: `${prefix}-audit`,
  changesRule: `${prefix}-audit-changes`,
  deniedRule: `${prefix}-audit-denied`,
  /** The role of `.github/workflows/apply.yml` (src/github/roles.ts), which the stack does not create. */
  applyRole: `${prefix}-apply`,
  keyAlias: `alias/${prefix}`,
});
