import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { isNotebook } from "../notebooks/is-notebook.ts";
import { basicDefaults, prefixOf } from "./basics.ts";
import { isExisting } from "./existing-lookup.ts";
import { jobDefaults, type ResolvedJobs } from "./jobs.ts";
import {
  type Check,
  checkBoolean,
  checkKeys,
  checkList,
  isList,
  isRecord,
  isString,
  isWhole,
  type Report,
  type Resolved,
  type Untyped,
} from "./problems.ts";
import { defaultImageUri } from "./processing.ts";
import { isRegion } from "./reference/regions.ts";
import { checkExpression, checkTimeZone } from "./schedule-expression.ts";
import { studioDefaults } from "./studio.ts";
import { checkScheduleType } from "./team-types.ts";
import { checkScheduleTeam } from "./teams.ts";
import { checkRunAs, checkScheduleBesideUsers, userNamesOf } from "./user-names.ts";

/** A notebook that runs on a schedule. */
export interface ScheduleSettings {
  /**
   * Names the schedule and its jobs, `marimo-<environment>-<name>-<id>`.
   * Limit: lower-case letters, digits and inner hyphens; 19 characters together with the environment's name (SageMaker
   * API, `ProcessingJobName`: 63, of which 36 are the id); not the name of a user, nor one that begins with it and a
   * hyphen.
   */
  readonly name: string;
  /** Path of the notebook in this project. */
  readonly notebook: string;
  /**
   * Files that the notebook needs, as paths relative to its folder. The layout, style sheet and HTML head that its
   * `marimo.App` names are sent too.
   * Limit: 100.
   * @default none
   */
  readonly files?: readonly string[];
  /**
   * Requirements file with hashes of the packages that the notebook needs in addition to marimo's, such as the output
   * of `uv export --script … --format requirements-txt`. Relative to the notebook's folder.
   * @default none
   */
  readonly lock?: string;
  /** When it runs: `cron(…)` with six fields or `rate(…)` (EventBridge Scheduler User Guide, "Schedule types"). */
  readonly expression: string;
  /**
   * Time zone of a cron expression, with daylight saving time.
   * @default "UTC"
   */
  readonly timeZone?: string;
  /** Limit: `jobs.allowedInstanceTypes`, and those of its team or of its user's teams. @default `jobs.defaultInstanceType` */
  readonly instanceType?: string;
  /**
   * Arguments of the notebook, which `mo.cli_args()` reads.
   * Limit: 99 of 256 characters (SageMaker API, `ContainerArguments`).
   * @default none
   */
  readonly arguments?: readonly string[];
  /**
   * Secrets for the notebook: each the name of an environment variable with the ARN of a secret.
   * Limit: 1-20, each in `jobs.secrets`.
   * @default none
   */
  readonly secrets?: Readonly<Record<string, string>>;
  /**
   * Minutes after which SageMaker stops the job.
   * Limit: `jobs.maximumMinutes`.
   * @default 60, or `jobs.maximumMinutes` if that is less
   */
  readonly timeLimitMinutes?: number;
  /**
   * Whether the schedule starts jobs.
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * Whose rights its jobs have: the name of a user in `userProfiles`. They read and write that user's data, and their
   * results are the user's. They run as a role of their own, which can use neither Studio nor send jobs.
   * @default nobody's: they write only their results, which everybody reads
   */
  readonly runAs?: string;
  /**
   * Whose access its jobs have in addition to everybody's: the name of a team in `teams`. Their results are read by
   * everybody. With `runAs`, they have the access of all teams of that user instead.
   * Limit: not together with `runAs`.
   * @default none
   */
  readonly team?: string;
}

/** `runAs` is in lower case, as in the user's tag. */
export type ResolvedSchedule = Resolved<ScheduleSettings, "lock" | "runAs" | "team">;

const scheduleDefaults = {
  files: [],
  timeZone: "UTC",
  arguments: [],
  secrets: {},
  timeLimitMinutes: 60,
  enabled: true,
} as const;

