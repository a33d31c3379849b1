import { hasMark, type ResourceChange } from "./plan.ts";

/** One attribute that an update changes. Sensitive values are masked. */
export interface Difference {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  /** What a list has more and less, if all of it is known and not sensitive. */
  readonly items?: { readonly added: readonly string[]; readonly removed: readonly string[] };
}

const sensitive = "(sensitive)";
const unknown = "(known after apply)";

/** The changed attributes of a resource. Sensitive and unknown values are replaced with a placeholder. */
export function differencesOf({ change }: ResourceChange): readonly Difference[] {
  const found: Difference[] = [];
  const visit = (path: string, sides: Sides) => {
    const hidden = sides.beforeSensitive === true || sides.afterSensitive === true;
    const later = sides.unknown === true;
    if (!hasMark(sides.unknown) && isSame(sides)) return;
    const keys = hidden || later ? undefined : keysOf(sides);
    if (keys === undefined) {
      // A list is shown as one value, so one sensitive item hides the whole list.
      const [hideBefore, hideAfter] = [sides.beforeSensitive, sides.afterSensitive].map(hasMark);
      const secret = hidden || hideBefore || hideAfter;
      found.push({
        path,
        before: secret ? sensitive : shown(sides.before),
        after: secret ? sensitive : hasMark(sides.unknown) ? unknown : shown(sides.after),
        ...(secret || hasMark(sides.unknown) ? {} : itemsOf(sides)),
      });
      return;
    }
    for (const key of keys) {
      // Terraform's JSON writes a block that can occur once as a list of one item. Its index is left out.
      const part = /^\d+$/.test(key) ? (keys.length === 1 ? "" : `[${key}]`) : path === "" ? key : `.${key}`;
      visit(`${path}${part}`, partOf(sides, key));
    }
  };
  visit("", {
    before: change.before,
    after: change.after ?? null,
    unknown: change.after_unknown,
    beforeSensitive: change.before_sensitive,
    afterSensitive: change.after_sensitive,
  });
  return withoutRepeatedTags(found);
}

/**
 * `tags_all` repeats `tags`, and also has the provider's default tags. What it says holds: a tag that becomes a default
 * tag with another value is gone from `tags` only.
 */
function withoutRepeatedTags(found: readonly Difference[]): readonly Difference[] {
  const all = new Map(found.map((one) => [one.path, one]));
  return found.flatMap((one) => {
    if (one.path.startsWith("tags_all.")) return all.has(one.path.replace("_all", "")) ? [] : [one];
    const effective = all.get(one.path.replace(/^tags\./, "tags_all."));
    return [effective === undefined || effective.after === unknown ? one : { ...effective, path: one.path }];
  });
}

interface Sides {
  readonly before: unknown;
  readonly after: unknown;
  readonly unknown: unknown;
  readonly beforeSensitive: unknown;
  readonly afterSensitive: unknown;
}

function partOf(sides: Sides, key: string): Sides {
  const at = (value: unknown) =>
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return {
    before: at(sides.before),
    after: at(sides.after),
    unknown: at(sides.unknown),
    // Everything inside a sensitive value is sensitive.
    beforeSensitive: sides.beforeSensitive === true || at(sides.beforeSensitive),
    afterSensitive: sides.afterSensitive === true || at(sides.afterSensitive),
  };
}

/** The keys of both sides, or undefined if a side is a plain value, or a list of plain values or of another length. */
function keysOf({ before, after, unknown: marks }: Sides): readonly string[] | undefined {
  const sides = [before, after].filter((side) => side !== null && side !== undefined);
  if (sides.length === 0 && !isContainer(marks)) return undefined;
  if (!sides.every(isContainer)) return undefined;
  if (sides.some((side) => Array.isArray(side) && side.some((item) => !isContainer(item)))) return undefined;
  // Items of another list are not those at the same place: most such lists are sets, in the order of their hashes.
  const lengths = sides.flatMap((side) => (Array.isArray(side) ? side.length : []));
  if (lengths.length === 2 && lengths[0] !== lengths[1] && Math.max(...lengths) > 1) return undefined;
  const keys = [...new Set([...sides, ...(isContainer(marks) ? [marks] : [])].flatMap(Object.keys))];
  return keys.length === 0 ? undefined : keys;
}

/**
 * Resources on Terraform's older plugin SDK, such as most of the AWS provider's, cannot distinguish "not set" from an
 * empty value (Terraform plugin framework documentation, "Null Values"). A change from one to the other is ignored.
 */
function isSame({ before, after }: Sides): boolean {
  if (JSON.stringify(before) === JSON.stringify(after)) return true;
  return (isNothing(before) && isEmpty(after)) || (isEmpty(before) && isNothing(after));
}

const isNothing = (value: unknown) => value === null || value === undefined;
const isEmpty = (value: unknown) =>
  isNothing(value) ||
  value === "" ||
  value === false ||
  value === 0 ||
  (isContainer(value) && Object.keys(value).length === 0);

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null;

function itemsOf({ before, after }: Sides): Pick<Difference, "items"> {
  if (!Array.isArray(before) || !Array.isArray(after)) return {};
  const items = (side: readonly unknown[]) => side.map((item) => shown(withoutEmpty(item)));
  const [old, now] = [items(before), items(after)];
  const added = now.filter((one) => !old.includes(one));
  const removed = old.filter((one) => !now.includes(one));
  // Neither: only the order changes.
  return added.length + removed.length === 0 ? {} : { items: { added, removed } };
}

const withoutEmpty = (item: unknown) =>
  isContainer(item) && !Array.isArray(item)
    ? Object.fromEntries(Object.entries(item).filter(([, value]) => !isEmpty(value)))
    : item;

function shown(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
