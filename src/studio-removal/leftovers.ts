/** What an environment has in an account, whoever knows of it: found by tag and by name, kind by kind. */
import { crc32 } from "node:zlib";
import {
  CloudWatchLogsClient,
  DeleteLogGroupCommand,
  paginateDescribeLogGroups,
} from "@aws-sdk/client-cloudwatch-logs";
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
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  DetachInternetGatewayCommand,
  DisassociateRouteTableCommand,
  EC2Client,
  ReleaseAddressCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type RouteTable,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import { DeleteFileSystemCommand, EFSClient } from "@aws-sdk/client-efs";
import {
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  paginateListRoles,
} from "@aws-sdk/client-iam";
import {
  DeleteAliasCommand,
  DescribeKeyCommand,
  KMSClient,
  ListResourceTagsCommand,
  paginateListAliases,
  paginateListKeys,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import {
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  DeleteDomainCommand,
  DeleteStudioLifecycleConfigCommand,
  paginateListDomains,
  paginateListStudioLifecycleConfigs,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { clientSettings, sizeOf, type Tools, unlessGone, untilGone } from "./aws.ts";
import { contentOf, describeContent } from "./buckets.ts";
import {
  deleteGroups,
  deleteMountTargets,
  domainExists,
  domainOfGroup,
  homeFileSystems,
  mountTargetsOf,
} from "./home-file-systems.ts";
import { findJobs, type JobClients, jobClients } from "./leftover-jobs.ts";
import { deleteMadeInStudio } from "./studio.ts";

export interface LeftoversClients extends JobClients {
  readonly ec2: EC2Client;
  readonly efs: EFSClient;
  readonly iam: IAMClient;
  readonly kms: KMSClient;
  readonly logs: CloudWatchLogsClient;
  readonly s3: S3Client;
}

export function leftoversClients(region: string): LeftoversClients {
  const settings = clientSettings(region);
  return {
    ...jobClients(settings),
    ec2: new EC2Client(settings),
    efs: new EFSClient(settings),
    iam: new IAMClient(settings),
    kms: new KMSClient(settings),
    logs: new CloudWatchLogsClient(settings),
    s3: new S3Client(settings),
    sagemaker: new SageMakerClient(settings),
  };
}

export interface Leftover {
  readonly kind: string;
  /** As AWS and Terraform's state have it: an id or a name. */
  readonly id: string;
  /** Terraform's type, where the id is a name that a resource of another type may have too. */
  readonly type?: string;
  /** What else a person wants to know of it. */
  readonly note?: string;
  /** The domain that SageMaker made it for. */
  readonly domainId?: string;
  /** Holds the files of that domain's people: deleted only with consent to its end. */
  readonly work?: boolean;
  /** The key without which nothing in it can be read. */
  readonly keyId?: string;
  /** What it goes with: a leftover of its own only where Terraform's state has that. */
  readonly partOf?: string;
  /** Made by people with this, as `TYPE id`: no leftover while Terraform's state has it. */
  readonly madeWith?: string;
  readonly remove: () => Promise<unknown>;
}

export interface EnvironmentNames {
  readonly environment: string;
  /** How every name in it begins. */
  readonly prefix: string;
  /** Name of its bucket in this account; that of the access logs adds `-logs`. */
  readonly bucket: string;
}

/**
 * In an order in which each can be deleted after those before it. Nothing here depends on Terraform's state, and nothing is
 * a guess: a resource is the environment's by its tags, by a name that only the stack gives, or by being in its VPC.
 */
export async function findLeftovers(
  names: EnvironmentNames,
  tools: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const keys = await findKeys(names, tools);
  const vpcs = await findVpcs(names, tools);
  const vpcIds = vpcs.map(({ id }) => id);
  return [
    ...(await findJobs(names, tools)),
    ...(await findDomains(names, tools)),
    ...(await findLifecycleConfigurations(names, tools)),
    ...(await findHomeFileSystems({ vpcIds, keyIds: keys.map(({ id }) => id) }, tools)),
    ...(await findNetwork(names, vpcIds, tools)),
    ...vpcs,
    ...(await findBuckets(names, tools)),
    ...(await findLogGroups(names, tools)),
    ...(await findRoles(names, tools)),
    ...(await findAliases(names, tools)),
    ...keys,
  ];
}

async function findDomains(
  { prefix }: EnvironmentNames,
  { clients: { sagemaker }, ...tools }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  for await (const { Domains = [] } of paginateListDomains({ client: sagemaker }, {})) {
    for (const { DomainId = "", DomainName } of Domains) {
      if (DomainName !== prefix) continue;
      found.push({
        kind: "Studio domain",
        id: DomainId,
        note: "alive",
        domainId: DomainId,
        work: true,
        remove: async () => {
          await deleteMadeInStudio(
            { domainId: DomainId, ownProfiles: [] },
            { ...tools, clients: { sagemaker } },
          );
          // The home file system is an entry of its own.
          await sagemaker.send(
            new DeleteDomainCommand({ DomainId, RetentionPolicy: { HomeEfsFileSystem: "Retain" } }),
          );
          const left = async () => ((await domainExists(DomainId, sagemaker)) ? [DomainId] : []);
          await untilGone("domains", left, tools);
        },
      });
    }
  }
  return found;
}

async function findLifecycleConfigurations(
  { prefix }: EnvironmentNames,
  { clients: { sagemaker } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  const query = { NameContains: prefix };
  for await (const page of paginateListStudioLifecycleConfigs({ client: sagemaker }, query)) {
    for (const { StudioLifecycleConfigName: name = "" } of page.StudioLifecycleConfigs ?? []) {
      // As the construct names them: no other environment's, whose name may begin with this one's.
      if (!new RegExp(`^${prefix}-(domain-)?[0-9a-f]{8}$`).test(name)) continue;
      found.push({
        kind: "lifecycle configuration",
        id: name,
        remove: () =>
          sagemaker.send(new DeleteStudioLifecycleConfigCommand({ StudioLifecycleConfigName: name })),
      });
    }
  }
  return found;
}

/** A home file system has none of the environment's tags (provider issue 40592): its VPC or its key tells. */
async function findHomeFileSystems(
  owners: { readonly vpcIds: readonly string[]; readonly keyIds: readonly string[] },
  tools: Tools<LeftoversClients>,
) {
  const { efs } = tools.clients;
  const found: Leftover[] = [];
  for (const { domainId, fileSystem } of await homeFileSystems(efs)) {
    const { FileSystemId = "", KmsKeyId = "", SizeInBytes } = fileSystem;
    const mountTargets = await mountTargetsOf(FileSystemId, efs);
    const inVpc = mountTargets.some(({ VpcId = "" }) => owners.vpcIds.includes(VpcId));
    if (!inVpc && !owners.keyIds.some((id) => KmsKeyId.endsWith(`key/${id}`) || KmsKeyId === id)) continue;
    if (mountTargets.length > 0) {
      found.push({
        kind: "mount targets of",
        id: FileSystemId,
        domainId,
        remove: () => deleteMountTargets(FileSystemId, mountTargets, tools),
      });
    }
    found.push({
      kind: "home file system",
      id: FileSystemId,
      note: `of domain ${domainId}, ${sizeOf(SizeInBytes?.Value ?? 0)}`,
      domainId,
      work: true,
      keyId: KmsKeyId.split("key/").at(-1) ?? KmsKeyId,
      remove: () => efs.send(new DeleteFileSystemCommand({ FileSystemId })),
    });
  }
  return found;
}

const tagFilters = ({ environment }: EnvironmentNames) => [
  { Name: "tag:Project", Values: ["sagemaker-marimo"] },
  { Name: "tag:Environment", Values: [environment] },
];

async function findVpcs(
  names: EnvironmentNames,
  { clients: { ec2 } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({ Filters: tagFilters(names) }));
  return Vpcs.map(({ VpcId = "" }) => ({
    kind: "VPC",
    id: VpcId,
    remove: () => ec2.send(new DeleteVpcCommand({ VpcId })),
  }));
}

async function findNetwork(
  names: EnvironmentNames,
  vpcIds: readonly string[],
  tools: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { ec2 } = tools.clients;
  const Filters = tagFilters(names);
  const flowLogs = await ec2.send(new DescribeFlowLogsCommand({ Filter: Filters }));
  const endpoints = await ec2.send(new DescribeVpcEndpointsCommand({ Filters }));
  const nats = await ec2.send(new DescribeNatGatewaysCommand({ Filter: Filters }));
  const addresses = await ec2.send(new DescribeAddressesCommand({ Filters }));
  const gateways = await ec2.send(new DescribeInternetGatewaysCommand({ Filters }));
  const subnets = await ec2.send(new DescribeSubnetsCommand({ Filters }));
  const tables = await ec2.send(new DescribeRouteTablesCommand({ Filters }));
  const rules = await ec2.send(new DescribeSecurityGroupRulesCommand({ Filters }));
  // SageMaker's own groups carry none of the tags.
  const groups = await ec2.send(
    new DescribeSecurityGroupsCommand(
      vpcIds.length > 0 ? { Filters: [{ Name: "vpc-id", Values: [...vpcIds] }] } : { Filters },
    ),
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
  const removable = (groups.SecurityGroups ?? []).filter(({ GroupName }) => GroupName !== "default");
  return [
    ...(flowLogs.FlowLogs ?? []).map(({ FlowLogId: id = "" }) => ({
      kind: "flow log",
      id,
      remove: () => ec2.send(new DeleteFlowLogsCommand({ FlowLogIds: [id] })),
    })),
    ...(endpoints.VpcEndpoints ?? [])
      .filter(({ State }) => !gone(State))
      .map(({ VpcEndpointId: id = "" }) => ({
        kind: "VPC endpoint",
        id,
        remove: () => ec2.send(new DeleteVpcEndpointsCommand({ VpcEndpointIds: [id] })),
      })),
    ...(nats.NatGateways ?? [])
      .filter(({ State }) => !gone(State))
      .map(({ NatGatewayId: id = "" }) => ({ kind: "NAT gateway", id, remove: () => nat(id) })),
    ...(addresses.Addresses ?? []).map(({ AllocationId: id = "" }) => ({
      kind: "public address",
      id,
      remove: () => ec2.send(new ReleaseAddressCommand({ AllocationId: id })),
    })),
    ...(gateways.InternetGateways ?? []).map(({ InternetGatewayId: id = "", Attachments = [] }) => ({
      kind: "internet gateway",
      id,
      remove: async () => {
        for (const { VpcId } of Attachments) {
          await ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: id, VpcId }));
        }
        await ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId: id }));
      },
    })),
    ...(rules.SecurityGroupRules ?? []).map(({ GroupId, IsEgress, SecurityGroupRuleId: id = "" }) => ({
      kind: "security group rule",
      id,
      note: `of ${GroupId}`,
      remove: () => {
        const rule = { GroupId, SecurityGroupRuleIds: [id] };
        return unlessGone(async () => {
          if (IsEgress) await ec2.send(new RevokeSecurityGroupEgressCommand(rule));
          else await ec2.send(new RevokeSecurityGroupIngressCommand(rule));
        });
      },
    })),
    ...groupsToRemove(removable, tools),
    ...(tables.RouteTables ?? []).flatMap((table) => partsOfRouteTable(table, ec2)),
    ...(subnets.Subnets ?? []).map(({ SubnetId: id = "" }) => ({
      kind: "subnet",
      id,
      remove: () => ec2.send(new DeleteSubnetCommand({ SubnetId: id })),
    })),
    ...(tables.RouteTables ?? []).map(({ RouteTableId: id = "", Associations = [] }) => ({
      kind: "route table",
      id,
      remove: async () => {
        // EC2 deletes no route table that a subnet still has (EC2 API, DeleteRouteTable).
        for (const { Main, RouteTableAssociationId: AssociationId } of Associations) {
          if (Main) continue;
          await unlessGone(() => ec2.send(new DisassociateRouteTableCommand({ AssociationId })));
        }
        await ec2.send(new DeleteRouteTableCommand({ RouteTableId: id }));
      },
    })),
  ];
}

