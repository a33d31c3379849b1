import { DataAwsSubnet } from "@cdktf/provider-aws/lib/data-aws-subnet/index.js";
import { DataAwsVpc } from "@cdktf/provider-aws/lib/data-aws-vpc/index.js";
import { Fn, Op, TerraformSelf, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import type { ExistingNetworkSettings } from "../../settings/existing.ts";
import type { EnvironmentNetwork } from "./network.ts";

export interface ExistingNetworkProps extends ExistingNetworkSettings {
  /** Number of users who will have spaces in it. */
  readonly users: number;
}

/** An existing VPC with private subnets, instead of `Network`. */
export class ExistingNetwork extends Construct implements EnvironmentNetwork {
  readonly vpcId: string;
  readonly privateSubnetIds: readonly string[];
  readonly ownSubnets = [];
  // The VPC's routes and endpoints decide what can be reached.
  readonly https = [{ description: "HTTPS, by whatever way out the VPC has", cidr: "0.0.0.0/0" }];

  constructor(scope: Construct, id: string, props: ExistingNetworkProps) {
    super(scope, id);
    const { users, vpcId } = props;
    const subnets = props.subnetIds.map((subnetId) => {
      const found = TerraformSelf.getString("vpc_id");
      return new DataAwsSubnet(this, subnetId, {
        id: subnetId,
        lifecycle: {
          postcondition: [
            {
              condition: Op.eq(found, vpcId),
              errorMessage: `existing.network.subnetIds: ${subnetId} is in ${found}, not in ${vpcId}.`,
            },
            {
              condition: Op.not(TerraformSelf.getAny("map_public_ip_on_launch")),
              errorMessage:
                `existing.network.subnetIds: ${subnetId} gives its instances public addresses. Spaces have none in ` +
                'VpcOnly, and need a private subnet (SageMaker Developer Guide, "Connect Amazon SageMaker Studio in a VPC to External Resources").',
            },
          ],
        },
      });
    });
    const zones = Fn.distinct(subnets.map((subnet) => subnet.availabilityZone));
    const vpc = new DataAwsVpc(this, "vpc", {
      id: vpcId,
      lifecycle: {
        precondition: [
          {
            condition: Op.gt(Fn.lengthOf(zones), 1),
            errorMessage: `existing.network.subnetIds: all are in ${Fn.join(", ", zones)}. Two zones or more are needed.`,
          },
        ],
        postcondition: [
          {
            condition: Op.and(
              TerraformSelf.getAny("enable_dns_support"),
              TerraformSelf.getAny("enable_dns_hostnames"),
            ),
            errorMessage:
              `existing.network.vpcId: ${vpcId} has DNS support or DNS host names off. The home file system is ` +
              'reached by its DNS name (Amazon EFS User Guide, "Mounting EFS file systems").',
          },
        ],
      },
    });
    // Only a warning: running spaces use addresses, and later plans must pass.
    const free = Fn.sum(subnets.map((subnet) => subnet.availableIpAddressCount));
    const stack = TerraformStack.of(this);
    stack.addOverride(`check.${stack.getLogicalId(this.node)}_addresses.assert`, [
      {
        condition: Op.gte(free, 2 * users),
        error_message:
          `existing.network.subnetIds: ${free} addresses are free for ${users} users. Studio takes 2 to 4 a user ` +
          "(SageMaker Developer Guide, VPC only mode).",
      },
    ]);
    this.vpcId = vpc.id;
    this.privateSubnetIds = subnets.map((subnet) => subnet.id);
  }
}
