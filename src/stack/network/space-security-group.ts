import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group/index.js";
import type { MapTerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { attributeOfEach } from "../support/attribute-of-each.ts";

/** Where a space may go with HTTPS. */
export interface HttpsDestination {
  readonly description: string;
  readonly cidr?: string | undefined;
  readonly prefixListId?: string | undefined;
}

/** Traffic between members of a security group. */
export interface GroupTraffic {
  readonly what: string;
  readonly protocol: string;
  readonly fromPort: number;
  readonly toPort: number;
}

const betweenApps: readonly GroupTraffic[] = [
  { what: "NFS, the home file system", protocol: "tcp", fromPort: 2049, toPort: 2049 },
  { what: "apps of the same spaces", protocol: "tcp", fromPort: 8192, toPort: 65535 },
];

export interface SpaceSecurityGroupProps {
  readonly name: string;
  readonly description: string;
  readonly vpcId: string;
  readonly https: readonly HttpsDestination[];
  /** What its members may send one another. @default `betweenApps` */
  readonly within?: readonly GroupTraffic[] | undefined;
  /** One group for each key. `name` and `description` then hold `${each.key}`. @default one group */
  readonly forEach?: MapTerraformIterator | undefined;
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
    const within = (props.within ?? betweenApps).map(({ what, ...traffic }) => ({
      what,
      rule: { ...traffic, selfAttribute: true },
    }));
    const group = new SecurityGroup(this, "group", {
      name: props.name,
      description: props.description,
      vpcId: props.vpcId,
      // Rules as resources of their own look for their group among all people's, each time: a plan with 1,000 people
      // had 7,000 resources and took 11 GB of memory (`npm run bench -- terraform`).
      ingress: within.map(({ rule, what }) => ({ ...rule, description: `From the group itself: ${what}` })),
      egress: [
        ...within.map(({ rule, what }) => ({ ...rule, description: `To the group itself: ${what}` })),
        ...props.https.map(({ cidr, description, prefixListId }) => ({
          description,
          fromPort: 443,
          toPort: 443,
          protocol: "tcp",
          ...(cidr === undefined ? {} : { cidrBlocks: [cidr] }),
          ...(prefixListId === undefined ? {} : { prefixListIds: [prefixListId] }),
        })),
      ],
      tags: { Name: props.name },
      ...(props.forEach === undefined ? {} : { forEach: props.forEach }),
    });
    this.groupId = props.forEach === undefined ? group.id : attributeOfEach(group, "id", props.forEach);
  }
}
