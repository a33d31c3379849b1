import { checkPrincipalArn } from "./arns.ts";
import {
  type Check,
  type Checks,
  checkAddress,
  checkList,
  checkParts,
  isRecord,
  isWhole,
  type Resolved,
} from "./problems.ts";

/** A CloudTrail trail of the writes to the environment's bucket, and alerts about those that nobody should make. */
export interface AuditSettings {
  /**
   * Days that the trail's log files are kept.
   * Limit: 1-3653.
   * @default 365
   */
  readonly retentionDays?: number;
  /**
   * ARNs of the roles and users that deploy, besides the role of `npm run github-roles`: the only ones that may write
   * the payload, wheels and schedules, or send `DeleteObjects`, without an alert. For a session of a role, the ARN of
   * the role with its path. With a deployer that is not listed, each deployment sends alerts.
   * Limit: 1-5 ARNs of at most 200 characters (EventBridge quotas: 2,048 characters an event pattern).
   * @default none
   */
  readonly deployers?: readonly string[];
  /**
   * E-mail addresses that get the alerts. Each must confirm the first message.
   * Limit: 1-10 addresses, together with `deployers`.
   * @default none: the topic has no subscriptions
   */
  readonly alertAddresses?: readonly string[];
}

export type ResolvedAudit = Resolved<AuditSettings>;

const auditDefaults = { retentionDays: 365, deployers: [], alertAddresses: [] } as const;

/** Undefined where the settings turn the trail off. */
export const resolveAudit = (settings: AuditSettings | false = {}): ResolvedAudit | undefined =>
  settings === false
    ? undefined
    : {
        retentionDays: settings.retentionDays ?? auditDefaults.retentionDays,
        deployers: settings.deployers ?? auditDefaults.deployers,
        alertAddresses: settings.alertAddresses ?? auditDefaults.alertAddresses,
      };

const types = "src/settings/audit.ts";
const daysRule = { allowed: "a whole number of days, 1 to 3653", source: types };
const patternSize = "Amazon EventBridge User Guide, quotas: 2,048 characters an event pattern";
const longestArn = 200;
/** With them and the longest names, each rule of `src/stack/audit` fits that limit. */
export const mostDeployers = 5;

const checkDeployers: Check = (value, report) => {
  const rule = { allowed: `1 to ${mostDeployers} ARNs of roles or users`, source: patternSize };
  checkList(value, report, rule, 1, mostDeployers, (arn, at) => {
    checkPrincipalArn(arn, at);
    if (typeof arn === "string" && arn.length > longestArn) {
      at(arn, `has ${arn.length} characters`, {
        allowed: `at most ${longestArn} characters`,
        source: patternSize,
      });
    }
  });
};

const checks: Checks<AuditSettings> = {
  retentionDays: (value, report) => void isWhole(value, report, daysRule, 1, 3653),
  deployers: checkDeployers,
  alertAddresses: (value, report) => {
    const rule = { allowed: "1 to 10 e-mail addresses", source: types };
    checkList(value, report, rule, 1, 10, checkAddress);
  },
};

export const checkAudit: Check = (value, report, settings) => {
  if (value === false) return;
  if (!isRecord(value)) {
    return report(value, "is not an object with settings of the trail", {
      allowed: "false, or an object such as { retentionDays: 730 }",
      source: types,
    });
  }
  checkParts(value, checks, report, settings);
  if (value.alertAddresses === undefined || value.deployers !== undefined) return;
  report(
    value.alertAddresses,
    "would be alerted to each deployment",
    { allowed: "addresses together with `deployers`, who deploy without an alert", source: types },
    ".alertAddresses",
  );
};
