/** What a setting may be, and where that limit comes from. */
export interface Rule {
  readonly allowed: string;
  readonly source: string;
}

/** Notes one problem of the setting under check; `within` leads to a part of it, such as `[3].name`. */
export type Report = (value: unknown, problem: string, rule: Rule, within?: string) => void;

/** Settings as an untyped caller may give them. */
export type Untyped = Readonly<Record<string, unknown>>;

/** Checks one setting that was given; `settings` is the whole environment, for limits that depend on another. */
export type Check = (value: unknown, report: Report, settings: Untyped) => void;

/** A check for each setting of a group: a setting without one does not compile. */
export type Checks<Settings> = { readonly [Name in keyof Required<Settings>]: Check };

/**
 * A group with every default filled in: a setting that `resolve…` leaves out does not compile. `Optional` are the
 * settings without a default, which stay undefined.
 */
export type Resolved<Settings, Optional extends keyof Settings = never> = {
  readonly [Name in Exclude<keyof Settings, Optional>]-?: Exclude<Settings[Name], undefined>;
  // `& string`, because `-?` would remove `undefined` in an app without `exactOptionalPropertyTypes`.
} & { readonly [Name in Optional & string]: Settings[Name] | undefined };

/** One problem as a person reads it. */
export function message(path: string, value: unknown, problem: string, { allowed, source }: Rule): string {
  return `${path}: ${quote(value)} ${problem}. Allowed: ${allowed} (${source}).`;
}

const longestQuote = 100;

/** The value as it stands in a settings file, cut where it is long: never throws, whatever the value. */
export function quote(value: unknown): string {
  let text: string | undefined;
  try {
    // JSON has no NaN or Infinity and would print null for them.
    text = typeof value === "number" ? String(value) : JSON.stringify(value);
  } catch {
    // A cycle or a bigint: its type says enough.
  }
  text ??= value === undefined ? "undefined" : `a value of type ${typeof value}`;
  return text.length <= longestQuote ? text : `${text.slice(0, longestQuote)}… (${text.length} characters)`;
}

/** An object of keys and values; a Map or a Date is none, since its content would be lost without a word. */
export function isRecord(value: unknown): value is Untyped {
  return Object.prototype.toString.call(value) === "[object Object]";
}

export function isString(value: unknown, report: Report, rule: Rule, within?: string): value is string {
  if (typeof value === "string") return true;
  report(value, "must be a string", rule, within);
  return false;
}

export function isList(value: unknown, report: Report, rule: Rule): value is readonly unknown[] {
  if (Array.isArray(value)) return true;
  report(value, "must be a list", rule);
  return false;
}

/** A setting that is one of a few words. */
export function oneOf(words: readonly string[], source: string): Check {
  const rule = { allowed: words.map((word) => quote(word)).join(" or "), source };
  return (value, report) => {
    if (!isString(value, report, rule) || words.includes(value)) return;
    report(value, `is not one of these values${nearest(value, words)}`, rule);
  };
}

export const checkBoolean: Check = (value, report) => {
  const rule = { allowed: "true or false, without quotes", source: "src/settings/environment.ts" };
  if (typeof value !== "boolean") report(value, "must be true or false", rule);
};

/** Checks an object's keys, and each part that was given by the check of its name. */
export function checkParts(
  value: Untyped,
  checks: Readonly<Record<string, Check>>,
  report: Report,
  settings: Untyped,
): void {
  checkKeys(value, Object.keys(checks), report);
  for (const [key, check] of Object.entries(checks)) {
    if (value[key] === undefined) continue;
    check(
      value[key],
      (given, problem, rule, within = "") => report(given, problem, rule, `.${key}${within}`),
      settings,
    );
  }
}

/** Reports the keys of an object that are none of `known`. */
export function checkKeys(object: Untyped, known: readonly string[], report: Report, within = ""): void {
  for (const key of Object.keys(object)) {
    if (known.includes(key)) continue;
    const rule = { allowed: known.join(", "), source: "src/settings/environment.ts" };
    report(object[key], `is the value of an unknown key${nearest(key, known)}`, rule, `${within}.${key}`);
  }
}

/** ` (did you mean "…"?)` where one of the words is close to what was given, else nothing. */
export function nearest(given: string, words: readonly string[]): string {
  let best: string | undefined;
  // A third of the letters may differ: more is another word, not a slip.
  let limit = Math.max(2, Math.ceil(given.length / 3)) + 1;
  for (const word of words) {
    if (Math.abs(word.length - given.length) >= limit) continue;
    const distance = editDistance(given.toLowerCase(), word.toLowerCase());
    if (distance < limit) [best, limit] = [word, distance];
  }
  return best === undefined ? "" : ` (did you mean ${quote(best)}?)`;
}

/** Levenshtein's distance: insertions, deletions and replacements that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line++) {
    const next = [line];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** Checks a list's length, that nothing is in it twice, and each of it; the list where it is one. */
export function checkList(
  value: unknown,
  report: Report,
  rule: Rule,
  fewest: number,
  largest: number,
  checkItem: (item: unknown, report: Report) => void,
): readonly unknown[] | undefined {
  if (!Array.isArray(value)) {
    report(value, "must be a list", rule);
    return undefined;
  }
  if (value.length < fewest || value.length > largest) report(value, `lists ${value.length}`, rule);
  for (const [index, item] of value.entries()) {
    const at: Report = (given, problem, rule, within = "") =>
      report(given, problem, rule, `[${index}]${within}`);
    if (value.indexOf(item) < index) at(item, "is listed twice", rule);
    else checkItem(item, at);
  }
  return value;
}

export function isWhole(
  value: unknown,
  report: Report,
  rule: Rule,
  least: number,
  largest: number,
): value is number {
  if (typeof value !== "number") report(value, "must be a number", rule);
  else if (!Number.isInteger(value)) report(value, "must be a whole number", rule);
  else if (value < least || value > largest) report(value, "is out of range", rule);
  else return true;
  return false;
}

const addressRule = {
  allowed: "an e-mail address, without ${ or %{",
  source: "AWS Budgets API, Subscriber; Amazon SNS API, Subscribe",
};

export function checkAddress(address: unknown, report: Report): void {
  // Terraform would read `${` and `%{` as the beginning of its own templates.
  const form = /^(?!.*[$%]\{)[^\s@,;<>"]+@[^\s@,;<>"]+\.[a-z]{2,}$/i;
  if (typeof address !== "string" || !form.test(address))
    report(address, "is not an e-mail address", addressRule);
}
