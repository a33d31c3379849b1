import { crc32 } from "node:zlib";
import {
  DeleteFlowLogsCommand,
  DeleteInternetGatewayCommand,
  DeleteNatGatewayCommand,
  DeleteRouteCommand,
  DeleteRouteTableCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DeleteVpcEndpointsCommand,
  DescribeAddressesCommand,
  DescribeFlowLogsCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  DetachInternetGatewayCommand,
  DisassociateRouteTableCommand,
  type EC2Client,
  ReleaseAddressCommand,
  type RouteTable,
  type SecurityGroup,
  type Tag,
} from "@aws-sdk/client-ec2";
import { type Tools, unlessGone, untilGone } from "../removal/aws.ts";
import { deleteGroups, domainOfGroup } from "../removal/home-file-systems.ts";
import type { LeftoversClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

const tagFilters = ({ environment }: EnvironmentNames) => [
  { Name: "tag:Project", Values: ["sagemaker-marimo"] },
  { Name: "tag:Environment", Values: [environment] },
];

export async function findVpcs(
  names: EnvironmentNames,
  { clients: { ec2 } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({ Filters: tagFilters(names) }));
  return Vpcs.filter(({ Tags }) => isOwn(Tags, names)).map(({ VpcId = "" }) => ({
    kind: "VPC",
    id: VpcId,
    remove: () => ec2.send(new DeleteVpcCommand({ VpcId })),
  }));
}

export async function findNetwork(
  names: EnvironmentNames,
  vpcIds: readonly string[],
  tools: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { ec2 } = tools.clients;
  const tags = tagFilters(names);
  const own = <Found extends { readonly Tags?: Tag[] | undefined }>(found: readonly Found[] = []) =>
    found.filter(({ Tags }) => isOwn(Tags, names));
  const flowLogs = own((await ec2.send(new DescribeFlowLogsCommand({ Filter: tags }))).FlowLogs);
  const endpoints = own((await ec2.send(new DescribeVpcEndpointsCommand({ Filters: tags }))).VpcEndpoints);
  const nats = own((await ec2.send(new DescribeNatGatewaysCommand({ Filter: tags }))).NatGateways);
  const addresses = own((await ec2.send(new DescribeAddressesCommand({ Filters: tags }))).Addresses);
  const gateways = own(
    (await ec2.send(new DescribeInternetGatewaysCommand({ Filters: tags }))).InternetGateways,
  );
  const subnets = own((await ec2.send(new DescribeSubnetsCommand({ Filters: tags }))).Subnets);
  const tables = own((await ec2.send(new DescribeRouteTablesCommand({ Filters: tags }))).RouteTables);
  // SageMaker's groups do not have the tags.
  const inVpc = vpcIds.length > 0;
  const { SecurityGroups = [] } = await ec2.send(
    new DescribeSecurityGroupsCommand({
      Filters: inVpc ? [{ Name: "vpc-id", Values: [...vpcIds] }] : tags,
    }),
  );
  const groups = SecurityGroups.filter(
    ({ GroupName, Tags, VpcId = "" }) =>
      GroupName !== "default" && (inVpc ? vpcIds.includes(VpcId) : isOwn(Tags, names)),
  );
  const gone = (state: string | undefined) => state === "deleted" || state === "deleting";
  const nat = async (id: string) => {
    await ec2.send(new DeleteNatGatewayCommand({ NatGatewayId: id }));
    const left = async () => {
      const { NatGateways = [] } = await ec2.send(new DescribeNatGatewaysCommand({ NatGatewayIds: [id] }));
      return NatGateways.filter(({ State }) => State !== "deleted").map(({ NatGatewayId }) =>
        String(NatGatewayId),
      );
    };
    await untilGone("NAT gateways", left, tools);
  };
  return [
    ...flowLogs.map(({ FlowLogId: id = "" }) => ({
      kind: "flow log",
      id,
      remove: () => ec2.send(new DeleteFlowLogsCommand({ FlowLogIds: [id] })),
    })),
    ...endpoints
      .filter(({ State }) => !gone(State))
      .map(({ VpcEndpointId: id = "" }) => ({
        kind: "VPC endpoint",
        id,
        remove: () => ec2.send(new DeleteVpcEndpointsCommand({ VpcEndpointIds: [id] })),
      })),
    ...nats
      .filter(({ State }) => !gone(State))
      .map(({ NatGatewayId: id = "" }) => ({ kind: "NAT gateway", id, remove: () => nat(id) })),
    ...addresses.map(({ AllocationId: id = "" }) => ({
      kind: "Elastic IP address",
      id,
      remove: () => ec2.send(new ReleaseAddressCommand({ AllocationId: id })),
    })),
    ...gateways.map(({ InternetGatewayId: id = "", Attachments = [] }) => ({
      kind: "internet gateway",
      id,
      remove: async () => {
        for (const { VpcId } of Attachments) {
          await ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId }));
        }
        await ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId: id }));
      },
    })),
    ...groupsToRemove(groups, tools),
    ...tables.flatMap((table) => partsOfRouteTable(table, ec2)),
    ...subnets.map(({ SubnetId: id = "" }) => ({
      kind: "subnet",
      id,
      remove: () => ec2.send(new DeleteSubnetCommand({ SubnetId: id })),
    })),
    ...tables.map(({ RouteTableId: id = "", Associations = [] }) => ({
      kind: "route table",
      id,
      remove: async () => {
        // EC2 cannot delete a route table that is associated with a subnet (EC2 API, DeleteRouteTable).
        for (const { Main, RouteTableAssociationId: AssociationId } of Associations) {
          if (Main) continue;
          await unlessGone(() => ec2.send(new DisassociateRouteTableCommand({ AssociationId })));
        }
        await ec2.send(new DeleteRouteTableCommand({ RouteTableId: id }));
      },
    })),
  ];
}