export const resolveSchedule = (settings: ScheduleSettings, jobs: ResolvedJobs): ResolvedSchedule => ({
  name: settings.name,
  notebook: settings.notebook,
  files: settings.files ?? scheduleDefaults.files,
  lock: settings.lock,
  expression: settings.expression,
  timeZone: settings.timeZone ?? scheduleDefaults.timeZone,
  instanceType: settings.instanceType ?? jobs.defaultInstanceType,
  arguments: settings.arguments ?? scheduleDefaults.arguments,
  secrets: settings.secrets ?? scheduleDefaults.secrets,
  timeLimitMinutes:
    settings.timeLimitMinutes ?? Math.min(scheduleDefaults.timeLimitMinutes, jobs.maximumMinutes),
  enabled: settings.enabled ?? scheduleDefaults.enabled,
  runAs: settings.runAs?.toLowerCase(),
  team: settings.team,
});

const types = "src/settings/schedules.ts";
/** Characters of a job's name before the 36 of an execution's id, its hyphen among them (SageMaker API: 63 in all). */
export const longestSchedulePrefix = 27;
/** Whatever begins a job's name in an environment's schedule. */
const schedulePrefix = (environment: string, schedule: string) => `${prefixOf(environment)}-${schedule}-`;

const listRule = {
  allowed: 'a list such as [{ name: "daily", notebook: "reports/daily.py", expression: "rate(1 day)" }]',
  source: types,
};
export const checkSchedules: Check = (value, report, settings) => {
  if (!isList(value, report, listRule)) return;
  if (value.length > 0 && isExisting(settings, "domainId")) {
    report(value, "would need a network of the environment's", {
      allowed: "no schedules beside existing.domainId",
      source: types,
    });
  }
  const jobs: Untyped = isRecord(settings.jobs) ? settings.jobs : {};
  const region = settings.region ?? basicDefaults.region;
  if (
    value.length > 0 &&
    jobs.imageUri === undefined &&
    isRegion(region) &&
    defaultImageUri(region) === undefined
  ) {
    report(region, "is a region without a known image of SageMaker Distribution", {
      allowed: "a jobs.imageUri there",
      source: "sagemaker-python-sdk, image_uri_config/sagemaker-distribution.json",
    });
  }
  const names = new Map<unknown, number>();
  for (const [index, schedule] of value.entries()) {
    const within: Report = (given, problem, rule, part = "") =>
      report(given, problem, rule, `[${index}]${part}`);
    if (!isRecord(schedule)) {
      within(schedule, "is not a schedule", listRule);
      continue;
    }
    checkKeys(schedule, Object.keys(checks), within);
    for (const [key, check] of Object.entries(checks)) {
      if (schedule[key] === undefined && !required.includes(key)) continue;
      const at: Report = (given, problem, rule, part = "") => within(given, problem, rule, `.${key}${part}`);
      check(schedule[key], at, { settings, schedule, jobs });
    }
    if (typeof schedule.name !== "string") continue;
    const earlier = names.get(schedule.name);
    if (earlier !== undefined)
      within(
        schedule.name,
        `is a duplicate of schedules[${earlier}]`,
        { allowed: "a name each", source: types },
        ".name",
      );
    else names.set(schedule.name, index);
  }
};

interface ScheduleContext {
  readonly settings: Untyped;
  readonly schedule: Untyped;
  readonly jobs: Untyped;
}
type Part = (value: unknown, report: Report, context: ScheduleContext) => void;
const required = ["name", "notebook", "expression"];

const checkName: Part = (value, report, { settings }) => {
  const room = longestSchedulePrefix - schedulePrefix(String(settings.name), "").length;
  const rule = {
    allowed: `1 to ${Math.max(0, room)} lower-case letters, digits and inner hyphens, starting with a letter`,
    source: `SageMaker API, ProcessingJobName: 63 characters, of which an execution's id takes 36 and "${prefixOf(String(settings.name))}" the rest`,
  };
  if (!isString(value, report, rule)) return;
  if (!/^[a-z](-*[a-z0-9])*$/.test(value)) report(value, "is not a valid schedule name", rule);
  else if (value.length > room) report(value, `has ${value.length} characters`, rule);
  else checkScheduleBesideUsers(value, userNamesOf(settings, studioDefaults.userProfiles), report, settings);
};

/** A path that stays below a folder. */
const isBelow = (path: string) => path !== "" && !path.startsWith("/") && !normalize(path).startsWith("..");

