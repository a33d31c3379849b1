import {
  DeleteWorkGroupCommand,
  ListTagsForResourceCommand,
  paginateListWorkGroups,
} from "@aws-sdk/client-athena";
import { type Tools, unlessGone } from "../removal/aws.ts";
import { awsNames } from "../settings/names.ts";
import { partitionOf } from "../settings/reference/regions.ts";
import type { LeftoversClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

export async function findWorkgroups(
  names: EnvironmentNames,
  { clients: { athena } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { account, prefix } = names;
  const { scheduledTeam, sharedWorkgroup, user } = awsNames(prefix);
  const region = await athena.config.region();
  const found: Leftover[] = [];
  for await (const { WorkGroups = [] } of paginateListWorkGroups({ client: athena }, {})) {
    for (const { Name = "" } of WorkGroups) {
      const isNamedSo = [user(""), scheduledTeam("")].some((start) => Name.startsWith(start));
      if (!isNamedSo && Name !== sharedWorkgroup) continue;
      const ResourceARN = `arn:${partitionOf(region)}:athena:${region}:${account}:workgroup/${Name}`;
      const answer = await unlessGone(() => athena.send(new ListTagsForResourceCommand({ ResourceARN })));
      if (!isOwn(answer?.Tags, names)) continue;
      found.push({
        kind: "Athena workgroup",
        id: Name,
        type: "aws_athena_workgroup",
        // With the history of its queries (Amazon Athena API, DeleteWorkGroup). Results stay in the bucket.
        remove: () =>
          athena.send(new DeleteWorkGroupCommand({ WorkGroup: Name, RecursiveDeleteOption: true })),
      });
    }
  }
  return found;
}
