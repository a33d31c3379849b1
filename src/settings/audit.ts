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
   * E-mail addresses that get the alerts. Each must confirm the first message.
   * Limit: 1-10 addresses, together with `deployers` of the environment.
   * @default none: the topic has no subscriptions
   */
  readonly alertAddresses?: readonly string[];
}

export type ResolvedAudit = Resolved<AuditSettings>;

const auditDefaults = { retentionDays: 365, alertAddresses: [] } as const;

/** Undefined where the settings turn the trail off. */
export const resolveAudit = (settings: AuditSettings | false = {}): ResolvedAudit | undefined =>
  settings === false
    ? undefined
    : {
        retentionDays: settings.retentionDays ?? auditDefaults.retentionDays,
        alertAddresses: settings.alertAddresses ?? auditDefaults.alertAddresses,
      };

const types = "src/settings/audit.ts";
const daysRule = { allowed: "a whole number of days, 1 to 3653", source: types };
const checks: Checks<AuditSettings> = {
  retentionDays: (value, report) => void isWhole(value, report, daysRule, 1, 3653),
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
  if (value.alertAddresses === undefined || settings.deployers !== undefined) return;
  report(
    value.alertAddresses,
    "would be alerted to each deployment",
    {
      allowed: "addresses together with the environment's `deployers`, who deploy without an alert",
      source: types,
    },
    ".alertAddresses",
  );
};
