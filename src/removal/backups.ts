/** Backups of the homes of spaces, which `marimo-backup` writes (src/space/payload/python/sagemaker_marimo/backup). */
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import type { SpaceDetails } from "@aws-sdk/client-sagemaker";
import { sizeOf, unlessGone } from "./aws.ts";

/** Calls at a time. */
const workers = 16;

/** The latest backup of each space's home in words, or undefined where there is none, in the order of the spaces. */
export async function backupsOf(
  spaces: readonly SpaceDetails[],
  bucket: string,
  s3: Pick<S3Client, "send">,
): Promise<readonly (string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for (let start = 0; start < spaces.length; start += workers) {
    const some = spaces.slice(start, start + workers);
    found.push(...(await Promise.all(some.map((space) => latestBackup(folderOf(space), bucket, s3)))));
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

async function latestBackup(
  folder: string,
  bucket: string,
  s3: Pick<S3Client, "send">,
): Promise<string | undefined> {
  // One folder for each home that a space of this name had: a page of 1,000 has them all.
  const query = { Bucket: bucket, Prefix: folder, Delimiter: "/" };
  const page = await unlessGone(() => s3.send(new ListObjectsV2Command(query)));
  const homes = (page?.CommonPrefixes ?? []).flatMap(({ Prefix }) => Prefix ?? []);
  const manifests = await Promise.all(
    homes.map(async (home) => {
      const manifest = { Bucket: bucket, Key: `${home}manifest.json` };
      const head = await unlessGone(() => s3.send(new HeadObjectCommand(manifest)));
      return head === undefined ? [] : [{ home, head }];
    }),
  );
  const [last] = manifests
    .flat()
    .toSorted((one, other) => Number(other.head.LastModified) - Number(one.head.LastModified));
  if (last === undefined) return undefined;
  const { bytes, files, skipped = "0" } = last.head.Metadata ?? {};
  const time = last.head.LastModified?.toISOString().replace(/\.\d+Z$/, "Z");
  const without = skipped === "0" ? "" : `, ${skipped} skipped`;
  return `backup of ${time}: ${files} files, ${sizeOf(Number(bytes))}${without}, s3://${bucket}/${last.home}`;
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