/** The stack's one route in each of its tables. People's own, to a peer for example, are none of its leftovers. */
const defaultRoute = "0.0.0.0/0";

/** They have no tags, and each is in the way of the apply that makes it again. */
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
      // EC2 gives a route no id: the provider makes one (terraform-provider-aws, `routeCreateID`).
      id: `r-${RouteTableId}${crc32(defaultRoute)}`,
      note: `to ${defaultRoute} in ${RouteTableId}`,
      partOf: RouteTableId,
      remove: () => unlessGone(() => ec2.send(new DeleteRouteCommand(route))),
    })),
  ];
}

/** SageMaker's two groups of a domain name each other, so they go together. */
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
      ...(domainId === undefined ? {} : { domainId }),
      remove: () => deleteGroups(together, tools),
    };
  });
}

async function findBuckets(
  { bucket }: EnvironmentNames,
  { clients: { s3 } }: Tools<LeftoversClients>,
): Promise<Leftover[]> {
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
  const found: Leftover[] = [];
  for (const { Name = "" } of Buckets) {
    if (Name !== bucket && Name !== `${bucket}-logs`) continue;
    const note = describeContent(await contentOf(Name, [], s3));
    const type = "aws_s3_bucket";
    found.push({ kind: "bucket", id: Name, type, note, remove: () => deleteBucket(Name, s3) });
  }
  return found;
}

