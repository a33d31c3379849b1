/** One request, as CloudTrail recorded it. */
export interface AuditRecord {
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Name of the role that made it. */
  readonly role: string;
  /** Such as `sagemaker`. */
  readonly service: string;
  /** Such as `CreateProcessingJob`. */
  readonly action: string;
  /** What it was done to: an object's key, a name or an ARN. Empty if the record names nothing. */
  readonly resource: string;
  /** The error code, or `ok`. */
  readonly result: string;
  readonly sourceAddress: string;
  /** CloudTrail's ID of the event. */
  readonly eventId: string;
}

/** The used part of a record (AWS CloudTrail User Guide, "CloudTrail record contents"). */
interface Recorded {
  readonly eventID?: string;
  readonly eventTime?: string;
  readonly eventSource?: string;
  readonly eventName?: string;
  readonly errorCode?: string;
  readonly sourceIPAddress?: string;
  readonly userIdentity?: {
    readonly sessionContext?: { readonly sessionIssuer?: { readonly arn?: string } };
  };
  readonly requestParameters?: Readonly<Record<string, unknown>> | null;
  readonly resources?: readonly { readonly ARN?: string }[];
}

/** Reads a record if a session of one of these roles made the request. Undefined for any other, and for what is not a record. */
export function recordOf(recorded: unknown, roleNames: readonly string[]): AuditRecord | undefined {
  if (typeof recorded !== "object" || recorded === null) return undefined;
  const { errorCode, eventID, eventName, eventSource, eventTime, sourceIPAddress, userIdentity, ...rest } =
    recorded as Recorded;
  // The ARN of a role ends with its name, after its path.
  const role = userIdentity?.sessionContext?.sessionIssuer?.arn?.split("/").at(-1) ?? "";
  if (!roleNames.includes(role)) return undefined;
  return {
    time: eventTime ?? "",
    role,
    service: (eventSource ?? "").replace(/\.amazonaws\.com$/, ""),
    action: eventName ?? "",
    resource: resourceOf(rest),
    result: errorCode ?? "ok",
    sourceAddress: sourceIPAddress ?? "",
    eventId: eventID ?? "",
  };
}

function resourceOf({ requestParameters, resources }: Recorded): string {
  const given = requestParameters ?? {};
  const { bucketName, key } = given;
  if (typeof bucketName === "string") return typeof key === "string" ? `${bucketName}/${key}` : bucketName;
  // Requests name what they are about in members such as processingJobName, spaceName or roleArn.
  const names = Object.entries(given).filter(
    ([name, value]) => /(^name|Name|Arn|Id)$/.test(name) && typeof value === "string",
  );
  const [name] = names.find(([name]) => /(^name|Name)$/.test(name)) ?? names[0] ?? [];
  return name === undefined ? (resources?.[0]?.ARN ?? "") : String(given[name]);
}

/** Oldest first. A request that two trails recorded is listed once. */
export function inOrder(records: readonly AuditRecord[]): readonly AuditRecord[] {
  const byId = new Map(records.map((record) => [record.eventId || JSON.stringify(record), record]));
  return [...byId.values()].toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

const columns = ["time", "role", "service", "action", "resource", "result", "sourceAddress"] as const;
const titles = ["Time (UTC)", "Role", "Service", "Action", "Resource", "Result", "From"];

/** A table for a terminal. */
export function auditTable(records: readonly AuditRecord[]): string {
  const rows = [titles, ...records.map((record) => columns.map((column) => printable(record[column])))];
  const widths = titles.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A key of an object can have control characters, which must not reach a terminal. */
const printable = (text: string) => text.replace(/\p{Cc}/gu, (letter) => JSON.stringify(letter).slice(1, -1));
