/** Backups of the homes of spaces, which `marimo-backup` writes (src/space/payload/python/sagemaker_marimo/backup). */
import {
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { SpaceDetails } from "@aws-sdk/client-sagemaker";
import { sizeOf, unlessGone } from "./aws.ts";

/** Spaces at a time. */
const workers = 16;
/** Pages of 1,000 files that are counted. */
const mostPages = 10;

/** The latest backup of each space's home in words, or undefined where there is none, in the order of the spaces. */
export async function backupsOf(
  spaces: readonly SpaceDetails[],
  bucket: string,
  s3: Pick<S3Client, "send">,
): Promise<readonly (string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for (let start = 0; start < spaces.length; start += workers) {
    const some = spaces.slice(start, start + workers);
    const lines = some.map((space) =>
      latestBackup(folderOf(space), bucket, s3).catch((error: Error) => {
        // An existing bucket may let others do less. A destroy does not depend on it.
        if (error.name === "AccessDenied") return `backups cannot be listed: ${error.message}`;
        throw error;
      }),
    );
    found.push(...(await Promise.all(lines)));
  }
  return found;
}

/** As start.sh and store.py choose it: a private space has its user's part of the bucket. */
function folderOf({
  OwnershipSettingsSummary,
  SpaceName,
  SpaceSharingSettingsSummary,
}: SpaceDetails): string {
  const owner = OwnershipSettingsSummary?.OwnerUserProfileName?.toLowerCase();
  const isPrivate = SpaceSharingSettingsSummary?.SharingType === "Private" && owner !== undefined;
  return `${isPrivate ? `people/${owner}` : "shared"}/backup/${SpaceName}/`;
}

/** Only lists: the role that applies in GitHub cannot read people's objects. */
async function latestBackup(
  folder: string,
  bucket: string,
  s3: Pick<S3Client, "send">,
): Promise<string | undefined> {
  const list = async (
    query: Omit<ListObjectsV2CommandInput, "Bucket">,
  ): Promise<Partial<ListObjectsV2CommandOutput>> =>
    (await unlessGone(() => s3.send(new ListObjectsV2Command({ Bucket: bucket, ...query })))) ?? {};
  // One folder for each home that a space of this name had: a page of 1,000 has them all.
  const { CommonPrefixes = [] } = await list({ Prefix: folder, Delimiter: "/" });
  // The latest home first. Without a manifest, its first backup was interrupted.
  for (const home of CommonPrefixes.flatMap(({ Prefix }) => Prefix ?? []).toReversed()) {
    const { Contents: [manifest] = [] } = await list({ Prefix: `${home}manifest.json` });
    if (manifest === undefined) continue;
    let [files, bytes, pages] = [0, 0, 0];
    let next: string | undefined;
    do {
      const page = await list({ Prefix: `${home}files/`, ContinuationToken: next });
      files += page.Contents?.length ?? 0;
      bytes += (page.Contents ?? []).reduce((sum, { Size = 0 }) => sum + Size, 0);
      next = page.NextContinuationToken;
    } while (next !== undefined && ++pages < mostPages);
    const time = manifest.LastModified?.toISOString().replace(/\.\d+Z$/, "Z");
    const more = next === undefined ? "" : "more than ";
    return `backup of ${time}: ${more}${files} files, ${sizeOf(bytes)}, s3://${bucket}/${home}`;
  }
  return undefined;
}

/** What keeps the homes of spaces. `isDeleted`: whether the destroy deletes the bucket. */
export const backupAdvice = (bucket: string, isDeleted: boolean): string =>
  [
    "To back up a space, run in its terminal: marimo-backup now",
    isDeleted
      ? `Backups are deleted with the bucket. To keep them: aws s3 sync s3://${bucket} FOLDER --exclude "*" --include "*/backup/*"`
      : `Backups stay in ${bucket}, which is not the stack's`,
    "To restore one in another environment: aws s3 sync FOLDER s3://ITS_BUCKET, then marimo-backup restore in a space of the same user",
  ].join("\n  ");
