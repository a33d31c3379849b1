import { DeleteLogGroupCommand, paginateDescribeLogGroups } from "@aws-sdk/client-cloudwatch-logs";
import {
  DeleteAliasCommand,
  DescribeKeyCommand,
  ListResourceTagsCommand,
  paginateListAliases,
  paginateListKeys,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import {
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type Tools, unlessGone } from "../removal/aws.ts";
import { contentOf, describeContent } from "../removal/buckets.ts";
import { awsNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

export async function findBuckets(
  { bucket }: EnvironmentNames,
  { clients: { s3 } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
  const found: Leftover[] = [];
  for (const { Name = "" } of Buckets) {
    if (![bucket, `${bucket}-logs`, `${bucket}-trail`].includes(Name)) continue;
    const note = describeContent(await contentOf(Name, [], s3));
    const type = "aws_s3_bucket";
    found.push({ kind: "bucket", id: Name, type, note, remove: () => deleteBucket(Name, s3) });
  }
  return found;
}

async function deleteBucket(Bucket: string, s3: S3Client): Promise<void> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (Objects.length === 0) break;
    const { Errors = [] } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    if (Errors[0]) throw new Error(`S3 could not delete ${Errors[0].Key} in ${Bucket}: ${Errors[0].Message}`);
  }
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

export async function findLogGroups(
  { prefix }: EnvironmentNames,
  { clients: { logs } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  const name = awsNames(prefix).flowLogGroup;
  for await (const page of paginateDescribeLogGroups({ client: logs }, { logGroupNamePrefix: name })) {
    for (const { logGroupName } of page.logGroups ?? []) {
      if (logGroupName !== name) continue;
      found.push({
        kind: "log group",
        id: name,
        type: "aws_cloudwatch_log_group",
        remove: () => logs.send(new DeleteLogGroupCommand({ logGroupName })),
      });
    }
  }
  return found;
}

export async function findAliases(
  { prefix }: EnvironmentNames,
  { clients: { kms } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  for await (const { Aliases = [] } of paginateListAliases({ client: kms }, {})) {
    for (const { AliasName = "" } of Aliases) {
      if (AliasName !== awsNames(prefix).keyAlias) continue;
      found.push({
        kind: "key alias",
        id: AliasName,
        remove: () => kms.send(new DeleteAliasCommand({ AliasName })),
      });
    }
  }
  return found;
}

export async function findKeys(names: EnvironmentNames, { clients: { kms } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  for await (const { Keys = [] } of paginateListKeys({ client: kms }, {})) {
    for (const { KeyId = "" } of Keys) {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      if (KeyMetadata?.KeyManager !== "CUSTOMER" || KeyMetadata.KeyState === "PendingDeletion") continue;
      const answer = await unlessGone(() => kms.send(new ListResourceTagsCommand({ KeyId })));
      const tags = answer?.Tags?.map(({ TagKey, TagValue }) => ({ Key: TagKey, Value: TagValue }));
      if (!isOwn(tags, names)) continue;
      found.push({
        kind: "key",
        id: KeyId,
        note: "deletion takes 7 days and can be cancelled with `aws kms cancel-key-deletion`",
        remove: () => kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 })),
      });
    }
  }
  return found;
}
