import { type Difference, differencesOf } from "./differences.ts";
import { type Concern, concerns, kindOf, nameOf, payloadKey } from "./kinds.ts";
import { code, count, some } from "./markdown.ts";
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

/** The changes of one concern: a line of Markdown each, with what lies under it. */
export interface ChangesOfConcern {
  readonly concern: Concern;
  readonly lines: readonly string[];
}

/** More attributes of one resource are counted, not shown. */
const mostDifferences = 12;
/** More of one kind with the same change are counted too. */
const mostOfAKind = 20;

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

/** A new tag of the environment is on everything: one line for all that have it. */
function tagLines(tagged: readonly ResourceChange[]): readonly string[] {
  const groups = new Map<string, ResourceChange[]>();
  for (const one of tagged) {
    const told = differencesOf(one).map((difference) =>
      tellDifference({ ...difference, path: difference.path.replace("tags_all.", "tags.") }),
    );
    const key = [...new Set(told)].join("; ");
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups].map(([told, group]) => {
    const names = group.map((one) => code(one.address));
    return `- change only tags of ${some(names)}: ${told}`;
  });
}

function linesOf(changes: readonly ResourceChange[]): readonly string[] {
  const groups = new Map<string, ResourceChange[]>();
  for (const one of changes) {
    const key = `${verbOf(one)} ${kindOf(one).noun}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].flatMap((group) => [
    ...group.slice(0, mostOfAKind).map(lineOf),
    ...(group.length > mostOfAKind && group[0]
      ? [`- ${verbOf(group[0])} ${group.length - mostOfAKind} more of these (${kindOf(group[0]).noun})`]
      : []),
  ]);
}

function verbOf(one: ResourceChange): string {
  const { actions, importing } = one.change;
  if (importing) return "import";
  if (isReplaced(one)) return "replace";
  if (isCreated(one)) return "add";
  if (isDestroyed(one)) return "remove";
  if (isUpdated(one)) return "change";
  return actions.includes("forget") ? "forget (Terraform leaves it as it is)" : "rename in Terraform";
}

function lineOf(one: ResourceChange): string {
  const { noun } = kindOf(one);
  const name = nameOf(one);
  const address = name === one.address ? "" : ` (${code(one.address)})`;
  const from = one.previous_address === undefined ? "" : `, before ${code(one.previous_address)}`;
  const differences = isUpdated(one) || isReplaced(one) ? differencesOf(one).filter(isTold(one)) : [];
  const rest = differences.length - mostDifferences;
  return [
    `- ${verbOf(one)} ${noun} ${code(name)}${address}${from}`,
    ...differences.slice(0, mostDifferences).map((difference) => `  - ${tellDifference(difference)}`),
    ...(rest > 0 ? [`  - and ${count(rest, "attribute")} more`] : []),
  ].join("\n");
}

/** Of a replacement only what was set: everything that AWS computes is new anyway. */
const isTold = (one: ResourceChange) => (difference: Difference) =>
  isUpdated(one) || difference.after !== "(known after apply)" || isForcing(one, difference.path);

const isForcing = ({ change }: ResourceChange, path: string) =>
  (change.replace_paths ?? []).some((parts) => path.split(/[.[]/)[0] === parts[0]);

function tellDifference({ path, before, after }: Difference): string {
  const what = labels[path.replace(/^user_settings\./, "")];
  const name = what === undefined ? code(path) : `${what} (${code(path)})`;
  // One long line of JSON, of which the risks say what it allows, or of base64.
  if (/(^|_)policy$/.test(path) && before.startsWith("{")) return `${name}: the document changes`;
  if (path === "studio_lifecycle_config_content") return `${name}: the script changes`;
  return `${name}: ${code(before)} → ${code(after)}`;
}

/** What people call the settings that change most. */
const labels: Readonly<Record<string, string>> = {
  "jupyter_lab_app_settings.default_resource_spec.instance_type": "instance type of new spaces",
  "jupyter_lab_app_settings.built_in_lifecycle_config_arn": "script at each start",
  "jupyter_lab_app_settings.app_lifecycle_management.idle_settings.idle_timeout_in_minutes":
    "idle minutes until a space stops",
  "jupyter_lab_app_settings.app_lifecycle_management.idle_settings.max_idle_timeout_in_minutes":
    "most idle minutes that a person may choose",
  "space_storage_settings.default_ebs_storage_settings.default_ebs_volume_size_in_gb": "GB of a new space",
  "space_storage_settings.default_ebs_storage_settings.maximum_ebs_volume_size_in_gb": "most GB of a space",
  execution_role: "role of the spaces",
  security_groups: "security groups of the spaces",
  cidr_block: "address range",
  retention_in_days: "days that logs are kept",
  deletion_window_in_days: "days to cancel a deletion",
};

/** The many objects of a payload are one thing to a person: the version that spaces fetch. */
function payloadLines(objects: readonly ResourceChange[]): readonly string[] {
  if (objects.length === 0) return [];
  const version = (values: Readonly<Record<string, unknown>>) => payloadKey.exec(text(values.key) ?? "")?.[1];
  const versions = (side: "before" | "after") => [
    ...new Set(objects.flatMap((one) => version(side === "before" ? before(one) : after(one)) ?? [])),
  ];
  const [old, now] = [versions("before"), versions("after")];
  const pointer = objects.some((one) => text({ ...before(one), ...after(one) }.key)?.endsWith("/current"));
  const to = now.length > 0 ? ` to version ${some(now.map(code))}` : "";
  const from =
    old.length > 0 && !(old.length === now.length && old[0] === now[0])
      ? ` from version ${some(old.map(code))}`
      : "";
  const when =
    pointer && now.length > 0 ? "; spaces fetch it when they next start, and none is interrupted" : "";
  const files = count(objects.filter(isCreated).length, "object");
  return [
    now.length === 0 && objects.every(isDestroyed)
      ? `- remove the payload: spaces that start afterwards find no marimo (${count(objects.length, "object")})`
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
        `- outputs: ${some(
          changed.map(([name]) => code(name)),
          12,
        )}`,
      ];
}