async function deleteBucket(Bucket: string, s3: S3Client): Promise<void> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (Objects.length === 0) break;
    const { Errors = [] } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    if (Errors[0]) throw new Error(`S3 does not delete ${Errors[0].Key} of ${Bucket}: ${Errors[0].Message}`);
  }
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

async function findLogGroups({ prefix }: EnvironmentNames, { clients: { logs } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  const name = `${prefix}-vpc-flow-logs`;
  for await (const page of paginateDescribeLogGroups({ client: logs }, { logGroupNamePrefix: name })) {
    for (const { logGroupName } of page.logGroups ?? []) {
      if (logGroupName !== name) continue;
      found.push({
        kind: "log group",
        id: name,
        type: "aws_cloudwatch_log_group",
        remove: () => logs.send(new DeleteLogGroupCommand({ logGroupName })),
      });
    }
  }
  return found;
}

async function findRoles({ prefix }: EnvironmentNames, { clients: { iam } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  const own = ["execution", "jobs", "pipelines", "scheduler", "vpc-flow-logs"].map(
    (name) => `${prefix}-${name}`,
  );
  for await (const { Roles = [] } of paginateListRoles({ client: iam }, {})) {
    for (const { RoleName = "" } of Roles) {
      if (!own.includes(RoleName)) continue;
      found.push({
        kind: "role",
        id: RoleName,
        type: "aws_iam_role",
        remove: async () => {
          const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
          for (const PolicyName of PolicyNames)
            await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }));
          await iam.send(new DeleteRoleCommand({ RoleName }));
        },
      });
    }
  }
  return found;
}

