import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { type RemovalScripts, RemovalStep } from "./removal-step.ts";

export interface HomeFileSystemCleanupProps {
  readonly account: AwsAccount;
  readonly network: EnvironmentNetwork;
  readonly scripts: RemovalScripts;
  readonly homeFileSystemRetention: "Retain" | "Delete";
}

/**
 * A step of `terraform destroy` between the domain and the network. Deleting a domain leaves behind two security groups
 * for its home file system, which name each other, and with retention `Retain` the file system's network interfaces as
 * well: all of them would keep the subnets and the VPC from being deleted.
 *
 * The domain must depend on this. (If it ran too early, the script would find the domain alive and do nothing.)
 */
export class HomeFileSystemCleanup extends Construct {
  /** What the domain must depend on. */
  readonly step: ITerraformDependable;

  constructor(scope: Construct, id: string, props: HomeFileSystemCleanupProps) {
    super(scope, id);
    const { account, network, scripts } = props;
    this.step = new RemovalStep(this, "step", {
      scripts,
      script: "clean-up.ts",
      prefix: "CLEAN_UP",
      input: {
        region: account.region,
        account: account.id,
        vpc_id: network.vpcId,
        retention: props.homeFileSystemRetention,
      },
      dependsOn: network.ownSubnets,
    });
  }
}
