/**
 * Terraform runs this script after it deletes a Studio domain and before its network:
 * ../stack/removal/home-file-system-cleanup.ts.
 */
import { EC2Client } from "@aws-sdk/client-ec2";
import { DeleteFileSystemCommand, EFSClient } from "@aws-sdk/client-efs";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { STSClient } from "@aws-sdk/client-sts";
import {
  checkAccount,
  clientSettings,
  retentionOf,
  runAsScript,
  type Tools,
  unlessGone,
  variable,
} from "./aws.ts";
import {
  deleteGroups,
  deleteMountTargets,
  domainExists,
  homeFileSystems,
  mountTargetsOf,
  nfsGroups,
} from "./home-file-systems.ts";

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

export async function cleanUp(options: CleanUpOptions, tools: Tools<Clients>): Promise<void> {
  const { clients, log } = tools;
  await checkAccount(options.account, clients.sts);

  const groups = await nfsGroups(options.vpcId, clients.ec2);
  const homes = await homesWithin(options.vpcId, clients.efs);
  const domains = new Set([...groups, ...homes].map(({ domainId }) => domainId));
  for (const domainId of domains) {
    if (!(await domainExists(domainId, clients.sagemaker))) continue;
    log(`domain ${domainId} still exists in ${options.vpcId}: its file system and security groups are kept`);
    domains.delete(domainId);
  }
  if (domains.size === 0) {
    log(`deleted domains left nothing in ${options.vpcId}`);
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
      log(`kept home file system ${id} of domain ${domainId} in ${options.region}. It has no mount targets,`);
      log("a new domain does not use it, and notebooks in spaces were on the spaces' volumes instead.");
      log("To access its files, run this command for any VPC of the region:");
      log(
        `aws efs create-mount-target --region ${options.region} --file-system-id ${id} ` +
          "--subnet-id SUBNET --security-groups GROUP_THAT_ALLOWS_PORT_2049",
      );
      log("Then mount it and copy the files as described in src/stack/removal/destroy.md");
    }
  }
  const leftGroups = groups.filter(({ domainId }) => domains.has(domainId)).map(({ group }) => group);
  await deleteGroups(leftGroups, tools);
}

/** SageMaker's file systems with a mount target in the VPC. One without mount targets does not block the destroy. */
async function homesWithin(vpcId: string, efs: EFSClient) {
  const found = [];
  for (const home of await homeFileSystems(efs)) {
    const mountTargets = await mountTargetsOf(home.fileSystem.FileSystemId ?? "", efs);
    if (mountTargets.some((target) => target.VpcId === vpcId)) found.push({ ...home, mountTargets });
  }
  return found;
}

await runAsScript(import.meta.url, "home file system clean-up", async (env, tools) => {
  const options = {
    region: variable(env, "CLEAN_UP_REGION"),
    account: variable(env, "CLEAN_UP_ACCOUNT"),
    vpcId: variable(env, "CLEAN_UP_VPC_ID"),
    retention: retentionOf(env, "CLEAN_UP_RETENTION"),
  };
  const settings = clientSettings(options.region);
  await cleanUp(options, {
    ...tools,
    clients: {
      ec2: new EC2Client(settings),
      efs: new EFSClient(settings),
      sagemaker: new SageMakerClient(settings),
      sts: new STSClient(settings),
    },
  });
});
