import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { HomeFileSystemCleanup } from "./home-file-system-cleanup.ts";

/**
 * The clean-up between a domain and its network, which the domain must depend on. It removes everything that deleted
 * domains left in the VPC, so an existing VPC, where other domains may be, has none.
 */
export function homeFileSystemCleanup(
  scope: Construct,
  { account, environment, scripts }: EnvironmentContext,
  network: EnvironmentNetwork,
): readonly ITerraformDependable[] {
  if (network.ownSubnets.length === 0) return [];
  const { homeFileSystemRetention } = environment;
  const props = { account, network, scripts, homeFileSystemRetention };
  return [new HomeFileSystemCleanup(scope, "home_file_system_cleanup", props).step];
}
