/** Counts the content of a versioned bucket. */
import { ListObjectVersionsCommand, type S3Client } from "@aws-sdk/client-s3";
import { sizeOf, unlessGone } from "./aws.ts";

export interface BucketContent {
  /** Keys with a current version. */
  readonly objects: number;
  /** With earlier versions and delete markers. */
  readonly versions: number;
  readonly bytes: number;
  /** Whether the bucket contains more than was counted. */
  readonly more: boolean;
}

/** Ten pages of a list. A bucket can contain millions of objects, and these suffice to show what would be lost. */
const mostVersions = 10_000;

/**
 * Counts the objects of a bucket, or those with a prefix, except those with the given prefixes. A bucket that does not
 * exist is empty.
 */
export async function contentOf(
  bucket: string,
  except: readonly string[],
  s3: Pick<S3Client, "send">,
  Prefix?: string,
): Promise<BucketContent> {
  let [objects, versions, bytes] = [0, 0, 0];
  const counts = ({ Key = "" }) => !except.some((prefix) => Key.startsWith(prefix));
  let next: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
  for (;;) {
    const query = { Bucket: bucket, Prefix, ...next };
    const page = await unlessGone(() => s3.send(new ListObjectVersionsCommand(query)));
    const found = (page?.Versions ?? []).filter(counts);
    objects += found.filter(({ IsLatest }) => IsLatest).length;
    versions += found.length + (page?.DeleteMarkers ?? []).filter(counts).length;
    bytes += found.reduce((sum, { Size = 0 }) => sum + Size, 0);
    if (!page?.IsTruncated) return { objects, versions, bytes, more: false };
    if (versions >= mostVersions) return { objects, versions, bytes, more: true };
    next = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
}

export function describeContent({ objects, versions, bytes, more }: BucketContent): string {
  return `${more ? "more than " : ""}${objects} objects, ${versions} versions, ${sizeOf(bytes)}`;
}
