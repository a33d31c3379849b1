import { homeBackupDefaults } from "./names.ts";
import {
  type Check,
  type Checks,
  checkList,
  checkParts,
  isRecord,
  isWhole,
  type Report,
  type Resolved,
} from "./problems.ts";
import { haveRoles } from "./user-names.ts";

/** Backups of home folders in the environment's bucket. */
export interface HomeBackupSettings {
  /**
   * Minutes between two backups while something changes. A space also makes one when it stops, if AWS leaves it the time.
   * Limit: 5-1440.
   * @default 30
   */
  readonly intervalMinutes?: number;
  /**
   * Files and folders of the home.
   * Limit: 1-50 paths below the home, such as "marimo-notebooks" or ".gitconfig".
   * @default everything that is not hidden
   */
  readonly include?: readonly string[];
  /**
   * What else to leave out, beside caches and virtual environments: names anywhere, or with a slash paths below the home;
   * `*` and `?` stand for any characters.
   * Limit: 1-50 patterns, such as "*.parquet" or "data/raw".
   * @default nothing else
   */
  readonly exclude?: readonly string[];
  /**
   * Most of one home. The largest files are left out until the rest fits, and are named in the space.
   * Limit: 1-1000.
   * @default 5, the size of a new volume
   */
  readonly maximumSizeGb?: number;
}

export type ResolvedHomeBackup = Resolved<HomeBackupSettings>;

export const resolveHomeBackup = (settings: HomeBackupSettings | undefined): ResolvedHomeBackup | undefined =>
  settings && {
    intervalMinutes: settings.intervalMinutes ?? homeBackupDefaults.intervalMinutes,
    include: settings.include ?? homeBackupDefaults.include,
    exclude: settings.exclude ?? homeBackupDefaults.exclude,
    maximumSizeGb: settings.maximumSizeGb ?? homeBackupDefaults.maximumSizeGb,
  };

const types = "src/settings/home-backup.ts";
const minutesRule = { allowed: "a whole number of minutes, 5 to 1440", source: types };
const sizeRule = { allowed: "a whole number of GB, 1 to 1000", source: types };
const pathsRule = {
  allowed:
    '1 to 50 paths below the home, of letters, digits, spaces and "._+@=,~-", such as "marimo-notebooks"',
  source: `${types}; the list is a line of settings.env, which Terraform writes`,
};
const patternsRule = { ...pathsRule, allowed: `${pathsRule.allowed} or "*.parquet"` };

const pathOf = (characters: string) =>
  new RegExp(`^(?!.*(^|/)\\.\\.?(/|$))[${characters}]+(/[${characters}]+)*$`);
const path = pathOf("A-Za-z0-9 ._+@=,~-");
const pattern = pathOf("A-Za-z0-9 ._+@=,~*?-");

const ofForm = (form: RegExp, rule: typeof pathsRule) => (value: unknown, report: Report) => {
  if (typeof value !== "string" || value.length > 256 || !form.test(value))
    report(value, "is not a path below the home", rule);
};

const checks: Checks<HomeBackupSettings> = {
  intervalMinutes: (value, report) => void isWhole(value, report, minutesRule, 5, 1440),
  include: (value, report) => {
    checkList(value, report, pathsRule, 1, 50, ofForm(path, pathsRule));
  },
  exclude: (value, report) => {
    checkList(value, report, patternsRule, 1, 50, ofForm(pattern, patternsRule));
  },
  maximumSizeGb: (value, report) => void isWhole(value, report, sizeRule, 1, 1000),
};

export const checkHomeBackup: Check = (value, report, settings) => {
  if (!isRecord(value)) {
    return report(value, "is not an object with settings of backups", {
      allowed: "an object such as {} or { maximumSizeGb: 20 }",
      source: types,
    });
  }
  checkParts(value, checks, report, settings);
  if (!haveRoles(settings)) {
    report(value, "cannot be combined with `existing.executionRoleArn` or `existing.domainId`", {
      allowed: "only where each user has a role, and so a part of the bucket that others cannot read",
      source: types,
    });
  }
};
