import { isString, quote, type Report } from "./problems.ts";

const expressionRule = {
  allowed:
    '"cron(0 7 ? * MON-FRI *)" with its six fields, or "rate(1 day)", "rate(12 hours)", "rate(30 minutes)"',
  source: 'EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler"',
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

export const checkExpression = (value: unknown, report: Report): void => {
  if (!isString(value, report, expressionRule)) return;
  const rate = /^rate\((\d{1,6}) (minute|hour|day)(s?)\)$/.exec(value);
  const cron = /^cron\((.*)\)$/.exec(value)?.[1]?.trim().split(/\s+/);
  if (rate) {
    const plural = rate[3] === "s";
    if (Number(rate[1]) < 1) report(value, "is not a valid rate", expressionRule);
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

export const checkTimeZone = (value: unknown, report: Report): void => {
  const rule = { allowed: 'a name such as "UTC" or "Europe/Berlin"', source: "IANA's time zone database" };
  if (!isString(value, report, rule)) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: value });
  } catch {
    report(value, "is not a known time zone", rule);
    return;
  }
  // Newer versions of Node.js also know offsets, such as +02:00, which the API does not.
  if (!/^[A-Za-z]/.test(value)) report(value, "is not a known time zone", rule);
};
