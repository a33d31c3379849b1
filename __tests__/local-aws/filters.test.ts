import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  AllocateAddressCommand,
  CreateFlowLogsCommand,
  type CreateFlowLogsCommandInput,
  CreateInternetGatewayCommand,
  CreateNatGatewayCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  CreateVpcEndpointCommand,
  DescribeAddressesCommand,
  DescribeFlowLogsCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  EC2Client,
  type Filter,
  type ResourceType,
} from "@aws-sdk/client-ec2";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

let folder: string;
let localAws: LocalAws;
let ec2: EC2Client;

/** Lists the IDs that a request with filters finds, by the operation. */
const requests: Record<string, (Filters: Filter[]) => Promise<(string | undefined)[] | undefined>> = {
  DescribeAddresses: async (Filters) =>
    (await ec2.send(new DescribeAddressesCommand({ Filters }))).Addresses?.map((one) => one.AllocationId),
  DescribeFlowLogs: async (Filter) =>
    (await ec2.send(new DescribeFlowLogsCommand({ Filter }))).FlowLogs?.map((one) => one.FlowLogId),
  DescribeInternetGateways: async (Filters) =>
    (await ec2.send(new DescribeInternetGatewaysCommand({ Filters }))).InternetGateways?.map(
      (one) => one.InternetGatewayId,
    ),
  DescribeNatGateways: async (Filter) =>
    (await ec2.send(new DescribeNatGatewaysCommand({ Filter }))).NatGateways?.map((one) => one.NatGatewayId),
  DescribeRouteTables: async (Filters) =>
    (await ec2.send(new DescribeRouteTablesCommand({ Filters }))).RouteTables?.map((one) => one.RouteTableId),
  DescribeSecurityGroups: async (Filters) =>
    (await ec2.send(new DescribeSecurityGroupsCommand({ Filters }))).SecurityGroups?.map(
      (one) => one.GroupId,
    ),
  DescribeSubnets: async (Filters) =>
    (await ec2.send(new DescribeSubnetsCommand({ Filters }))).Subnets?.map((one) => one.SubnetId),
  DescribeVpcEndpoints: async (Filters) =>
    (await ec2.send(new DescribeVpcEndpointsCommand({ Filters }))).VpcEndpoints?.map(
      (one) => one.VpcEndpointId,
    ),
  DescribeVpcs: async (Filters) =>
    (await ec2.send(new DescribeVpcsCommand({ Filters }))).Vpcs?.map((one) => one.VpcId),
};

const environment = { Name: "tag:Environment", Values: ["dev"] };
const project = { Name: "tag:Project", Values: ["sagemaker-marimo"] };
const nfs = { Name: "group-name", Values: ["security-group-for-*bound-nfs-*"] };
const names = [environment.Name, project.Name, nfs.Name, "vpc-id"];

/** Creates a resource for each operation, and returns their IDs. */
async function make(Project: string, Environment: string) {
  const tagged = (ResourceType: ResourceType) => ({
    TagSpecifications: [{ ResourceType, Tags: Object.entries({ Project, Environment }).map(asTag) }],
  });
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16", ...tagged("vpc") }));
  const VpcId = Vpc?.VpcId ?? "";
  const subnet = { VpcId, CidrBlock: "10.0.1.0/24", ...tagged("subnet") };
  const { Subnet } = await ec2.send(new CreateSubnetCommand(subnet));
  const group = { VpcId, Description: "x", ...tagged("security-group") };
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ ...group, GroupName: "studio" }));
  const GroupName = "security-group-for-inbound-nfs-d-1";
  const nfsGroup = await ec2.send(new CreateSecurityGroupCommand({ VpcId, Description: "x", GroupName }));
  const nat = { SubnetId: Subnet?.SubnetId, ConnectivityType: "private", ...tagged("natgateway") } as const;
  const endpoint = { VpcId, ServiceName: "com.amazonaws.us-east-1.s3", ...tagged("vpc-endpoint") };
  const flowLog: CreateFlowLogsCommandInput = {
    ...{ ResourceIds: [VpcId], ResourceType: "VPC", TrafficType: "ALL", LogDestinationType: "s3" },
    ...{ LogDestination: `arn:aws:s3:::${Project}-${Environment}`, ...tagged("vpc-flow-log") },
  };
  const s3 = new S3Client(localAws.clientSettings());
  await s3.send(new CreateBucketCommand({ Bucket: `${Project}-${Environment}` }));
  const address = { Domain: "vpc", ...tagged("elastic-ip") } as const;
  const table = { VpcId, ...tagged("route-table") };
  const gateway = tagged("internet-gateway");
  return {
    nfsGroup: nfsGroup.GroupId,
    DescribeAddresses: (await ec2.send(new AllocateAddressCommand(address))).AllocationId,
    DescribeFlowLogs: (await ec2.send(new CreateFlowLogsCommand(flowLog))).FlowLogIds?.[0],
    DescribeInternetGateways: (await ec2.send(new CreateInternetGatewayCommand(gateway))).InternetGateway
      ?.InternetGatewayId,
    DescribeNatGateways: (await ec2.send(new CreateNatGatewayCommand(nat))).NatGateway?.NatGatewayId,
    DescribeRouteTables: (await ec2.send(new CreateRouteTableCommand(table))).RouteTable?.RouteTableId,
    DescribeSecurityGroups: GroupId,
    DescribeSubnets: Subnet?.SubnetId,
    DescribeVpcEndpoints: (await ec2.send(new CreateVpcEndpointCommand(endpoint))).VpcEndpoint?.VpcEndpointId,
    DescribeVpcs: VpcId,
  };
}
const asTag = ([Key, Value]: [string, string]) => ({ Key, Value });
type Made = Awaited<ReturnType<typeof make>>;

