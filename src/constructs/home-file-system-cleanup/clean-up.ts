/**
 * Run by Terraform between the destruction of a Studio domain and that of its network: see ../home-file-system-cleanup.ts.
 * Uses the caller's own credentials, which need not be those of Terraform's provider: hence the look at the account.
 */
import { realpathSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  DeleteSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from "@aws-sdk/client-ec2";
import {
  DeleteFileSystemCommand,
  DeleteMountTargetCommand,
  DescribeMountTargetsCommand,
  EFSClient,
  type FileSystemDescription,
  type MountTargetDescription,
  paginateDescribeFileSystems,
} from "@aws-sdk/client-efs";
import { DescribeDomainCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

export interface CleanUpOptions {
  readonly region: string;
  readonly account: string;
  readonly vpcId: string;
  readonly retention: "Retain" | "Delete";
}

export interface Clients {
  readonly ec2: Pick<EC2Client, "send">;
  readonly efs: EFSClient;
  readonly sagemaker: Pick<SageMakerClient, "send">;
  readonly sts: Pick<STSClient, "send">;
}

export interface CleanUpTools {
  readonly clients: Clients;
  readonly log: (line: string) => void;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

/** SageMaker names both groups of a domain after it. */
const groupName = /^security-group-for-(?:inbound|outbound)-nfs-(d-[a-z0-9-]+)$/;

/** SageMaker puts this tag, with the ARN of the domain, on the home file system. */
const ownerTag = "ManagedByAmazonSageMakerResource";

/** Attempts and pauses of each wait: 2 s, 4 s, 8 s, then 15 s each, 10 minutes in all. */
const attempts = 43;
const pause = (attempt: number) => Math.min(15_000, 2_000 * 2 ** attempt);

export async function cleanUp(options: CleanUpOptions, tools: CleanUpTools): Promise<void> {
  const { clients, log } = tools;
  const { Account } = await clients.sts.send(new GetCallerIdentityCommand({}));
  if (Account !== options.account) {
    throw new Error(
      `the credentials at hand are for account ${Account}, the environment is in ${options.account}: ` +
        "nothing was deleted. Destroy again with that account's credentials (AWS_PROFILE or the AWS_… variables)",
    );
  }

  const groups = await nfsGroups(options, tools);
  const homes = await homeFileSystems(options, tools);
  const domains = new Set([...groups, ...homes].map(({ domainId }) => domainId));
  for (const domainId of domains) {
    if (!(await domainExists(domainId, clients))) continue;
    log(
      `domain ${domainId} still exists in ${options.vpcId}: its file system and security groups are left alone`,
    );
    domains.delete(domainId);
  }
  if (domains.size === 0) {
    log(`no deleted domain left anything in ${options.vpcId}`);
    return;
  }

  for (const { domainId, fileSystem, mountTargets } of homes) {
    if (!domains.has(domainId)) continue;
    const id = fileSystem.FileSystemId ?? "";
    await deleteMountTargets(id, mountTargets, tools);
    if (options.retention === "Delete") {
      await unlessGone(() => clients.efs.send(new DeleteFileSystemCommand({ FileSystemId: id })));
      log(`deleted home file system ${id}`);
    } else {
      log(`kept home file system ${id} of domain ${domainId}, which now has no mount targets`);
      if (fileSystem.KmsKeyId) {
        log(
          `it is encrypted with ${fileSystem.KmsKeyId}: if this destroy deletes that key, the files are lost for`,
        );
        log("good when its waiting time ends, unless you call aws kms cancel-key-deletion before");
      }
    }
  }
  const leftGroups = groups.filter(({ domainId }) => domains.has(domainId)).map(({ group }) => group);
  await deleteGroups(leftGroups, tools);
}

async function nfsGroups({ vpcId }: CleanUpOptions, { clients }: CleanUpTools) {
  const { SecurityGroups = [] } = await clients.ec2.send(
    new DescribeSecurityGroupsCommand({
      Filters: [
        { Name: "vpc-id", Values: [vpcId] },
        { Name: "group-name", Values: ["security-group-for-*bound-nfs-*"] },
      ],
    }),
  );
  return SecurityGroups.flatMap((group) => {
    const domainId = groupName.exec(group.GroupName ?? "")?.[1];
    return domainId === undefined ? [] : [{ domainId, group }];
  });
}

/** SageMaker's file systems with a mount target in the VPC. One without any is in nobody's way. */
async function homeFileSystems({ vpcId }: CleanUpOptions, { clients }: CleanUpTools) {
  const found: {
    domainId: string;
    fileSystem: FileSystemDescription;
    mountTargets: MountTargetDescription[];
  }[] = [];
  for await (const page of paginateDescribeFileSystems({ client: clients.efs }, {})) {
    for (const fileSystem of page.FileSystems ?? []) {
      const owner = fileSystem.Tags?.find(({ Key }) => Key === ownerTag)?.Value;
      const domainId = owner?.split(":domain/")[1];
      if (domainId === undefined) continue;
      const mountTargets = await mountTargetsOf(fileSystem.FileSystemId ?? "", clients);
      if (mountTargets.some((target) => target.VpcId === vpcId)) {
        found.push({ domainId, fileSystem, mountTargets });
      }
    }
  }
  return found;
}

async function mountTargetsOf(FileSystemId: string, { efs }: Clients): Promise<MountTargetDescription[]> {
  const answer = await unlessGone(() => efs.send(new DescribeMountTargetsCommand({ FileSystemId })));
  return answer?.MountTargets ?? [];
}

async function domainExists(DomainId: string, { sagemaker }: Clients): Promise<boolean> {
  return (await unlessGone(() => sagemaker.send(new DescribeDomainCommand({ DomainId })))) !== undefined;
}

async function deleteMountTargets(
  fileSystemId: string,
  mountTargets: readonly MountTargetDescription[],
  { clients, log, wait }: CleanUpTools,
) {
  for (const { MountTargetId } of mountTargets) {
    await unlessGone(() => clients.efs.send(new DeleteMountTargetCommand({ MountTargetId })));
  }
  for (let attempt = 0; ; attempt++) {
    const left = await mountTargetsOf(fileSystemId, clients);
    if (left.length === 0) break;
    if (attempt === attempts) {
      throw new Error(
        `EFS has not deleted ${left.map((target) => target.MountTargetId).join(", ")} of ${fileSystemId} within ` +
          "10 minutes. Destroy again: it goes on from here",
      );
    }
    await wait(pause(attempt));
  }
  log(`deleted ${mountTargets.length} mount targets of ${fileSystemId}`);
}

async function deleteGroups(groups: readonly SecurityGroup[], { clients: { ec2 }, log, wait }: CleanUpTools) {
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

/** What a call answers, or undefined where its subject does not exist (any more): each service has its own name for it. */
async function unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && /NotFound/.test(error.name)) return undefined;
    throw error;
  }
}

function optionsFromEnvironment(env: NodeJS.ProcessEnv): CleanUpOptions {
  const of = (name: string): string => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set: Terraform runs this script, with what the stack knows`);
    return value;
  };
  const retention = of("CLEAN_UP_RETENTION");
  if (retention !== "Retain" && retention !== "Delete") {
    throw new Error(`CLEAN_UP_RETENTION is "${retention}": "Retain" or "Delete" is allowed`);
  }
  return {
    region: of("CLEAN_UP_REGION"),
    account: of("CLEAN_UP_ACCOUNT"),
    vpcId: of("CLEAN_UP_VPC_ID"),
    retention,
  };
}

async function main(): Promise<void> {
  try {
    const options = optionsFromEnvironment(process.env);
    const config = {
      region: options.region,
      maxAttempts: 6,
      requestHandler: { connectionTimeout: 5_000, requestTimeout: 30_000 },
    };
    await cleanUp(options, {
      clients: {
        ec2: new EC2Client(config),
        efs: new EFSClient(config),
        sagemaker: new SageMakerClient(config),
        sts: new STSClient(config),
      },
      log: (line) => console.log(line),
      wait: (milliseconds) => setTimeout(milliseconds),
    });
  } catch (error) {
    console.error(`home file system clean-up: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

const runAs = process.argv[1];
if (runAs !== undefined && realpathSync(runAs) === fileURLToPath(import.meta.url)) await main();
