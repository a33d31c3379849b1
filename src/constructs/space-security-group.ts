import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group/index.js";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule/index.js";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule/index.js";
import { type MapTerraformIterator, propertyAccess, Token } from "cdktf";
import { Construct } from "constructs";
import { skipChecks } from "./skip-checks.ts";

/** Where a space may go with HTTPS. */
export interface HttpsDestination {
  readonly id: string;
  readonly description: string;
  readonly cidr?: string;
  readonly prefixListId?: string;
}

export interface SpaceSecurityGroupProps {
  readonly name: string;
  readonly description: string;
  readonly vpcId: string;
  readonly https: readonly HttpsDestination[];
  /** Whether the spaces in it reach one another. @default true */
  readonly reachesItself?: boolean;
  /** One group for each key. `name` and `description` then hold `${each.key}`. @default one group */
  readonly forEach?: MapTerraformIterator;
}

/**
 * What a VpcOnly space needs (SageMaker Developer Guide, "Connect Amazon SageMaker Studio in a VPC to External
 * Resources"): its file system and its apps, both within the group, and HTTPS out. Nothing from outside the group comes
 * in.
 */
export class SpaceSecurityGroup extends Construct {
  /** Id of the group; with `forEach`, of the group with the same key as the resource that uses it. */
  readonly groupId: string;

  constructor(scope: Construct, id: string, props: SpaceSecurityGroupProps) {
    super(scope, id);
    const each = props.forEach === undefined ? {} : { forEach: props.forEach };
    const group = new SecurityGroup(this, "group", {
      name: props.name,
      description: props.description,
      vpcId: props.vpcId,
      tags: { Name: props.name },
      ...each,
    });
    skipChecks(group, {
      CKV2_AWS_5: "Attached by Studio to the spaces of a domain or user profile, unknown to checkov",
    });
    this.groupId =
      props.forEach === undefined
        ? group.id
        : Token.asString(propertyAccess(group.fqn, [props.forEach.key, "id"]));

    const withinTheGroup = [
      { id: "nfs", from: 2049, to: 2049, what: "NFS, the home file system" },
      { id: "apps", from: 8192, to: 65535, what: "apps of the same spaces" },
    ];
    for (const { id: port, from, to, what } of props.reachesItself === false ? [] : withinTheGroup) {
      const within = {
        securityGroupId: this.groupId,
        referencedSecurityGroupId: this.groupId,
        ipProtocol: "tcp",
        fromPort: from,
        toPort: to,
        ...each,
      };
      new VpcSecurityGroupIngressRule(this, `${port}_in`, {
        ...within,
        description: `From the group itself: ${what}`,
      });
      new VpcSecurityGroupEgressRule(this, `${port}_out`, {
        ...within,
        description: `To the group itself: ${what}`,
      });
    }
    for (const destination of props.https) {
      new VpcSecurityGroupEgressRule(this, `https_${destination.id}`, {
        securityGroupId: this.groupId,
        ipProtocol: "tcp",
        fromPort: 443,
        toPort: 443,
        description: destination.description,
        ...(destination.cidr === undefined ? {} : { cidrIpv4: destination.cidr }),
        ...(destination.prefixListId === undefined ? {} : { prefixListId: destination.prefixListId }),
        ...each,
      });
    }
  }
}
