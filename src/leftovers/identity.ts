import {
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  type IAMClient,
  ListEntitiesForPolicyCommand,
  ListPolicyTagsCommand,
  ListPolicyVersionsCommand,
  ListRolePoliciesCommand,
  ListRoleTagsCommand,
  paginateListAttachedRolePolicies,
  paginateListPolicies,
  paginateListRoles,
} from "@aws-sdk/client-iam";
import { type Tools, unlessGone } from "../removal/aws.ts";
import type { LeftoversClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

type Iam = Tools<LeftoversClients>;

/** IAM lists no tags. */
export async function findRoles(names: EnvironmentNames, { clients: { iam } }: Iam): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for await (const { Roles = [] } of paginateListRoles({ client: iam }, {})) {
    for (const { RoleName = "" } of Roles) {
      if (!RoleName.startsWith(`${names.prefix}-`)) continue;
      const answer = await unlessGone(() => iam.send(new ListRoleTagsCommand({ RoleName })));
      if (!isOwn(answer?.Tags, names)) continue;
      found.push({
        kind: "role",
        id: RoleName,
        type: "aws_iam_role",
        remove: () => deleteRole(RoleName, iam),
      });
    }
  }
  return found;
}

/** IAM deletes only a role without policies (IAM API, DeleteRole). AWS Budgets can have attached one. */
async function deleteRole(RoleName: string, iam: IAMClient): Promise<void> {
  for await (const { AttachedPolicies = [] } of paginateListAttachedRolePolicies(
    { client: iam },
    { RoleName },
  ))
    for (const { PolicyArn } of AttachedPolicies)
      await iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn }));
  const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
  for (const PolicyName of PolicyNames) await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }));
  await iam.send(new DeleteRoleCommand({ RoleName }));
}

/** After the roles that they are attached to. */
export async function findPolicies(names: EnvironmentNames, { clients: { iam } }: Iam): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for await (const { Policies = [] } of paginateListPolicies({ client: iam }, { Scope: "Local" })) {
    for (const { Arn: PolicyArn = "", PolicyName = "" } of Policies) {
      if (!PolicyName.startsWith(`${names.prefix}-`)) continue;
      const answer = await unlessGone(() => iam.send(new ListPolicyTagsCommand({ PolicyArn })));
      if (!isOwn(answer?.Tags, names)) continue;
      found.push({
        kind: "policy",
        id: PolicyArn,
        type: "aws_iam_policy",
        remove: () => deletePolicy(PolicyArn, iam),
      });
    }
  }
  return found;
}

/** IAM deletes only a policy with one version that is not attached (IAM API, DeletePolicy). */
async function deletePolicy(PolicyArn: string, iam: IAMClient): Promise<void> {
  const { PolicyRoles = [] } = await iam.send(new ListEntitiesForPolicyCommand({ PolicyArn }));
  for (const { RoleName } of PolicyRoles)
    await iam.send(new DetachRolePolicyCommand({ PolicyArn, RoleName }));
  const { Versions = [] } = await iam.send(new ListPolicyVersionsCommand({ PolicyArn }));
  for (const { IsDefaultVersion, VersionId } of Versions)
    if (IsDefaultVersion !== true) await iam.send(new DeletePolicyVersionCommand({ PolicyArn, VersionId }));
  await iam.send(new DeletePolicyCommand({ PolicyArn }));
}
