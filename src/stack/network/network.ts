import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group/index.js";
import { Eip } from "@cdktf/provider-aws/lib/eip/index.js";
import { InternetGateway } from "@cdktf/provider-aws/lib/internet-gateway/index.js";
import { NatGateway } from "@cdktf/provider-aws/lib/nat-gateway/index.js";
import { Route } from "@cdktf/provider-aws/lib/route/index.js";
import { RouteTable } from "@cdktf/provider-aws/lib/route-table/index.js";
import { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association/index.js";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group/index.js";
import { Subnet } from "@cdktf/provider-aws/lib/subnet/index.js";
import { Vpc } from "@cdktf/provider-aws/lib/vpc/index.js";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint/index.js";
import { TerraformStack } from "cdktf";
import { Construct } from "constructs";
import type { BucketGrant, GrantedServices } from "../../settings/access.ts";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import type { Egress } from "../../settings/network.ts";
import type { ResolvedServices } from "../../settings/services.ts";
import { planSubnets, type SubnetPlan } from "../../settings/subnets.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { addFile } from "../support/stack-file.ts";
import { interfaceEndpoints, s3EndpointStatements } from "./endpoint-policies.ts";
import { FlowLogs } from "./flow-logs.ts";
import type { HttpsDestination } from "./space-security-group.ts";

export interface NetworkProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Private range, /16 to /28, such as `10.0.0.0/16`, divided evenly among the subnets. */
  readonly vpcCidr: string;
  /** Zones of the Region, such as `us-east-1a`. Each gets one subnet of each kind. */
  readonly availabilityZones: readonly string[];
  /** One NAT gateway, one for each zone, or none: AWS is then reached only through interface endpoints. */
  readonly egress: Egress;
  /** KMS key whose policy lets CloudWatch Logs use it, as `EncryptionKey`'s does. */
  readonly encryptionKeyArn: string;
  /** Whether the roles use S3 and SageMaker only through the endpoints of `endpoints-only`. @default false */
  readonly perimeter?: boolean | undefined;
  /** The bucket that the spaces use. */
  readonly bucketArn: string;
  /** Repository of AWS CodeArtifact that the spaces' packages come from. @default none */
  readonly codeArtifact?: CodeArtifactRepository | undefined;
  /** Whether models of Amazon Bedrock are called. @default false */
  readonly ai?: boolean | undefined;
  /** Whether users make schedules of their own. @default false */
  readonly schedules?: boolean | undefined;
  /** Whether users are notified of their jobs. @default false */
  readonly notifications?: boolean | undefined;
  /** ARNs of secrets that jobs read. */
  readonly secrets?: readonly string[] | undefined;
  /** Feature store and MLflow, whose endpoints are beside SageMaker's own. @default neither */
  readonly services?: Pick<ResolvedServices, "featureStore" | "mlflowArn"> | undefined;
  /** Granted buckets, and whether the notebooks use the services that need an endpoint. @default none */
  readonly granted?: (GrantedServices & { readonly buckets: readonly BucketGrant[] }) | undefined;
}

/** The network of an environment's spaces, whether the stack creates it or it exists. */
export interface EnvironmentNetwork {
  readonly vpcId: string;
  readonly privateSubnetIds: readonly string[];
  /** Subnets that the environment creates and destroys. Empty for an existing network, which stays. */
  readonly ownSubnets: readonly Subnet[];
  /** Destinations that the spaces' security groups allow HTTPS to. */
  readonly https: readonly HttpsDestination[];
  /** Ids of the endpoints for S3, SageMaker, Athena, Bedrock and SNS. Undefined where there is a way around them. */
  readonly perimeter?: readonly string[] | undefined;
}

/** The VPC of an environment, with the private subnets of its spaces. */
export class Network extends Construct implements EnvironmentNetwork {
  readonly vpcId: string;
  /** One for each zone, in the same order. */
  readonly ownSubnets: readonly Subnet[];
  readonly privateSubnetIds: readonly string[];
  readonly https: readonly HttpsDestination[];
  readonly perimeter: readonly string[] | undefined;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const plan = planSubnets(props.vpcCidr, props.availabilityZones);
    const vpc = new Vpc(this, "vpc", {
      cidrBlock: props.vpcCidr,
      // Private DNS names of interface endpoints and of the home file system need both.
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: { Name: prefix },
    });
    // Adopts the default group, which cannot be deleted, and removes its rules: nothing is allowed by default.
    new DefaultSecurityGroup(this, "default_security_group", {
      vpcId: vpc.id,
      tags: { Name: `${prefix}-default-unused` },
    });
    new FlowLogs(this, "flow_logs", {
      prefix,
      account,
      encryptionKeyArn: props.encryptionKeyArn,
      vpcId: vpc.id,
    });

    // One route table for each zone with any egress, so that changing `nat` to `nat-per-zone` changes only a route.
    const privateTables = new Map<string, RouteTable>();
    this.ownSubnets = plan.private.map(({ zone, cidr }) => {
      const { subnet, table } = this.subnet("private", zone, cidr, vpc, prefix);
      privateTables.set(zone, table);
      return subnet;
    });
    this.privateSubnetIds = this.ownSubnets.map((subnet) => subnet.id);
    this.vpcId = vpc.id;

    // Free, and it keeps the payload, pip's S3 traffic and data off the NAT gateway, which is paid by the gigabyte. With
    // a NAT gateway it is not a boundary, so it has no policy: that would only block other S3 buckets of the Region.
    const s3Policy =
      props.egress === "endpoints-only"
        ? new DataAwsIamPolicyDocument(this, "s3_endpoint_policy", {
            statement: s3EndpointStatements(account, props.bucketArn, props.granted?.buckets ?? []),
          })
        : undefined;
    const s3 = new VpcEndpoint(this, "s3_endpoint", {
      vpcId: vpc.id,
      serviceName: `${account.reverseDnsPrefix}.${account.region}.s3`,
      vpcEndpointType: "Gateway",
      routeTableIds: [...privateTables.values()].map((table) => table.id),
      ...(s3Policy === undefined ? {} : { policy: s3Policy.json }),
      tags: { Name: `${prefix}-s3` },
    });

