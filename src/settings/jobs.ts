import { checkSecretArn } from "./arns.ts";
import {
  type Check,
  type Checks,
  checkAddress,
  checkList,
  checkParts,
  isRecord,
  isWhole,
  quote,
  type Resolved,
} from "./problems.ts";
import { checkImageUri, checkProcessingInstanceType, defaultImageUri, longestMinutes } from "./processing.ts";
import { haveRoles } from "./user-names.ts";

/** Of whom `marimo-job run --notify` may notify. */
export interface NotificationSettings {
  /**
   * Domains of the e-mail addresses that users may add, such as "example.com": IAM denies all others. The messages have the
   * last lines of a notebook's output.
   * Limit: 1-10 domains.
   */
  readonly emailDomains: readonly string[];
}

/** Limits and defaults of notebooks that run as SageMaker Processing jobs. */
export interface JobSettings {
  /**
   * Instance types that a job may use, or "any". IAM denies all others.
   * Limit: SageMaker API, `ProcessingInstanceType`; at most 40 (IAM User Guide, "IAM and AWS STS quotas": the
   * characters of a managed policy).
   * @default those of a small team: t3, m5 and r5 to 4xlarge, c5 to 4xlarge, g4dn.xlarge and g5.xlarge, and `defaultInstanceType`
   */
  readonly allowedInstanceTypes?: readonly string[] | "any";
  /**
   * Instance type of a job that does not name one.
   * @default "ml.m5.large"
   */
  readonly defaultInstanceType?: string;
  /**
   * Instances that a job may have, or "any". `marimo-job` asks for one without `--nodes`, and `schedules` always do. A
   * request of one's own may ask for more. IAM cannot refuse that, so a rule stops the job when SageMaker reports it: its
   * instances start for some minutes.
   * Limit: 1-100 (SageMaker API, `ProcessingInstanceCount`).
   * @default 1
   */
  readonly maximumInstances?: number | "any";
  /**
   * Minutes after which SageMaker stops a job. An account's quota is commonly 5 days, 7200 minutes: SageMaker rejects
   * longer jobs until Service Quotas raises it.
   * Limit: 1-12960, 777,600 s (SageMaker API, `ProcessingMaxRuntimeInSeconds`).
   * @default 1440
   */
  readonly maximumMinutes?: number;
  /**
   * Size of a job's volume in GB.
   * Limit: 1-16384 (SageMaker API, `ProcessingVolumeSizeInGB`).
   * @default 30
   */
  readonly volumeGb?: number;
  /**
   * Schedules that a user may make with `marimo-job schedule`. IAM cannot count, so `marimo-job` does. 0: IAM allows none.
   * With `endpoints-only`, this adds an interface endpoint.
   * Limit: 0-100.
   * @default 10; 0 with `endpoints-only`
   */
  readonly maximumSchedulesPerUser?: number;
  /**
   * Minutes between two starts of a user's schedule. `marimo-job` refuses shorter ones; IAM has no condition for it.
   * Limit: 1-1440.
   * @default 15
   */
  readonly shortestScheduleMinutes?: number;
  /**
   * Image of the jobs, in Amazon ECR, with Python 3.12, `uv` or pip, and the AWS CLI in `/opt/conda/bin`.
   * @default SageMaker Distribution 4.5.2 for CPUs, in Regions where its account is known
   */
  readonly imageUri?: string;
  /**
   * Image of the jobs on instance types with a GPU, like `imageUri`.
   * @default `imageUri` if it is set, otherwise SageMaker Distribution 4.5.2 for GPUs
   */
  readonly gpuImageUri?: string;
  /**
   * ARNs of secrets of AWS Secrets Manager in this account and region, which any job can read. `marimo-job run --secret
   * NAME=ARN` puts one into the notebook's environment variable `NAME`. They must be encrypted with the account's own key
   * `aws/secretsmanager`. With `endpoints-only`, this adds an interface endpoint.
   * Limit: 1-20 ARNs of at most 256 characters (SageMaker API, `ProcessingEnvironmentValue`).
   * @default none
   */
  readonly secrets?: readonly string[];
  /**
   * E-mail addresses that are notified when a scheduled job fails or cannot start. Each must confirm the first message.
   * Limit: 1-10 addresses.
   * @default none: the topic has no subscriptions
   */
  readonly alertAddresses?: readonly string[];
  /**
   * E-mails to users about the end of their own jobs, sweeps and schedules: `{ emailDomains }`. Each user gets a topic of
   * Amazon SNS. With `endpoints-only`, this adds an interface endpoint. Not with `existing.executionRoleArn` or
   * `existing.domainId`.
   * @default none: `marimo-job run --notify` is refused
   */
  readonly notifications?: NotificationSettings;
}