/** The stack's only route in each table. Other routes, for example to a peered VPC, are not leftovers. */
const defaultRoute = "0.0.0.0/0";

/** Associations and routes, which have no tags and would make the next apply fail. */
function partsOfRouteTable(
  { RouteTableId = "", Associations = [], Routes = [] }: RouteTable,
  ec2: EC2Client,
): Leftover[] {
  const route = { RouteTableId, DestinationCidrBlock: defaultRoute };
  return [
    ...Associations.filter(({ Main }) => !Main).map(({ RouteTableAssociationId: id = "", SubnetId }) => ({
      kind: "route table association",
      id,
      note: `of ${SubnetId} with ${RouteTableId}`,
      partOf: RouteTableId,
      remove: () => unlessGone(() => ec2.send(new DisassociateRouteTableCommand({ AssociationId: id }))),
    })),
    ...Routes.filter(({ DestinationCidrBlock }) => DestinationCidrBlock === defaultRoute).map(() => ({
      kind: "route",
      // A route has no ID in EC2. This is the provider's (terraform-provider-aws, `routeCreateID`).
      id: `r-${RouteTableId}${crc32(defaultRoute)}`,
      note: `to ${defaultRoute} in ${RouteTableId}`,
      partOf: RouteTableId,
      remove: () => unlessGone(() => ec2.send(new DeleteRouteCommand(route))),
    })),
  ];
}

/** SageMaker's two groups of a domain refer to each other, so they are deleted together. */
function groupsToRemove(groups: readonly SecurityGroup[], tools: Tools<LeftoversClients>): Leftover[] {
  return groups.map((group) => {
    const domainId = domainOfGroup(group.GroupName);
    const together = groups.filter(
      (one) => one === group || (domainId !== undefined && domainOfGroup(one.GroupName) === domainId),
    );
    return {
      kind: "security group",
      id: group.GroupId ?? "",
      note: group.GroupName ?? "",
      domainId,
      remove: () => deleteGroups(together, tools),
    };
  });
}
