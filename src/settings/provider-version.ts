import { isString, type Report } from "./problems.ts";

/** Tried from its lower end: applied with 5.100.0, and compared with the schema of 6.62.0 (`__tests__/compat`). */
const supportedProvider = { from: "5.100.0", below: "7.0.0" } as const;

interface Term {
  readonly operator: string;
  readonly version: string;
  /** How many numbers the version has: `~>` counts up the last of them. */
  readonly numbers: number;
}

/** Whether a provider's version satisfies a constraint (Terraform language, "Version constraints"). */
export function allowsVersion(constraint: string, version: string): boolean {
  return termsOf(constraint)?.every((term) => satisfies(version, term)) ?? false;
}

/** The version that a constraint begins with, such as 5.100.0 for `~> 5.100`. */
export const firstVersion = (constraint: string): string | undefined => termsOf(constraint)?.[0]?.version;

/** Compares the first three numbers of two versions, as a sort function does. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split("-")[0]?.split(".").map(Number) ?? []);
  for (let index = 0; index < 3; index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function checkProviderVersion(value: unknown, report: Report): void {
  const { from, below } = supportedProvider;
  const rule = {
    allowed: `a version constraint that begins with its lowest version, ${from} or later, and stays below ${below}, such as "~> 5.100" or "~> 6.62"`,
    source: 'Terraform language, "Version constraints"; the versions this project was compared with',
  };
  if (!isString(value, report, rule)) return;
  const terms = termsOf(value);
  const first = terms?.[0];
  if (terms === undefined || first === undefined) {
    report(value, "is not a version constraint", rule);
    return;
  }
  // cdktf takes the first version in a constraint for the provider's own when it decides whether to upgrade the lock.
  if (!["=", ">=", "~>"].includes(first.operator) || !allowsVersion(value, first.version)) {
    report(value, "does not begin with the lowest version that it allows", rule);
    return;
  }
  if (compareVersions(first.version, from) < 0) report(value, `allows versions below ${from}`, rule);
  const ranges = terms.filter(({ operator }) => operator !== "!=");
  if (compareVersions(first.version, below) >= 0 || ranges.every((term) => satisfies(below, term))) {
    report(value, `allows ${below} or later`, rule);
  }
}

function termsOf(constraint: string): readonly Term[] | undefined {
  const terms = constraint.split(",").map((text) => {
    const [, operator = "=", version] =
      /^\s*(=|!=|>=|<=|>|<|~>)?\s*(\d{1,9}(?:\.\d{1,9}){0,2})\s*$/.exec(text) ?? [];
    if (version === undefined) return undefined;
    const numbers = version.split(".");
    return { operator, version: [...numbers, "0", "0"].slice(0, 3).join("."), numbers: numbers.length };
  });
  return terms.every((term) => term !== undefined) ? terms : undefined;
}

function satisfies(version: string, { operator, version: bound, numbers }: Term): boolean {
  const difference = compareVersions(version, bound);
  switch (operator) {
    case ">=":
      return difference >= 0;
    case ">":
      return difference > 0;
    case "<=":
      return difference <= 0;
    case "<":
      return difference < 0;
    case "!=":
      return difference !== 0;
    case "~>": {
      // `~> 6` is `~> 6.0` to Terraform.
      const kept = Math.max(1, numbers - 1);
      return difference >= 0 && sameStart(version, bound, kept);
    }
    default:
      return difference === 0;
  }
}

const sameStart = (a: string, b: string, numbers: number) =>
  a.split(".").slice(0, numbers).join(".") === b.split(".").slice(0, numbers).join(".");
