import { type Difference, differencesOf } from "./differences.ts";
import { type Concern, concerns, kindOf, nameOf, payloadKey } from "./kinds.ts";
import { code, count, joinFirst, longest } from "./markdown.ts";
import {
  after,
  before,
  changesOf,
  isCreated,
  isDestroyed,
  isReplaced,
  isUpdated,
  type Plan,
  type ResourceChange,
  text,
} from "./plan.ts";

/** The changes of one concern: one Markdown list item for each, with its attributes below it. */
export interface ChangesOfConcern {
  readonly concern: Concern;
  readonly lines: readonly string[];
}

/** Most attributes listed for one resource. The rest are counted. */
const mostDifferences = 12;
/** Most resources listed for one kind and verb. The rest are counted. */
export const mostOfAKind = 20;

export function changesByConcern(plan: Plan): readonly ChangesOfConcern[] {
  const changes = changesOf(plan);
  const payload = changes.filter(isPayload);
  const tagged = changes.filter((one) => !isPayload(one) && isOnlyTagged(one));
  const rest = changes.filter((one) => !isPayload(one) && !tagged.includes(one));
  return concerns
    .map((concern) => ({
      concern,
      lines: [
        ...(concern === "Space runtime" ? payloadLines(payload) : []),
        ...linesOf(rest.filter((one) => kindOf(one).concern === concern)),
        ...(concern === "Other" ? [...tagLines(tagged), ...outputLines(plan)] : []),
      ],
    }))
    .filter(({ lines }) => lines.length > 0);
}

const isPayload = (one: ResourceChange) => kindOf(one).noun === "payload";

const isTag = ({ path }: Difference) => /^tags(_all)?\./.test(path);

function isOnlyTagged(one: ResourceChange): boolean {
  const differences = isUpdated(one) ? differencesOf(one) : [];
  return differences.length > 0 && differences.every(isTag);
}

/** A new tag of an environment changes every resource, so all of them share one line. */
function tagLines(tagged: readonly ResourceChange[]): readonly string[] {
  const describe = (one: ResourceChange) =>
    differencesOf(one)
      .map((difference) =>
        describeDifference({ ...difference, path: difference.path.replace("tags_all.", "tags.") }),
      )
      .join("; ");
  return groupBy(tagged, describe).map((group) => {
    const names = group.map((one) => code(one.address));
    return `- change only the tags of ${joinFirst(names)}: ${group[0] && describe(group[0])}`;
  });
}

function linesOf(changes: readonly ResourceChange[]): readonly string[] {
  const byKind = groupBy(changes, (one) => `${verbOf(one)} ${kindOf(one).noun}`);
  return byKind.flatMap((ofKind) => {
    // An update of many people's resources is the same for each.
    const equal = groupBy(ofKind, (one) =>
      isUpdated(one) && one.previous_address === undefined ? detailsOf(one) : one.address,
    );
    const rest = equal.slice(mostOfAKind).flat();
    return [
      ...equal.slice(0, mostOfAKind).map((group) => lineOf(group)),
      ...(rest[0] === undefined
        ? []
        : [`- ${verbOf(rest[0])} ${rest.length} more (${kindOf(rest[0]).noun})`]),
    ];
  });
}

export function groupBy<T>(values: readonly T[], key: (value: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const one of values) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return [...groups.values()];
}

function verbOf(one: ResourceChange): string {
  const { actions, importing } = one.change;
  if (importing) return "import";
  if (isReplaced(one)) return "replace";
  if (isCreated(one)) return "add";
  if (isDestroyed(one)) return "remove";
  if (isUpdated(one)) return "change";
  return actions.includes("forget")
    ? "forget (Terraform removes it from the state only)"
    : "rename in Terraform";
}

/** One line for changes that are equal. */
function lineOf(equal: readonly ResourceChange[]): string {
  const [one] = equal;
  if (one === undefined) return "";
  const { noun } = kindOf(one);
  const name = nameOf(one);
  const address = name === one.address ? "" : ` (${code(one.address)})`;
  const from = one.previous_address === undefined ? "" : `, previously ${code(one.previous_address)}`;
  const what =
    equal.length === 1
      ? `${noun} ${code(name)}${address}${from}`
      : `${count(equal.length, noun)}: ${joinFirst(
          equal.map((each) => code(nameOf(each))),
          mostOfAKind,
        )}`;
  return `- ${verbOf(one)} ${what}${detailsOf(one)}`;
}

function detailsOf(one: ResourceChange): string {
  const differences = isUpdated(one) || isReplaced(one) ? differencesOf(one).filter(isShown(one)) : [];
  const rest = differences.length - mostDifferences;
  return [
    "",
    ...differences.slice(0, mostDifferences).map((difference) => `  - ${describeDifference(difference)}`),
    ...(rest > 0 ? [`  - and ${count(rest, "more attribute")}`] : []),
  ].join("\n");
}

