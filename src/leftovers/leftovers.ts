/** Finds an environment's resources in an account by their tags and names, without Terraform's state. */
import type { Tools } from "../removal/aws.ts";
import { findWorkgroups } from "./athena.ts";
import { findTrails } from "./audit.ts";
import { findInferenceProfiles } from "./bedrock.ts";
import { findBudgets } from "./budgets.ts";
import type { LeftoversClients } from "./clients.ts";
import { findPolicies, findRoles } from "./identity.ts";
import { findJobs } from "./jobs.ts";
import type { EnvironmentNames, Leftover } from "./leftover.ts";
import { findNetwork, findVpcs } from "./network.ts";
import { findAliases, findBuckets, findKeys, findLogGroups } from "./storage.ts";
import { findDomains, findHomeFileSystems, findImages, findLifecycleConfigurations } from "./studio.ts";

/**
 * Lists the resources in an order in which they can be deleted. A resource belongs to the environment by its tags, by a
 * name that only the stack uses, or because it is in the environment's VPC.
 */
export async function findLeftovers(
  names: EnvironmentNames,
  tools: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const keys = await findKeys(names, tools);
  const vpcs = await findVpcs(names, tools);
  const vpcIds = vpcs.map(({ id }) => id);
  return [
    ...(await findJobs(names, tools)),
    ...(await findWorkgroups(names, tools)),
    ...(await findDomains(names, tools)),
    ...(await findLifecycleConfigurations(names, tools)),
    ...(await findImages(names, tools)),
    ...(await findHomeFileSystems({ vpcIds, keyIds: keys.map(({ id }) => id) }, tools)),
    ...(await findNetwork(names, vpcIds, tools)),
    ...vpcs,
    ...(await findTrails(names, tools)),
    ...(await findBuckets(names, tools)),
    ...(await findLogGroups(names, tools)),
    ...(await findBudgets(names, tools)),
    ...(await findInferenceProfiles(names, tools)),
    ...(await findRoles(names, tools)),
    ...(await findPolicies(names, tools)),
    ...(await findAliases(names, tools)),
    ...keys,
  ];
}
