import {
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  ListRolePoliciesCommand,
  paginateListRoles,
} from "@aws-sdk/client-iam";
import type { Tools } from "../removal/aws.ts";
import { awsNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

export async function findRoles({ prefix }: EnvironmentNames, { clients: { iam } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  const { executionRole, flowLogRole, imageRole, jobRole, pipelineRole, schedulerRole } = awsNames(prefix);
  const own = [executionRole, flowLogRole, imageRole, jobRole, pipelineRole, schedulerRole];
  for await (const { Roles = [] } of paginateListRoles({ client: iam }, {})) {
    for (const { RoleName = "" } of Roles) {
      if (!own.includes(RoleName)) continue;
      found.push({
        kind: "role",
        id: RoleName,
        type: "aws_iam_role",
        remove: async () => {
          const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
          for (const PolicyName of PolicyNames)
            await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }));
          await iam.send(new DeleteRoleCommand({ RoleName }));
        },
      });
    }
  }
  return found;
}