/** A replacement shows only configured attributes, because everything that AWS computes is new. */
const isShown = (one: ResourceChange) => (difference: Difference) =>
  isUpdated(one) || difference.after !== "(known after apply)" || isForcing(one, difference.path);

const isForcing = ({ change }: ResourceChange, path: string) =>
  (change.replace_paths ?? []).some((parts) => path.split(/[.[]/)[0] === parts[0]);

export function describeDifference({ path, before, after, items }: Difference): string {
  const what = labels[path.replace(/^user_settings\./, "")];
  const name = what === undefined ? code(path) : `${what} (${code(path)})`;
  // Policies (JSON) and scripts (base64) are one long line. The risks say what a policy allows.
  if (/(^|[_.])policy$/.test(path) && before.startsWith("{")) return `${name}: the document changes`;
  if (path === "studio_lifecycle_config_content") return `${name}: the script changes`;
  if (items !== undefined) {
    const listed = (verb: string, values: readonly string[]) =>
      values.length === 0 ? [] : [`${verb} ${joinFirst(values.map(code), mostDifferences)}`];
    return `${name}: ${[...listed("adds", items.added), ...listed("removes", items.removed)].join("; ")}`;
  }
  const cut = cutAt(before, after);
  return `${name}: ${code(cut(before))} → ${code(cut(after))}`;
}

/** Two long values that begin alike are shown from shortly before their first difference. */
function cutAt(before: string, after: string): (value: string) => string {
  if (Math.max(before.length, after.length) <= longest) return (value) => value;
  let same = 0;
  while (same < before.length && before[same] === after[same]) same++;
  const start = same - 20;
  return (value) => (start > 0 ? `…${value.slice(start)}` : value);
}

/** Labels for the settings that change most often. */
const labels: Readonly<Record<string, string>> = {
  "jupyter_lab_app_settings.default_resource_spec.instance_type": "instance type of new spaces",
  "jupyter_lab_app_settings.built_in_lifecycle_config_arn": "built-in lifecycle configuration",
  "jupyter_lab_app_settings.app_lifecycle_management.idle_settings.idle_timeout_in_minutes":
    "idle timeout in minutes",
  "jupyter_lab_app_settings.app_lifecycle_management.idle_settings.max_idle_timeout_in_minutes":
    "longest idle timeout in minutes that a user can set",
  "code_editor_app_settings.built_in_lifecycle_config_arn": "built-in lifecycle configuration of Code Editor",
  "code_editor_app_settings.app_lifecycle_management.idle_settings.idle_timeout_in_minutes":
    "idle timeout of Code Editor in minutes",
  "code_editor_app_settings.app_lifecycle_management.idle_settings.max_idle_timeout_in_minutes":
    "longest idle timeout of Code Editor in minutes that a user can set",
  "space_storage_settings.default_ebs_storage_settings.default_ebs_volume_size_in_gb":
    "volume size of new spaces in GB",
  "space_storage_settings.default_ebs_storage_settings.maximum_ebs_volume_size_in_gb":
    "largest volume size of a space in GB",
  execution_role: "execution role of spaces",
  security_groups: "security groups of spaces",
  cidr_block: "address range",
  retention_in_days: "log retention in days",
  deletion_window_in_days: "waiting period of a deletion in days",
};

/** The objects of a payload share one line, which names the version that spaces fetch. */
function payloadLines(objects: readonly ResourceChange[]): readonly string[] {
  if (objects.length === 0) return [];
  const version = (values: Readonly<Record<string, unknown>>) => payloadKey.exec(text(values.key) ?? "")?.[1];
  const versions = (side: "before" | "after") => [
    ...new Set(objects.flatMap((one) => version(side === "before" ? before(one) : after(one)) ?? [])),
  ];
  const [old, now] = [versions("before"), versions("after")];
  const pointer = objects.some((one) => text({ ...before(one), ...after(one) }.key)?.endsWith("/current"));
  const to = now.length > 0 ? ` to version ${joinFirst(now.map(code))}` : "";
  const from =
    old.length > 0 && !(old.length === now.length && old[0] === now[0])
      ? ` from version ${joinFirst(old.map(code))}`
      : "";
  const when =
    pointer && now.length > 0
      ? "; spaces fetch it when they next start, and running spaces are not interrupted"
      : "";
  const files = count(objects.filter(isCreated).length, "object");
  return [
    now.length === 0 && objects.every(isDestroyed)
      ? `- remove the payload: spaces that start after the apply have no marimo (${count(objects.length, "object")})`
      : `- ${old.length === 0 ? "add" : "change"} the payload${from}${to} (${files} uploaded)${when}`,
  ];
}

function outputLines(plan: Plan): readonly string[] {
  const changed = Object.entries(plan.output_changes ?? {}).filter(
    ([, { actions }]) => !actions.every((action) => action === "no-op"),
  );
  return changed.length === 0
    ? []
    : [
        `- outputs: ${joinFirst(
          changed.map(([name]) => code(name)),
          12,
        )}`,
      ];
}
