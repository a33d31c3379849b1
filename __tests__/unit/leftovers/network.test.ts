import { EC2Client } from "@aws-sdk/client-ec2";
import { describe, expect, it } from "vitest";
import type { LeftoversClients } from "../../../src/leftovers/clients.ts";
import { findNetwork, findVpcs } from "../../../src/leftovers/network.ts";

const names = { account: "123456789012", environment: "dev", prefix: "marimo-dev", bucket: "b" };
const tags = (environment: string) => [
  { Key: "Project", Value: "sagemaker-marimo" },
  { Key: "Environment", Value: environment },
];

/** An EC2 that ignores filters: each list has one resource of `dev` and one of `prod`. */
function withoutFilters() {
  const both = (key: string) => ["dev", "prod"].map((one) => ({ [key]: `${key} ${one}`, Tags: tags(one) }));
  const group = (one: string) => ({ GroupId: `GroupId ${one}`, VpcId: `VpcId ${one}`, GroupName: "studio" });
  const answers: Record<string, object> = {
    DescribeVpcs: { Vpcs: both("VpcId") },
    DescribeFlowLogs: { FlowLogs: both("FlowLogId") },
    DescribeVpcEndpoints: { VpcEndpoints: both("VpcEndpointId") },
    DescribeNatGateways: { NatGateways: both("NatGatewayId") },
    DescribeAddresses: { Addresses: both("AllocationId") },
    DescribeInternetGateways: { InternetGateways: both("InternetGatewayId") },
    DescribeSubnets: { Subnets: both("SubnetId") },
    DescribeRouteTables: { RouteTables: both("RouteTableId") },
    DescribeSecurityGroups: { SecurityGroups: ["dev", "prod"].map(group) },
  };
  const ec2 = new EC2Client({ region: "us-east-1" });
  ec2.middlewareStack.add(
    (_next, { commandName = "" }) =>
      async () => ({
        output: { ...answers[commandName.replace(/Command$/, "")], $metadata: {} } as never,
        response: {},
      }),
    { step: "initialize" },
  );
  const log = () => {};
  return { clients: { ec2 } as LeftoversClients, log, wait: async () => undefined };
}

describe("the leftovers of a network", () => {
  it("are only those with the environment's tags, and groups in its VPC, even if EC2 answers with more", async () => {
    const tools = withoutFilters();
    const vpcs = await findVpcs(names, tools);
    const found = [...vpcs, ...(await findNetwork(names, ["VpcId dev"], tools))];
    expect(found.map(({ kind }) => kind)).toEqual([
      ...["VPC", "flow log", "VPC endpoint", "NAT gateway", "Elastic IP address", "internet gateway"],
      ...["security group", "subnet", "route table"],
    ]);
    expect(found.filter(({ id }) => !id.endsWith(" dev"))).toEqual([]);
    // Control: the other environment has its own.
    const others = await findVpcs({ ...names, environment: "prod" }, tools);
    expect(others.map(({ id }) => id)).toEqual(["VpcId prod"]);
  });
});
