import { DeleteFileSystemCommand } from "@aws-sdk/client-efs";
import {
  DeleteAppImageConfigCommand,
  DeleteDomainCommand,
  DeleteImageCommand,
  DeleteStudioLifecycleConfigCommand,
  ListTagsCommand,
  paginateListAppImageConfigs,
  paginateListDomains,
  paginateListImages,
  paginateListStudioLifecycleConfigs,
} from "@aws-sdk/client-sagemaker";
import { sizeOf, type Tools, unlessGone, untilGone } from "../removal/aws.ts";
import {
  deleteMountTargets,
  domainExists,
  homeFileSystems,
  mountTargetsOf,
} from "../removal/home-file-systems.ts";
import { deleteMadeInStudio } from "../removal/studio.ts";
import type { LeftoversClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

export async function findDomains(
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
        note: "exists",
        domainId: DomainId,
        work: true,
        remove: async () => {
          await deleteMadeInStudio(
            { domainId: DomainId, ownProfiles: [] },
            { ...tools, clients: { sagemaker } },
          );
          // The home file system is a separate leftover.
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

/** By the names that `LifecycleConfiguration` gives. It excludes environments whose name starts with this one's. */
export const isLifecycleConfigurationOf = (prefix: string, name: string) =>
  new RegExp(`^${prefix}-(code-editor-)?(domain-)?[0-9a-f]{8}$`).test(name);

export async function findLifecycleConfigurations(
  { prefix }: EnvironmentNames,
  { clients: { sagemaker } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  const query = { NameContains: prefix };
  for await (const page of paginateListStudioLifecycleConfigs({ client: sagemaker }, query)) {
    for (const { StudioLifecycleConfigName: name = "" } of page.StudioLifecycleConfigs ?? []) {
      if (!isLifecycleConfigurationOf(prefix, name)) continue;
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

export async function findImages(
  names: EnvironmentNames,
  { clients: { sagemaker } }: Tools<LeftoversClients>,
) {
  const found: Leftover[] = [];
  const query = { NameContains: names.prefix };
  const hasOwnTags = async (ResourceArn = "") => {
    const answer = await unlessGone(() => sagemaker.send(new ListTagsCommand({ ResourceArn })));
    return isOwn(answer?.Tags, names);
  };
  for await (const { Images = [] } of paginateListImages({ client: sagemaker }, query)) {
    for (const { ImageArn, ImageName } of Images) {
      if (!(await hasOwnTags(ImageArn))) continue;
      found.push({
        kind: "custom image",
        id: ImageName ?? "",
        type: "aws_sagemaker_image",
        // Also its versions (SageMaker API, DeleteImage).
        remove: () => sagemaker.send(new DeleteImageCommand({ ImageName })),
      });
    }
  }
  for await (const page of paginateListAppImageConfigs({ client: sagemaker }, query)) {
    for (const { AppImageConfigArn, AppImageConfigName } of page.AppImageConfigs ?? []) {
      if (!(await hasOwnTags(AppImageConfigArn))) continue;
      found.push({
        kind: "app image configuration",
        id: AppImageConfigName ?? "",
        type: "aws_sagemaker_app_image_config",
        remove: () => sagemaker.send(new DeleteAppImageConfigCommand({ AppImageConfigName })),
      });
    }
  }
  return found;
}

/**
 * A home file system lacks the environment's tags (terraform-provider-aws issue 40592), so its VPC or key identifies
 * it.
 */
export async function findHomeFileSystems(
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