async function findAliases({ prefix }: EnvironmentNames, { clients: { kms } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  for await (const { Aliases = [] } of paginateListAliases({ client: kms }, {})) {
    for (const { AliasName = "" } of Aliases) {
      if (AliasName !== `alias/${prefix}`) continue;
      found.push({
        kind: "key alias",
        id: AliasName,
        remove: () => kms.send(new DeleteAliasCommand({ AliasName })),
      });
    }
  }
  return found;
}

async function findKeys({ environment }: EnvironmentNames, { clients: { kms } }: Tools<LeftoversClients>) {
  const found: Leftover[] = [];
  for await (const { Keys = [] } of paginateListKeys({ client: kms }, {})) {
    for (const { KeyId = "" } of Keys) {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      if (KeyMetadata?.KeyManager !== "CUSTOMER" || KeyMetadata.KeyState === "PendingDeletion") continue;
      const answer = await unlessGone(() => kms.send(new ListResourceTagsCommand({ KeyId })));
      const tags = new Map((answer?.Tags ?? []).map(({ TagKey, TagValue }) => [TagKey, TagValue]));
      if (tags.get("Project") !== "sagemaker-marimo" || tags.get("Environment") !== environment) continue;
      found.push({
        kind: "key",
        id: KeyId,
        note: "deleted after 7 days, in which `aws kms cancel-key-deletion` takes it back",
        remove: () => kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 })),
      });
    }
  }
  return found;
}