const checkFile = (value: unknown, report: Report, folder: string): string | undefined => {
  const rule = { allowed: "the path of a file, below the folder that it is looked for in", source: types };
  if (!isString(value, report, rule)) return undefined;
  const file = join(folder, value);
  if (!isBelow(value) || /[$%]\{/.test(value)) report(value, "must stay inside the folder", rule);
  else if (!existsSync(file) || !statSync(file).isFile()) report(value, `is not a file in ${folder}`, rule);
  else return file;
  return undefined;
};

const checkNotebook: Part = (value, report) => {
  const file = checkFile(value, report, projectFolder);
  if (file === undefined) return;
  const rule = { allowed: "a marimo notebook", source: 'marimo\'s documentation, "File format"' };
  if (!isNotebook(file)) report(value, "is not a marimo notebook", rule);
};

const folderOf = ({ schedule }: ScheduleContext) =>
  join(projectFolder, typeof schedule.notebook === "string" ? dirname(schedule.notebook) : "");

const checkFiles: Part = (value, report, context) => {
  const rule = { allowed: "1 to 100 paths, from the notebook's folder on", source: types };
  checkList(value, report, rule, 1, 100, (file, at) => void checkFile(file, at, folderOf(context)));
};

const checkArguments: Part = (value, report) => {
  const rule = {
    allowed: "1 to 99 strings of at most 256 characters, without ${, %{ or <aws.",
    source: "SageMaker API, ContainerArguments: 100, of which the notebook is one",
  };
  if (!isList(value, report, rule)) return;
  if (value.length < 1 || value.length > 99) report(value, `lists ${value.length}`, rule);
  for (const [index, one] of value.entries()) {
    if (typeof one !== "string") report(one, "must be a string", rule, `[${index}]`);
    else if (one.length > 256) report(one, "is too long", rule, `[${index}]`);
    // The API's pattern is one line.
    else if (/[\r\n]/.test(one)) report(one, "has more than one line", rule, `[${index}]`);
    // Terraform would take the first two for its own, EventBridge Scheduler the third.
    else if (/[$%]\{|<aws\./.test(one)) report(one, "has what others would replace", rule, `[${index}]`);
  }
};

const checkSecrets: Part = (value, report, { jobs }) => {
  const rule = {
    allowed: '1 to 20 environment variables with ARNs of jobs.secrets, such as { WAREHOUSE: "arn:…" }',
    source: types,
  };
  if (!isRecord(value)) return report(value, "must be an object", rule);
  const secrets = Object.entries(value);
  if (secrets.length < 1 || secrets.length > 20) report(value, `has ${secrets.length}`, rule);
  const known: readonly unknown[] = Array.isArray(jobs.secrets) ? jobs.secrets : [];
  for (const [name, arn] of secrets) {
    if (!/^[A-Za-z_]\w{0,200}$/.test(name)) {
      report(name, "is not the name of an environment variable", rule);
    } else if (!known.includes(arn)) report(arn, "is not in jobs.secrets", rule, `.${name}`);
  }
};

const checkLimit: Part = (value, report, { jobs }) => {
  const most = typeof jobs.maximumMinutes === "number" ? jobs.maximumMinutes : jobDefaults.maximumMinutes;
  const rule = { allowed: `a whole number of minutes, 1 to ${most}`, source: "jobs.maximumMinutes" };
  isWhole(value, report, rule, 1, most);
};

const checks: { readonly [Name in keyof Required<ScheduleSettings>]: Part } = {
  name: checkName,
  notebook: checkNotebook,
  files: checkFiles,
  lock: (value, report, context) => void checkFile(value, report, folderOf(context)),
  expression: checkExpression,
  timeZone: checkTimeZone,
  instanceType: (value, report, { schedule, settings }) =>
    checkScheduleType(value, report, schedule, settings),
  arguments: checkArguments,
  secrets: checkSecrets,
  timeLimitMinutes: checkLimit,
  enabled: (value, report) => checkBoolean(value, report, {}),
  runAs: (value, report, { settings }) =>
    checkRunAs(value, userNamesOf(settings, studioDefaults.userProfiles), report, settings),
  team: (value, report, { schedule, settings }) => checkScheduleTeam(value, report, schedule, settings),
};
