/** SageMaker's home file systems and the two security groups around each, which outlive their domain. */
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

/** SageMaker names both groups of a domain after it. */
const groupName = /^security-group-for-(?:inbound|outbound)-nfs-(d-[a-z0-9-]+)$/;

/** SageMaker puts this tag, with the ARN of the domain, on the home file system. */
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

/** The domain that a group was made for, by its name. */
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
  // Each names the other, so neither can go before both have lost their rules.
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
        // Network interfaces of the apps and mount targets may outlive them by some minutes.
        if (!(error instanceof Error) || error.name !== "DependencyViolation") throw error;
        if (attempt === attempts) {
          throw new Error(
            `${GroupId} (${GroupName}) is still in use after 10 minutes: ${error.message}. See which network ` +
              "interfaces have it (EC2 console, Network interfaces), then destroy again: it goes on from here",
          );
        }
        if (attempt === 0) log(`${GroupId} is still in use, waiting`);
        await wait(pause(attempt));
      }
    }
    log(`deleted ${GroupId} (${GroupName})`);
  }
}
