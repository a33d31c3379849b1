/** What is in a versioned bucket. */
import { ListObjectVersionsCommand, type S3Client } from "@aws-sdk/client-s3";
import { sizeOf, unlessGone } from "./aws.ts";

export interface BucketContent {
  /** Keys with a current version. */
  readonly objects: number;
  /** With earlier versions and delete markers. */
  readonly versions: number;
  readonly bytes: number;
  /** Counting stopped before the bucket's end. */
  readonly more: boolean;
}

/** Ten pages: enough to say what would be lost, without walking through millions of objects. */
const mostVersions = 10_000;

/** Counts all but what is under the given prefixes. A bucket that does not exist is empty. */
export async function contentOf(
  bucket: string,
  except: readonly string[],
  s3: Pick<S3Client, "send">,
): Promise<BucketContent> {
  let [objects, versions, bytes] = [0, 0, 0];
  const counts = ({ Key = "" }) => !except.some((prefix) => Key.startsWith(prefix));
  let next: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
  for (;;) {
    const page = await unlessGone(() => s3.send(new ListObjectVersionsCommand({ Bucket: bucket, ...next })));
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
