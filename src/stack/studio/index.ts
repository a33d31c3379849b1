import { type ITerraformDependable, TerraformIterator, type TerraformLocal } from "cdktf";
import type { Construct } from "constructs";
import type { EnvironmentRole } from "../identity/execution-role.ts";
import type { UserRoles } from "../identity/user-roles.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { type CustomImage, CustomImages } from "./custom-images.ts";
import { LifecycleConfiguration } from "./lifecycle-configuration.ts";
import { spaceFiles } from "./space-files.ts";
import { StudioDomain } from "./studio-domain.ts";

/** The lifecycle configurations that install marimo in each space, one for each app type. */
export function environmentLifecycleConfiguration(
  scope: Construct,
  { environment, prefix }: EnvironmentContext,
  bucket: EnvironmentBucket,
): LifecycleConfiguration {
  return new LifecycleConfiguration(scope, "lifecycle_configuration", {
    prefix,
    environment: environment.name,
    region: environment.region,
    bucketName: bucket.name,
    script: spaceFiles.startScript,
    profiles: environment.existing.domainId === undefined,
  });
}

/** The custom images of the settings, for the user profiles. */
export function environmentImages(
  scope: Construct,
  { account, environment, prefix }: EnvironmentContext,
): readonly CustomImage[] {
  const { images } = environment;
  if (images.length === 0) return [];
  return new CustomImages(scope, "images", { account, images, prefix }).customImages;
}

export interface EnvironmentDomainProps {
  readonly context: EnvironmentContext;
  readonly network: EnvironmentNetwork;
  readonly role: EnvironmentRole;
  /** The users' own roles. Undefined: everybody has `role`. */
  readonly users: UserRoles | undefined;
  readonly encryptionKeyArn: string;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  readonly customImages: readonly CustomImage[];
  /** Terraform map from each user's name to the instance type that their spaces start with. */
  readonly userProfiles: TerraformLocal;
  readonly domainDependsOn: readonly ITerraformDependable[];
  readonly profilesDependOn: readonly ITerraformDependable[];
}

/** The environment's own Studio domain with its user profiles. */
export function environmentDomain(scope: Construct, props: EnvironmentDomainProps): StudioDomain {
  const { context, role, userProfiles, users, ...others } = props;
  const { environment, prefix } = context;
  return new StudioDomain(scope, "studio", {
    prefix,
    executionRoleArn: role.arn,
    userRoleArn: users?.arnOfEach ?? role.arn,
    authentication: environment.authentication,
    ssoUserNames: Object.fromEntries(
      environment.userProfiles
        .filter(({ name, ssoUserName }) => ssoUserName !== name)
        .map(({ name, ssoUserName }) => [name, ssoUserName]),
    ),
    defaultInstanceType: environment.defaultInstanceType,
    idleTimeoutMinutes: environment.idleTimeoutMinutes,
    repositories: environment.repositories.map(({ repositoryUrl }) => repositoryUrl),
    homeFileSystemRetention: environment.homeFileSystemRetention,
    removalProtection: environment.removalProtection,
    spaceVolumeGb: environment.guardRails.spaceVolumeGb,
    allowedInstanceTypes: environment.guardRails.allowedInstanceTypes,
    userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
    ...others,
  });
}
