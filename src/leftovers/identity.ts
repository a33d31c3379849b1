import {
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  type IAMClient,
  ListPolicyVersionsCommand,
  ListRolePoliciesCommand,
  paginateListAttachedRolePolicies,
  paginateListEntitiesForPolicy,
  paginateListPolicies,
  paginateListRoles,
} from "@aws-sdk/client-iam";
import type { Tools } from "../removal/aws.ts";
import { awsNames, policyNames } from "../settings/names.ts";
import type { LeftoversClients } from "./clients.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";

export async function findRoles({ prefix }: EnvironmentNames, { clients: { iam } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  const { executionRole, flowLogRole, imageRole, jobRole, pipelineRole, schedulerRole, user } =
    awsNames(prefix);
  const own = [executionRole, flowLogRole, imageRole, jobRole, pipelineRole, schedulerRole];
  for await (const { Roles = [] } of paginateListRoles({ client: iam }, {})) {
    for (const { RoleName = "" } of Roles) {
      if (!own.includes(RoleName) && !RoleName.startsWith(user(""))) continue;
      found.push({
        kind: "role",
        id: RoleName,
        type: "aws_iam_role",
        remove: async () => {
          await detach(iam, RoleName);
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

/** IAM deletes neither a role with policies nor a policy with roles (IAM API, DeleteRole and DeletePolicy). */
async function detach(iam: IAMClient, RoleName: string): Promise<void> {
  for await (const { AttachedPolicies = [] } of paginateListAttachedRolePolicies(
    { client: iam },
    { RoleName },
  ))
    for (const { PolicyArn } of AttachedPolicies)
      await iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn }));
}

export async function findPolicies(
  { prefix }: EnvironmentNames,
  { clients: { iam } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  const own = policyNames(prefix);
  for await (const { Policies = [] } of paginateListPolicies({ client: iam }, { Scope: "Local" })) {
    for (const { Arn: PolicyArn = "", PolicyName = "" } of Policies) {
      if (!own.includes(PolicyName)) continue;
      found.push({
        kind: "policy",
        // The provider's id.
        id: PolicyArn,
        type: "aws_iam_policy",
        remove: async () => {
          for await (const { PolicyRoles = [] } of paginateListEntitiesForPolicy(
            { client: iam },
            { PolicyArn },
          ))
            for (const { RoleName } of PolicyRoles)
              await iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn }));
          const { Versions = [] } = await iam.send(new ListPolicyVersionsCommand({ PolicyArn }));
          for (const { IsDefaultVersion, VersionId } of Versions)
            if (!IsDefaultVersion) await iam.send(new DeletePolicyVersionCommand({ PolicyArn, VersionId }));
          await iam.send(new DeletePolicyCommand({ PolicyArn }));
        },
      });
    }
  }
  return found;
}