let own: Made;
let ofOtherEnvironment: Made;
let ofOtherProject: Made;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-filters-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  ec2 = new EC2Client(localAws.clientSettings());
  own = await make("sagemaker-marimo", "dev");
  ofOtherEnvironment = await make("sagemaker-marimo", "dev-two");
  ofOtherProject = await make("another-project", "dev");
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The text of a call from its name to its last parenthesis. */
function callAt(text: string, start: number): string {
  let depth = 0;
  for (let at = text.indexOf("(", start); at < text.length; at++) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return text.slice(start, at + 1);
  }
  throw new Error(`a call without an end: ${text.slice(start, start + 80)}`);
}

/** The operations of a source that send filters, the names of the filters, and filters that no request has. */
function filtersIn(text: string) {
  const operations: string[] = [];
  let rest = text;
  for (const { index, 1: command, 2: paginated } of text.matchAll(/(?:new (\w+)Command|paginate(\w+))\(/g)) {
    const call = callAt(text, index);
    if (!/\bFilters?\b/.test(call)) continue;
    operations.push(command ?? paginated ?? "");
    rest = rest.replace(call, "");
  }
  const filterNames = [...text.matchAll(/\bName: "([^"]*)",\s+Values:/g)].map(([, name = ""]) => name);
  return { operations, filterNames, outside: rest.match(/.*\bFilters?\b.*/g) ?? [] };
}

describe("filters of requests", () => {
  it("are all known here", () => {
    const files = ["scripts", "src"].flatMap((part) =>
      readdirSync(join(projectFolder, part), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => join(projectFolder, part, file))
        // costs.test.ts tests Cost Explorer's.
        .filter((file) => !file.endsWith("src/costs/bill.ts")),
    );
    const found = files.map((file) => filtersIn(readFileSync(file, "utf8")));
    expect(found.flatMap(({ outside }) => outside)).toEqual([]);
    expect([...new Set(found.flatMap(({ operations }) => operations))].toSorted()).toEqual(
      Object.keys(requests).toSorted(),
    );
    expect(new Set(found.flatMap(({ filterNames }) => filterNames))).toEqual(new Set(names));
  });

  it("are found in calls of every form", () => {
    const text =
      'a(new DescribeXCommand({ Filters: [{ Name: "x-id", Values: [b()] }] })); paginateY({ c }, { Filter });';
    expect(filtersIn(text)).toEqual({ operations: ["DescribeX", "Y"], filterNames: ["x-id"], outside: [] });
    const outside = "const input = { Filters: [] };";
    expect(filtersIn(outside)).toEqual({ operations: [], filterNames: [], outside: [outside] });
  });

  it.each(Object.keys(requests) as (keyof Made)[])("by tags have an effect in %s", async (operation) => {
    const ids = async (...filters: Filter[]) => ((await requests[operation]?.(filters)) ?? []).toSorted();
    expect(await ids(environment, project)).toEqual([own[operation]]);
    expect(await ids(environment)).toEqual([own[operation], ofOtherProject[operation]].toSorted());
    expect(await ids(project)).toEqual([own[operation], ofOtherEnvironment[operation]].toSorted());
    expect(await ids()).toEqual(
      expect.arrayContaining([own, ofOtherEnvironment, ofOtherProject].map((made) => made[operation])),
    );
  });

  it("by VPC and name have an effect in DescribeSecurityGroups", async () => {
    const ids = async (...filters: Filter[]) => (await requests.DescribeSecurityGroups?.(filters)) ?? [];
    const vpc = { Name: "vpc-id", Values: [own.DescribeVpcs] };
    expect(await ids(vpc, nfs)).toEqual([own.nfsGroup]);
    const all = [own, ofOtherEnvironment, ofOtherProject].map(({ nfsGroup }) => nfsGroup);
    expect((await ids(nfs)).toSorted()).toEqual(all.toSorted());
    expect(await ids(vpc)).toContain(own.DescribeSecurityGroups);
    expect(await ids(vpc)).not.toContain(ofOtherEnvironment.DescribeSecurityGroups);
  });
});