    if (props.egress === "endpoints-only") {
      // No internet gateway and no public subnets either: what is not there cannot be routed to by mistake.
      const confining = this.interfaceEndpoints(vpc, props);
      if (props.perimeter === true) this.perimeter = [s3.id, ...confining];
      this.https = [
        {
          description: "HTTPS to the interface endpoints of the VPC",
          cidr: props.vpcCidr,
        },
        {
          description: "HTTPS to S3 by the gateway endpoint",
          prefixListId: s3.prefixListId,
        },
      ];
    } else {
      this.natGateways(plan, vpc, privateTables, props);
      this.https = [
        {
          description: "HTTPS to AWS and to package registries, by the NAT gateway",
          cidr: "0.0.0.0/0",
        },
      ];
    }
  }

  private subnet(kind: "private" | "public", zone: string, cidr: string, vpc: Vpc, prefix: string) {
    const tags = { Name: `${prefix}-${kind}-${zone}` };
    const subnet = new Subnet(this, `${kind}_${zone}`, {
      vpcId: vpc.id,
      availabilityZone: zone,
      cidrBlock: cidr,
      mapPublicIpOnLaunch: false,
      tags,
    });
    const table = new RouteTable(this, `${kind}_${zone}_routes`, { vpcId: vpc.id, tags });
    new RouteTableAssociation(this, `${kind}_${zone}_association`, {
      subnetId: subnet.id,
      routeTableId: table.id,
    });
    return { subnet, table };
  }

  private natGateways(
    plan: SubnetPlan,
    vpc: Vpc,
    privateTables: ReadonlyMap<string, RouteTable>,
    props: NetworkProps,
  ) {
    const { prefix } = props;
    const internet = new InternetGateway(this, "internet_gateway", {
      vpcId: vpc.id,
      tags: { Name: prefix },
    });
    let shared: NatGateway | undefined;
    for (const { zone, cidr } of plan.public) {
      const { subnet, table } = this.subnet("public", zone, cidr, vpc, prefix);
      const route = new Route(this, `public_${zone}_internet`, {
        routeTableId: table.id,
        destinationCidrBlock: "0.0.0.0/0",
        gatewayId: internet.id,
      });
      let nat = shared;
      if (nat === undefined || props.egress === "nat-per-zone") {
        const tags = { Name: `${prefix}-${zone}` };
        const address = new Eip(this, `nat_${zone}_address`, {
          domain: "vpc",
          tags,
          dependsOn: [internet],
        });
        nat = new NatGateway(this, `nat_${zone}`, {
          subnetId: subnet.id,
          allocationId: address.allocationId,
          tags,
          // A gateway that is there before its way out fails for as long.
          dependsOn: [route],
        });
        shared ??= nat;
      }
      const privateTable = privateTables.get(zone);
      if (privateTable === undefined) throw new Error(`no private subnet in zone ${zone}`);
      new Route(this, `private_${zone}_nat`, {
        routeTableId: privateTable.id,
        destinationCidrBlock: "0.0.0.0/0",
        natGatewayId: nat.id,
      });
    }
  }

  /** Returns the ids of those that the perimeter has: see `perimeterStatement`. */
  private interfaceEndpoints(vpc: Vpc, props: NetworkProps): readonly string[] {
    const { account, prefix } = props;
    const group = new SecurityGroup(this, "endpoints_group", {
      name: `${prefix}-endpoints`,
      description: "Interface endpoints of the VPC",
      vpcId: vpc.id,
      // In the group itself, Terraform removes rules that are added by hand.
      ingress: [
        {
          description: "HTTPS from the VPC",
          protocol: "tcp",
          fromPort: 443,
          toPort: 443,
          cidrBlocks: [props.vpcCidr],
        },
      ],
      egress: [],
      tags: { Name: `${prefix}-endpoints` },
    });
    // The rule was a resource of its own. Destroyed, it would take the same rule from the group.
    const stack = TerraformStack.of(this);
    const rule = `aws_vpc_security_group_ingress_rule.${stack.getLogicalId(this.node)}_endpoints_https_in`;
    addFile(stack, "removed.tf", `removed {\n  from = ${rule}\n  lifecycle {\n    destroy = false\n  }\n}\n`);
    const confining: string[] = [];
    const services = interfaceEndpoints(
      account,
      props.codeArtifact,
      props.secrets ?? [],
      props.services ?? { featureStore: false, mlflowArn: undefined },
      props.granted ?? {
        ...{ glue: false, secrets: false, athena: false, redshift: false, lakeFormation: false },
      },
      props.ai === true,
      props.schedules === true,
      props.notifications === true,
    );
    for (const [name, { serviceName, statements }] of Object.entries(services)) {
      const policy = new DataAwsIamPolicyDocument(this, `${name}_endpoint_policy`, {
        statement: [...statements],
      });
      const endpoint = new VpcEndpoint(this, `${name}_endpoint`, {
        vpcId: vpc.id,
        serviceName,
        vpcEndpointType: "Interface",
        subnetIds: [...this.privateSubnetIds],
        securityGroupIds: [group.id],
        privateDnsEnabled: true,
        policy: policy.json,
        tags: { Name: `${prefix}-${name.replaceAll("_", "-")}` },
      });
      if (/athena|bedrock|sagemaker|\.sns$/.test(serviceName)) confining.push(endpoint.id);
    }
    return confining;
  }
}