export interface ResolvedJobs
  extends Omit<Resolved<JobSettings, "imageUri" | "gpuImageUri" | "notifications">, "allowedInstanceTypes"> {
  /** Undefined: any. */
  readonly allowedInstanceTypes: readonly string[] | undefined;
}

export const jobDefaults = {
  /** Jobs need more than spaces for an hour or two, and one small GPU of each generation. */
  allowedInstanceTypes: [
    ...["ml.t3.medium", "ml.t3.large", "ml.t3.xlarge", "ml.t3.2xlarge"],
    ...["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge"],
    ...["ml.r5.large", "ml.r5.xlarge", "ml.r5.2xlarge", "ml.r5.4xlarge"],
    ...["ml.c5.xlarge", "ml.c5.2xlarge", "ml.c5.4xlarge"],
    ...["ml.g4dn.xlarge", "ml.g5.xlarge"],
  ],
  defaultInstanceType: "ml.m5.large",
  maximumInstances: 1,
  maximumMinutes: 1440,
  volumeGb: 30,
  maximumSchedulesPerUser: 10,
  shortestScheduleMinutes: 15,
  secrets: [],
  alertAddresses: [],
} as const;

/** The instance types that jobs may use. Undefined: any. */
export function allowedJobTypes({
  allowedInstanceTypes,
  defaultInstanceType = jobDefaults.defaultInstanceType,
}: JobSettings): readonly string[] | undefined {
  if (allowedInstanceTypes === "any") return undefined;
  return allowedInstanceTypes ?? [...new Set([...jobDefaults.allowedInstanceTypes, defaultInstanceType])];
}

export const resolveJobs = (
  settings: JobSettings = {},
  { egress, region }: { readonly egress?: string | undefined; readonly region: string },
): ResolvedJobs => ({
  allowedInstanceTypes: allowedJobTypes(settings),
  defaultInstanceType: settings.defaultInstanceType ?? jobDefaults.defaultInstanceType,
  maximumInstances: settings.maximumInstances ?? jobDefaults.maximumInstances,
  maximumMinutes: settings.maximumMinutes ?? jobDefaults.maximumMinutes,
  volumeGb: settings.volumeGb ?? jobDefaults.volumeGb,
  // Nobody pays for an endpoint without asking for schedules.
  maximumSchedulesPerUser:
    settings.maximumSchedulesPerUser ??
    (egress === "endpoints-only" ? 0 : jobDefaults.maximumSchedulesPerUser),
  shortestScheduleMinutes: settings.shortestScheduleMinutes ?? jobDefaults.shortestScheduleMinutes,
  imageUri: settings.imageUri ?? defaultImageUri(region),
  gpuImageUri: settings.gpuImageUri ?? settings.imageUri ?? defaultImageUri(region, "gpu"),
  secrets: settings.secrets ?? jobDefaults.secrets,
  alertAddresses: settings.alertAddresses ?? jobDefaults.alertAddresses,
  // Of SNS, which compares them in lower case only.
  notifications: settings.notifications && {
    emailDomains: settings.notifications.emailDomains.map((domain) => domain.toLowerCase()),
  },
});

const types = "src/settings/jobs.ts";
const minutesRule = {
  allowed: `a whole number of minutes, 1 to ${longestMinutes}`,
  source:
    "SageMaker API, ProcessingMaxRuntimeInSeconds: 777600 (an account's quota is commonly 5 days, 7200 minutes)",
};
const instancesRule = {
  allowed: 'a whole number of instances, 1 to 100, or "any"',
  source: "SageMaker API, ProcessingInstanceCount",
};
const volumeRule = {
  allowed: "a whole number of GB, 1 to 16384",
  source: "SageMaker API, ProcessingVolumeSizeInGB",
};

const schedulesRule = { allowed: "a whole number of schedules, 0 to 100", source: types };
const intervalRule = { allowed: "a whole number of minutes, 1 to 1440", source: types };

