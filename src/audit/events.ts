import { gunzipSync } from "node:zlib";
import { type CloudTrailClient, paginateLookupEvents } from "@aws-sdk/client-cloudtrail";
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { unlessGone } from "../removal/aws.ts";
import { type AuditRecord, recordOf } from "./record.ts";

export interface AuditQuery {
  readonly roleNames: readonly string[];
  readonly from: Date;
  readonly to: Date;
}

/**
 * The session name of every app, training job and processing job, which is their `Username` in CloudTrail's event history.
 * LookupEvents takes one attribute, and a role is none of them.
 */
const sessionName = "SageMaker";

/**
 * Management events of these roles, from the event history: 90 days, in this Region, no data events, and two requests a second
 * (AWS CloudTrail API Reference, LookupEvents).
 */
export async function managementEvents(
  { from, roleNames, to }: AuditQuery,
  cloudtrail: CloudTrailClient,
): Promise<readonly AuditRecord[]> {
  const found: AuditRecord[] = [];
  const pages = paginateLookupEvents(
    { client: cloudtrail, pageSize: 50 },
    {
      LookupAttributes: [{ AttributeKey: "Username", AttributeValue: sessionName }],
      StartTime: from,
      EndTime: to,
    },
  );
  for await (const { Events = [] } of pages) {
    for (const { CloudTrailEvent } of Events) {
      const record = recordOf(parse(CloudTrailEvent), roleNames);
      if (record !== undefined) found.push(record);
    }
  }
  return found;
}

/** Writes by these roles, from a trail's log files. Undefined if there is no such bucket. */
export async function dataEvents(
  { from, roleNames, to }: AuditQuery,
  trail: { readonly bucket: string; readonly account: string; readonly region: string },
  s3: S3Client,
): Promise<readonly AuditRecord[] | undefined> {
  const { account, bucket: Bucket, region } = trail;
  const found: AuditRecord[] = [];
  const end = new Date(to.getTime() + latestDelivery);
  for (const day of daysOf(from, end)) {
    // AWS CloudTrail User Guide, "Finding your CloudTrail log files".
    const Prefix = `AWSLogs/${account}/CloudTrail/${region}/${day}/`;
    const keys = await unlessGone(() => keysOf(s3, Bucket, Prefix));
    if (keys === undefined) return undefined;
    for (const Key of keys) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      const content = gunzipSync((await Body?.transformToByteArray()) ?? new Uint8Array());
      for (const recorded of recordsIn(parse(content.toString("utf8")))) {
        const record = recordOf(recorded, roleNames);
        if (record !== undefined && isBetween(record.time, from, to)) found.push(record);
      }
    }
  }
  return found;
}

/** Log files are named by their delivery, which may be on the next day. Five minutes are usual. */
const latestDelivery = 3_600_000;

async function keysOf(client: S3Client, Bucket: string, Prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
    for (const { Key = "" } of Contents) if (Key.endsWith(".json.gz")) keys.push(Key);
  }
  return keys;
}

/** As `2026/11/26`, from the first day to the last, both in UTC. */
export function daysOf(from: Date, to: Date): readonly string[] {
  const days: string[] = [];
  const midnight = Date.UTC(from.getUTCFullYear(), from.getUTCMonth(), from.getUTCDate());
  for (let time = midnight; time <= to.getTime(); time += 86_400_000) {
    days.push(new Date(time).toISOString().slice(0, 10).replaceAll("-", "/"));
  }
  return days;
}

const isBetween = (time: string, from: Date, to: Date) =>
  Date.parse(time) >= from.getTime() && Date.parse(time) <= to.getTime();

function recordsIn(file: unknown): readonly unknown[] {
  const records = typeof file === "object" && file !== null && "Records" in file ? file.Records : [];
  return Array.isArray(records) ? records : [];
}

const parse = (text = "null"): unknown => JSON.parse(text);
