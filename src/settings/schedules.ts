import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { isExisting } from "./existing.ts";
import { prefixOf } from "./names.ts";
import {
  type Check,
  checkBoolean,
  checkKeys,
  checkList,
  isList,
  isRecord,
  isString,
  isWhole,
  quote,
  type Report,
  type Untyped,
} from "./problems.ts";
import { checkProcessingInstanceType, defaultImageUri } from "./processing.ts";
import { defaults } from "./resolve.ts";

const types = "src/settings/types.ts";
/** Where notebooks' paths begin. */
export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

/** Characters of a job's name before the 36 of an execution's id, its hyphen among them (SageMaker API: 63 in all). */
export const longestSchedulePrefix = 27;
/** Whatever begins a job's name in an environment's schedule. */
export const schedulePrefix = (environment: string, schedule: string) =>
  `${prefixOf(environment)}-${schedule}-`;

const listRule = {
  allowed: 'a list such as [{ name: "daily", notebook: "reports/daily.py", expression: "rate(1 day)" }]',
  source: types,
};
const expressionRule = {
  allowed:
    '"cron(0 7 ? * MON-FRI *)" with its six fields, or "rate(1 day)", "rate(12 hours)", "rate(30 minutes)"',
  source: 'EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler"',
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
  const region = settings.region ?? defaults.region;
  if (value.length > 0 && jobs.imageUri === undefined && defaultImageUri(String(region)) === undefined) {
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
      within(schedule, "is no schedule", listRule);
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

interface Around {
  readonly settings: Untyped;
  readonly schedule: Untyped;
  readonly jobs: Untyped;
}
type Part = (value: unknown, report: Report, around: Around) => void;
const required = ["name", "notebook", "expression"];

const checkName: Part = (value, report, { settings }) => {
  const room = longestSchedulePrefix - schedulePrefix(String(settings.name), "").length;
  const rule = {
    allowed: `1 to ${Math.max(0, room)} lower-case letters, digits and inner hyphens, starting with a letter`,
    source: `SageMaker API, ProcessingJobName: 63 characters, of which an execution's id takes 36 and "${prefixOf(String(settings.name))}" the rest`,
  };
  if (!isString(value, report, rule)) return;
  if (!/^[a-z](-*[a-z0-9])*$/.test(value)) report(value, "is no name of a schedule", rule);
  else if (value.length > room) report(value, `has ${value.length} characters`, rule);
};

/** A path that stays below a folder. */
const isBelow = (path: string) => path !== "" && !path.startsWith("/") && !normalize(path).startsWith("..");

const checkFile = (value: unknown, report: Report, folder: string): string | undefined => {
  const rule = { allowed: "the path of a file, below the folder that it is looked for in", source: types };
  if (!isString(value, report, rule)) return undefined;
  const file = join(folder, value);
  if (!isBelow(value) || /[$%]\{/.test(value)) report(value, "leads elsewhere", rule);
  else if (!existsSync(file) || !statSync(file).isFile()) report(value, `is no file in ${folder}`, rule);
  else return file;
  return undefined;
};

const checkNotebook: Part = (value, report) => {
  const file = checkFile(value, report, projectRoot);
  if (file === undefined) return;
  const rule = { allowed: "a marimo notebook", source: 'marimo\'s documentation, "File format"' };
  if (!file.endsWith(".py") || !/^app = marimo\.App\(/m.test(readFileSync(file, "utf8")))
    report(value, "is no marimo notebook", rule);
};

const folderOf = ({ schedule }: Around) =>
  join(projectRoot, typeof schedule.notebook === "string" ? dirname(schedule.notebook) : "");

const checkFiles: Part = (value, report, around) => {
  const rule = { allowed: "1 to 100 paths, from the notebook's folder on", source: types };
  checkList(value, report, rule, 1, 100, (file, at) => void checkFile(file, at, folderOf(around)));
};

const checkArguments: Part = (value, report) => {
  const rule = {
    allowed: "1 to 99 strings of at most 256 characters, without ${, %{ or <aws.",
    source: "SageMaker API, ContainerArguments: 100, of which the notebook is one",
  };
  if (!isList(value, report, rule)) return;
  if (value.length < 1 || value.length > 99) report(value, `lists ${value.length}`, rule);
  for (const [index, one] of value.entries()) {
    if (typeof one !== "string") report(one, "is no string", rule, `[${index}]`);
    else if (one.length > 256) report(one, "is too long", rule, `[${index}]`);
    // The API's pattern is one line.
    else if (/[\r\n]/.test(one)) report(one, "has more than one line", rule, `[${index}]`);
    // Terraform would take the first two for its own, EventBridge Scheduler the third.
    else if (/[$%]\{|<aws\./.test(one)) report(one, "has what others would replace", rule, `[${index}]`);
  }
};

/** Each field's characters, and the numbers that may stand there. */
const cronFields = [
  { name: "minutes", form: /^[\d,*/-]+$/, from: 0, to: 59 },
  { name: "hours", form: /^[\d,*/-]+$/, from: 0, to: 23 },
  { name: "day-of-month", form: /^(\?|L|[\d,*/LW-]+)$/, from: 1, to: 31 },
  { name: "month", form: /^([\dA-KM-Z,*/-]|JUL)+$/i, from: 1, to: 12 },
  { name: "day-of-week", form: /^(\?|[\dA-Z,*/L#-]+)$/i, from: 1, to: 7 },
  { name: "year", form: /^[\d,*/-]+$/, from: 1970, to: 2199 },
] as const;
const words = /\b(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)\b/gi;

const checkExpression: Part = (value, report) => {
  if (!isString(value, report, expressionRule)) return;
  const rate = /^rate\((\d{1,6}) (minute|hour|day)(s?)\)$/.exec(value);
  const cron = /^cron\((.*)\)$/.exec(value)?.[1]?.trim().split(/\s+/);
  if (rate) {
    const plural = rate[3] === "s";
    if (Number(rate[1]) < 1) report(value, "is no rate", expressionRule);
    else if ((Number(rate[1]) === 1) === plural)
      report(value, `has ${rate[1]} ${rate[2]}${rate[3]}: 1 is singular, more are plural`, expressionRule);
  } else if (cron) {
    if (cron.length !== cronFields.length) {
      report(value, `has ${cron.length} fields`, expressionRule);
      return;
    }
    for (const [index, { name, form, from, to }] of cronFields.entries()) {
      const field = cron[index] ?? "";
      const numbers = field
        .replaceAll(/[/#]\d+/g, "")
        .replaceAll(words, "")
        .match(/\d+/g);
      // No empty item of a list, and no step of nothing.
      const whole = !/(^|,)(,|$)/.test(field) && !/\/0*(,|$)/.test(field);
      const fits = (numbers ?? []).every((number) => Number(number) >= from && Number(number) <= to);
      if (!form.test(field) || !fits || !whole || /[A-KM-VX-Z]/i.test(field.replaceAll(words, "")))
        report(value, `has ${quote(field)} for its ${name}`, expressionRule);
    }
    if ((cron[2] === "?") === (cron[4] === "?"))
      report(value, "needs ? for one of day-of-month and day-of-week", expressionRule);
  } else report(value, "is neither a rate nor a cron expression", expressionRule);
};

const checkTimeZone: Part = (value, report) => {
  const rule = { allowed: 'a name such as "UTC" or "Europe/Berlin"', source: "IANA's time zone database" };
  if (!isString(value, report, rule)) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: value });
  } catch {
    report(value, "is no time zone", rule);
    return;
  }
  // Newer versions of Node.js also know offsets, such as +02:00, which the API does not.
  if (!/^[A-Za-z]/.test(value)) report(value, "is no time zone", rule);
};

const checkType: Part = (value, report, { jobs }) => {
  checkProcessingInstanceType(value, report, {});
  const allowed = jobs.allowedInstanceTypes;
  if (Array.isArray(allowed) && !allowed.includes(value))
    report(value, "is not allowed", {
      allowed: allowed.map(quote).join(", "),
      source: "jobs.allowedInstanceTypes",
    });
};

const checkLimit: Part = (value, report, { jobs }) => {
  const most = typeof jobs.maximumMinutes === "number" ? jobs.maximumMinutes : defaults.jobMaximumMinutes;
  const rule = { allowed: `a whole number of minutes, 1 to ${most}`, source: "jobs.maximumMinutes" };
  isWhole(value, report, rule, 1, most);
};

const checks: Readonly<Record<string, Part>> = {
  name: checkName,
  notebook: checkNotebook,
  files: checkFiles,
  lock: (value, report, around) => void checkFile(value, report, folderOf(around)),
  expression: checkExpression,
  timeZone: checkTimeZone,
  instanceType: checkType,
  arguments: checkArguments,
  timeLimitMinutes: checkLimit,
  enabled: (value, report) => checkBoolean(value, report, {}),
};
