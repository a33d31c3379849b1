/** The used part of a message of `terraform … -json` (Terraform, "Machine-Readable UI"). */
export interface Message {
  readonly "@level": string;
  readonly "@message": string;
  readonly "@timestamp": string;
  readonly type: string;
  readonly hook?: {
    readonly action: string;
    readonly resource: { readonly addr: string; readonly resource_type: string };
    readonly id_value?: string;
  };
}

/** A resource of the configuration with the time of all its instances. */
export interface Link {
  readonly resource: string;
  readonly seconds: number;
}

/** Parses a line of Terraform's output. Undefined for output of a provider or proxy between the messages. */
export function messageIn(line: string): Message | undefined {
  return line.startsWith('{"@level"') ? (JSON.parse(line) as Message) : undefined;
}

/** Seconds from the start of a resource's first instance to the end of its last one, without data sources. */
export function resourceTimes(messages: readonly Message[]): ReadonlyMap<string, number> {
  const began = new Map<string, number>();
  const times = new Map<string, number>();
  for (const { type, hook, "@timestamp": timestamp } of messages) {
    if (hook === undefined || hook.action === "read") continue;
    const resource = hook.resource.addr.replace(/\[.*\]$/s, "");
    const at = Date.parse(timestamp) / 1000;
    if (type === "apply_start" && !began.has(resource)) began.set(resource, at);
    if (type === "apply_complete") times.set(resource, at - (began.get(resource) ?? Number.NaN));
  }
  return times;
}

/**
 * The dependencies in the output of `terraform graph`: `"a" -> "b"`. Detailed graphs, the only kind in OpenTofu, have
 * `"[root] a (expand)" -> "[root] b"`.
 */
export function dependenciesIn(dot: string): ReadonlyMap<string, readonly string[]> {
  const name = String.raw`"(?:\[root\] )?((?:[^"\\]|\\.)+?)(?: \(expand\))?"`;
  const dependencies = new Map<string, string[]>();
  for (const [, from = "", to = ""] of dot.matchAll(new RegExp(`${name} -> ${name}`, "g")))
    dependencies.set(from, [...(dependencies.get(from) ?? []), to]);
  return dependencies;
}

/**
 * The longest chain of resources in which each one depends on the one before. It determines the duration of the run. A
 * destroy runs it in reverse.
 */
export function criticalPath(
  dependencies: ReadonlyMap<string, readonly string[]>,
  times: ReadonlyMap<string, number>,
): readonly Link[] {
  const found = new Map<string, readonly Link[] | "open">();
  const until = (resource: string): readonly Link[] => {
    const known = found.get(resource);
    if (known === "open") throw new Error(`${resource} depends on itself`);
    if (known !== undefined) return known;
    found.set(resource, "open");
    const before = longest((dependencies.get(resource) ?? []).map(until));
    const seconds = times.get(resource);
    const path = seconds === undefined ? before : [...before, { resource, seconds }];
    found.set(resource, path);
    return path;
  };
  return longest([...times.keys()].map(until));
}

export const secondsOf = (path: readonly Link[]): number =>
  path.reduce((sum, { seconds }) => sum + seconds, 0);

function longest(paths: readonly (readonly Link[])[]): readonly Link[] {
  return paths.reduce((most, path) => (secondsOf(path) > secondsOf(most) ? path : most), []);
}