export const checkJobs: Check = (value, report, settings) => {
  if (!isRecord(value)) {
    return report(value, "is not an object with settings", {
      allowed: 'an object such as { defaultInstanceType: "ml.m5.large" }',
      source: types,
    });
  }
  checkParts(value, checks, report, settings);
  const allowed = value.allowedInstanceTypes;
  const started = value.defaultInstanceType ?? jobDefaults.defaultInstanceType;
  if (Array.isArray(allowed) && !allowed.includes(started)) {
    report(
      allowed,
      `lacks ${quote(started)}, which is defaultInstanceType`,
      { allowed: "a list with the defaultInstanceType in it", source: types },
      ".allowedInstanceTypes",
    );
  }
};

/** With them, the policy for jobs stays below IAM's limit however long the other names are. */
export const mostJobInstanceTypes = 40;
const allowedTypesRule = {
  allowed: `a list of 1 to ${mostJobInstanceTypes}, such as ["ml.m5.large"], or "any"`,
  source: 'IAM User Guide, "IAM and AWS STS quotas": 6,144 characters in a managed policy, which names each',
};

const checkAllowed: Check = (value, report, settings) => {
  if (value === "any") return;
  checkList(value, report, allowedTypesRule, 1, mostJobInstanceTypes, (type, at) =>
    checkProcessingInstanceType(type, at, settings),
  );
};

const checkSecrets: Check = (value, report, settings) => {
  const rule = { allowed: "1 to 20 ARNs of secrets", source: types };
  const lengthRule = {
    allowed: "at most 256 characters",
    source: "SageMaker API, ProcessingEnvironmentValue",
  };
  checkList(value, report, rule, 1, 20, (arn, at) => {
    checkSecretArn(arn, at, settings);
    if (typeof arn === "string" && arn.length > 256) at(arn, `has ${arn.length} characters`, lengthRule);
  });
};

const checkAddresses: Check = (value, report, settings) => {
  if (!Array.isArray(settings.schedules) || settings.schedules.length === 0) {
    report(value, "has no effect without `schedules`", {
      allowed: "addresses together with `schedules`, whose failures they report",
      source: types,
    });
  }
  const rule = { allowed: "1 to 10 e-mail addresses", source: types };
  checkList(value, report, rule, 1, 10, checkAddress);
};

const checkNotifications: Check = (value, report, settings) => {
  if (!haveRoles(settings)) {
    report(value, "cannot be combined with `existing.executionRoleArn` or `existing.domainId`", {
      allowed: "only where each user has a role, which publishes to the user's own topic",
      source: types,
    });
  }
  if (!isRecord(value)) {
    return report(value, "is not an object with settings of notifications", {
      allowed: 'an object such as { emailDomains: ["example.com"] }',
      source: types,
    });
  }
  checkParts(value, notificationChecks, report, settings);
  if (value.emailDomains === undefined) report(value, "lacks emailDomains", domainsRule);
};

const domainsRule = { allowed: "1 to 10 domains", source: types };
const domainRule = { allowed: 'a domain such as "example.com", without wildcards', source: types };
const notificationChecks: Checks<NotificationSettings> = {
  emailDomains: (value, report) =>
    checkList(value, report, domainsRule, 1, 10, (domain, at) => {
      if (typeof domain !== "string" || !/^([a-z0-9](-*[a-z0-9])*\.)+[a-z]{2,}$/i.test(domain))
        at(domain, "is not a domain", domainRule);
    }),
};

const checks: Checks<JobSettings> = {
  allowedInstanceTypes: checkAllowed,
  defaultInstanceType: checkProcessingInstanceType,
  maximumInstances: (value, report) => {
    if (value !== "any") isWhole(value, report, instancesRule, 1, 100);
  },
  maximumMinutes: (value, report) => void isWhole(value, report, minutesRule, 1, longestMinutes),
  volumeGb: (value, report) => void isWhole(value, report, volumeRule, 1, 16_384),
  maximumSchedulesPerUser: (value, report) => void isWhole(value, report, schedulesRule, 0, 100),
  shortestScheduleMinutes: (value, report) => void isWhole(value, report, intervalRule, 1, 1440),
  imageUri: checkImageUri,
  gpuImageUri: checkImageUri,
  secrets: checkSecrets,
  alertAddresses: checkAddresses,
  notifications: checkNotifications,
};
