import { DeleteWorkGroupCommand, paginateListWorkGroups } from "@aws-sdk/client-athena";
import type { Tools } from "../removal/aws.ts";
import { awsNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

export async function findWorkgroups(
  { prefix }: EnvironmentNames,
  { clients: { athena } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { scheduledTeam, sharedWorkgroup, user } = awsNames(prefix);
  const found: Leftover[] = [];
  for await (const { WorkGroups = [] } of paginateListWorkGroups({ client: athena }, {})) {
    for (const { Name = "" } of WorkGroups) {
      const isOwn = [user(""), scheduledTeam("")].some((start) => Name.startsWith(start));
      if (!isOwn && Name !== sharedWorkgroup) continue;
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
