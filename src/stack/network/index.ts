import type { Construct } from "constructs";
import { everyGrant } from "../../settings/access.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { ExistingNetwork } from "./existing-network.ts";
import { type EnvironmentNetwork, Network } from "./network.ts";

export interface EnvironmentNetworkProps {
  readonly context: EnvironmentContext;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
}

/** Creates an environment's network, or looks up the one that `existing.network` names. */
export function environmentNetwork(scope: Construct, props: EnvironmentNetworkProps): EnvironmentNetwork {
  const { account, environment, packages, prefix } = props.context;
  const { existing } = environment;
  if (existing.network !== undefined) {
    return new ExistingNetwork(scope, "network", {
      ...existing.network,
      users: environment.userProfiles.length,
    });
  }
  return new Network(scope, "network", {
    prefix,
    account,
    vpcCidr: environment.vpcCidr,
    availabilityZones: environment.availabilityZones,
    egress: environment.egress,
    perimeter: environment.dataPerimeter,
    encryptionKeyArn: props.encryptionKeyArn,
    bucketArn: props.bucket.arn,
    codeArtifact: packages,
    secrets: environment.jobs.secrets,
    services: environment.services,
    granted: everyGrant(environment.access, environment.teams),
    ai: environment.ai !== undefined,
    notifications: environment.jobs.notifications !== undefined,
    // With the one role of everybody there are no schedule groups.
    schedules:
      environment.jobs.maximumSchedulesPerUser > 0 && environment.existing.executionRoleArn === undefined,
  });
}
