/** SageMaker's home file systems and their two security groups, which SageMaker keeps after it deletes the domain. */
import {
  DeleteSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  type EC2Client,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import {
  DeleteMountTargetCommand,
  DescribeMountTargetsCommand,
  type EFSClient,
  type FileSystemDescription,
  type MountTargetDescription,
  paginateDescribeFileSystems,
} from "@aws-sdk/client-efs";
import { DescribeDomainCommand, type SageMakerClient } from "@aws-sdk/client-sagemaker";
import { attempts, pause, type Tools, unlessGone, untilGone } from "./aws.ts";

/** The names of both groups contain the domain's ID. */
const groupName = /^security-group-for-(?:inbound|outbound)-nfs-(d-[a-z0-9-]+)$/;

/** SageMaker's tag on a home file system. Its value is the ARN of the domain. */
const ownerTag = "ManagedByAmazonSageMakerResource";

export interface HomeFileSystem {
  readonly domainId: string;
  readonly fileSystem: FileSystemDescription;
}

export async function homeFileSystems(efs: EFSClient): Promise<HomeFileSystem[]> {
  const found: HomeFileSystem[] = [];
  for await (const page of paginateDescribeFileSystems({ client: efs }, {})) {
    for (const fileSystem of page.FileSystems ?? []) {
      const owner = fileSystem.Tags?.find(({ Key }) => Key === ownerTag)?.Value;
      const domainId = owner?.split(":domain/")[1];
      if (domainId !== undefined) found.push({ domainId, fileSystem });
    }
  }
  return found;
}

/** The domain in the name of a group that SageMaker created. */
export const domainOfGroup = (name = ""): string | undefined => groupName.exec(name)?.[1];

export async function nfsGroups(vpcId: string, ec2: Pick<EC2Client, "send">) {
  const { SecurityGroups = [] } = await ec2.send(
    new DescribeSecurityGroupsCommand({
      Filters: [
        { Name: "vpc-id", Values: [vpcId] },
        { Name: "group-name", Values: ["security-group-for-*bound-nfs-*"] },
      ],
    }),
  );
  return SecurityGroups.flatMap((group) => {
    const domainId = domainOfGroup(group.GroupName);
    return domainId === undefined ? [] : [{ domainId, group }];
  });
}

export async function mountTargetsOf(
  FileSystemId: string,
  efs: Pick<EFSClient, "send">,
): Promise<MountTargetDescription[]> {
  const answer = await unlessGone(() => efs.send(new DescribeMountTargetsCommand({ FileSystemId })));
  return answer?.MountTargets ?? [];
}

export async function domainExists(
  DomainId: string,
  sagemaker: Pick<SageMakerClient, "send">,
): Promise<boolean> {
  return (await unlessGone(() => sagemaker.send(new DescribeDomainCommand({ DomainId })))) !== undefined;
}

export async function deleteMountTargets(
  fileSystemId: string,
  mountTargets: readonly MountTargetDescription[],
  tools: Tools<{ readonly efs: Pick<EFSClient, "send"> }>,
): Promise<void> {
  const { efs } = tools.clients;
  for (const { MountTargetId } of mountTargets) {
    await unlessGone(() => efs.send(new DeleteMountTargetCommand({ MountTargetId })));
  }
  const left = async () =>
    (await mountTargetsOf(fileSystemId, efs)).map(({ MountTargetId }) => String(MountTargetId));
  await untilGone("mount targets", left, tools);
  tools.log(`deleted ${mountTargets.length} mount targets of ${fileSystemId}`);
}

export async function deleteGroups(
  groups: readonly SecurityGroup[],
  { clients: { ec2 }, log, wait }: Tools<{ readonly ec2: Pick<EC2Client, "send"> }>,
): Promise<void> {
  // The groups refer to each other, so the rules of both must be removed first.
  for (const { GroupId, IpPermissions = [], IpPermissionsEgress = [] } of groups) {
    if (IpPermissions.length > 0) {
      await unlessGone(() => ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions })));
    }
    if (IpPermissionsEgress.length > 0) {
      await unlessGone(() =>
        ec2.send(new RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: IpPermissionsEgress })),
      );
    }
  }
  for (const { GroupId, GroupName } of groups) {
    for (let attempt = 0; ; attempt++) {
      try {
        await unlessGone(() => ec2.send(new DeleteSecurityGroupCommand({ GroupId })));
        break;
      } catch (error) {
        // EC2 can keep the network interfaces of apps and mount targets for some minutes.
        if (!(error instanceof Error) || error.name !== "DependencyViolation") throw error;
        if (attempt === attempts) {
          throw new Error(
            `${GroupId} (${GroupName}) is still in use after 10 minutes: ${error.message}. Find the network ` +
              "interfaces that use it (EC2 console, Network interfaces), then destroy again to continue",
          );
        }
        if (attempt === 0) log(`${GroupId} is still in use, waiting`);
        await wait(pause(attempt));
      }
    }
    log(`deleted ${GroupId} (${GroupName})`);
  }
}
