import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { unlessGone } from "../removal/aws.ts";
import { formerPrefixes, type Owners, targetOf } from "./target.ts";

export interface Move {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

export interface Place {
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Amazon S3 API Reference, CopyObject: larger objects need a multipart upload. */
const mostBytes = 5 * 1024 ** 3;
/** Copies at a time. */
const workers = 16;

/** Everything that an older deployment left and that belongs elsewhere now. Changes nothing. */
export async function findMoves(
  { bucket, s3 }: Place,
  owners: Omit<Owners, "sweeps">,
): Promise<readonly Move[]> {
  const sizes = new Map<string, number>();
  const prefixes = owners.isExistingBucket
    ? Object.values(formerPrefixes).map((prefix) => `${prefix}/`)
    : [undefined];
  for (const Prefix of prefixes) {
    for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix })) {
      for (const { Key = "", Size = 0 } of Contents) sizes.set(Key, Size);
    }
  }
  const sweeps = new Map<string, string>();
  for (const key of sizes.keys()) {
    const [, name] = /^marimo\/jobs\/([^/]+)\/sweep\.json$/.exec(key) ?? [];
    if (name === undefined) continue;
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    sweeps.set(name, sweepPrefix((await Body?.transformToString()) ?? ""));
  }
  return [...sizes].flatMap(([from, bytes]) => {
    const to = targetOf(from, { ...owners, sweeps });
    return to === undefined ? [] : [{ from, to, bytes }];
  });
}

/** Empty if people wrote something else there: the sweep is then nobody's. */
function sweepPrefix(text: string): string {
  try {
    return String((JSON.parse(text) as { prefix?: unknown } | null)?.prefix ?? "");
  } catch {
    return "";
  }
}

/**
 * Copies all objects inside the bucket, compares each copy with its original, and then deletes the originals that have
 * one. A further call continues: an existing copy is not made again, and no different object is overwritten.
 * Returns why objects were not moved.
 */
export async function moveAll(
  place: Place,
  moves: readonly Move[],
  log: (line: string) => void,
): Promise<readonly string[]> {
  const problems: string[] = [];
  const copied: Move[] = [];
  await each(moves, "copied", log, async (move) => {
    const problem = await copy(place, move).catch((error: Error) => `${error.name}: ${error.message}`);
    if (problem === undefined) copied.push(move);
    else problems.push(`${move.from}: ${problem}`);
  });
  const { bucket, s3 } = place;
  // One by one: the audit trail reports each DeleteObjects, because CloudTrail records it without keys.
  await each(copied, "deleted at their former places", log, async ({ from }) => {
    await s3
      .send(new DeleteObjectCommand({ Bucket: bucket, Key: from }))
      .catch((error: Error) => problems.push(`${from}: ${error.name}: ${error.message}`));
  });
  return problems;
}

/** Returns why the object has no identical copy. */
async function copy({ bucket, s3 }: Place, { bytes, from, to }: Move): Promise<string | undefined> {
  const head = (Key: string) =>
    unlessGone(() => s3.send(new HeadObjectCommand({ Bucket: bucket, Key, ChecksumMode: "ENABLED" })));
  const original = await head(from);
  if (original === undefined) return "it was deleted meanwhile";
  if (bytes > mostBytes)
    return `it has more than 5 GB: aws s3 mv "s3://${bucket}/${from}" "s3://${bucket}/${to}"`;
  const there = await head(to);
  if (there !== undefined) {
    return isCopy(original, there) ? undefined : `${to} is there already, with another content`;
  }
  await s3.send(
    new CopyObjectCommand({
      Bucket: bucket,
      Key: to,
      CopySource: `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`,
      CopySourceIfMatch: original.ETag,
      // Without these, a copy gets the bucket's default encryption (Amazon S3 API Reference, CopyObject).
      ServerSideEncryption: original.ServerSideEncryption,
      SSEKMSKeyId: original.SSEKMSKeyId,
      BucketKeyEnabled: original.BucketKeyEnabled,
    }),
  );
  const made = await head(to);
  return made !== undefined && isCopy(original, made) ? undefined : `its copy ${to} differs`;
}

const checksums = [
  "ChecksumCRC64NVME",
  "ChecksumCRC32",
  "ChecksumCRC32C",
  "ChecksumSHA1",
  "ChecksumSHA256",
] as const;

/** With SSE-KMS, equal objects have different ETags (Amazon S3 API Reference, Object), so checksums are compared. */
function isCopy(original: HeadObjectCommandOutput, other: HeadObjectCommandOutput): boolean {
  const kind = checksums.find((one) => original[one] !== undefined && other[one] !== undefined);
  const isLater = Number(other.LastModified) >= Number(original.LastModified);
  return (
    original.ContentLength === other.ContentLength &&
    (kind === undefined ? isLater : original[kind] === other[kind])
  );
}

async function each<T>(
  items: readonly T[],
  what: string,
  log: (line: string) => void,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      await run(item);
      done += 1;
      if (done % 1000 === 0) log(`${done} of ${items.length} objects ${what}`);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  log(`${done} of ${items.length} objects ${what}`);
}
