import { SagemakerDomain } from "@cdktf/provider-aws/lib/sagemaker-domain/index.js";
import { SagemakerUserProfile } from "@cdktf/provider-aws/lib/sagemaker-user-profile/index.js";
import { Fn, type ITerraformDependable, type MapTerraformIterator, TerraformLocal, Token } from "cdktf";
import { Construct } from "constructs";
import { userTag } from "../../settings/names.ts";
import { providerInstanceTypes, studioInstanceTypes } from "../../settings/reference/instance-types.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import { SpaceSecurityGroup } from "../network/space-security-group.ts";
import { checkPrefix } from "../support/prefix.ts";
import type { CustomImage } from "./custom-images.ts";
import type { LifecycleConfiguration } from "./lifecycle-configuration.ts";

export interface StudioDomainProps {
  /** Name of the domain, and prefix of all other names. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly network: EnvironmentNetwork;
  /** Role of shared spaces and of people added by hand. It cannot change: see the class. */
  readonly executionRoleArn: string;
  /** Role of the private spaces of each user, with its name as `${each.key}`. */
  readonly userRoleArn: string;
  /** KMS key of the home file system and of the spaces' volumes. */
  readonly encryptionKeyArn: string;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  readonly authentication: "IAM" | "SSO";
  /**
   * With `SSO`: the names in IAM Identity Center of users who have another one than their profile, by the profile's name.
   * @default each user has the name of the profile
   */
  readonly ssoUserNames?: Readonly<Record<string, string>> | undefined;
  /** Of shared spaces and of people added by hand. */
  readonly defaultInstanceType: string;
  /** Minutes. Limit: 60-525600 (SageMaker API, `IdleTimeoutInMinutes`). */
  readonly idleTimeoutMinutes: number;
  /** Addresses of git repositories that JupyterLab offers to clone. Limit: 10 (SageMaker API, `CodeRepositories`). */
  readonly repositories: readonly string[];
  /** Images that the spaces of `userProfiles` can choose beside Studio's own. */
  readonly customImages: readonly CustomImage[];
  /** What happens to users' files when the domain is destroyed. */
  readonly homeFileSystemRetention: "Retain" | "Delete";
  /** Whether Terraform refuses to destroy the domain (`prevent_destroy`). */
  readonly removalProtection: boolean;
  /** Size of a new space's volume, and the largest that a user may choose. */
  readonly spaceVolumeGb: { readonly default: number; readonly maximum: number };
  /** Instance types that Studio shows. @default every type */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
  /** Each user's name, with the instance type that their spaces start with. */
  readonly userProfiles: MapTerraformIterator;
  /** Resources that the domain needs but does not refer to. It is destroyed before them. */
  readonly domainDependsOn: readonly ITerraformDependable[];
  /** Resources that must exist before the first user opens Studio. */
  readonly profilesDependOn: readonly ITerraformDependable[];
}

/**
 * The domain and its user profiles.
 *
 * A change of name, authentication, VPC, subnets or key replaces the domain with its home directories. The provider cannot
 * update anything else of a VpcOnly domain (provider issue 45528), including the retention. Settings that may change later
 * are therefore on the user profiles, which private spaces use. Users added by hand and shared spaces use the domain's
 * settings; its app, storage and portal settings stay as first applied (`ignore_changes`). Change those with
 * `aws sagemaker update-domain`. Custom images are on the profiles only: the domain would name a deleted one for ever.
 */
export class StudioDomain extends Construct {
  readonly domain: SagemakerDomain;
  /** One resource with an instance for each user, by name. */
  readonly userProfiles: SagemakerUserProfile;

  constructor(scope: Construct, id: string, props: StudioDomainProps) {
    super(scope, id);
    const { customImages, lifecycleConfiguration, network, prefix, repositories, userProfiles } = props;
    checkPrefix(this, prefix);
    const appLifecycleManagement = {
      idleSettings: {
        lifecycleManagement: "ENABLED",
        idleTimeoutInMinutes: props.idleTimeoutMinutes,
        // What people may choose for a space of their own: an hour, the least that SageMaker takes, up to the
        // setting. Left out, the provider sends 0 for both.
        minIdleTimeoutInMinutes: 60,
        maxIdleTimeoutInMinutes: props.idleTimeoutMinutes,
      },
    };
    const jupyterLab = (lifecycleConfigurationArn: string, instanceType: string) => ({
      builtInLifecycleConfigArn: lifecycleConfigurationArn,
      // Nothing of the image is named here: a space takes Studio's default.
      defaultResourceSpec: { instanceType },
      appLifecycleManagement,
      ...(repositories.length > 0
        ? { codeRepository: repositories.map((repositoryUrl) => ({ repositoryUrl })) }
        : {}),
    });
    // Shared spaces have no Code Editor (SageMaker API, DefaultSpaceSettings).
    const privateOnly = (lifecycleConfigurationArn: string) => ({
      codeEditorAppSettings: { builtInLifecycleConfigArn: lifecycleConfigurationArn, appLifecycleManagement },
    });
    const sharedGroup = new SpaceSecurityGroup(this, "shared", {
      name: `${prefix}-studio`,
      description: "Shared spaces",
      vpcId: network.vpcId,
      https: network.https,
    });
    // Private spaces have the domain's group beside the profile's (SageMaker API, CreateDomain, DefaultUserSettings):
    // what this one allowed within itself, it would allow between people. NFS passes by a group that SageMaker adds
    // (UserSettings, SecurityGroups).
    const everyonesGroup = new SpaceSecurityGroup(this, "everyone", {
      name: `${prefix}-everyone`,
      description: "Private spaces, of people added by hand too",
      vpcId: network.vpcId,
      https: network.https,
      within: [],
    });
    const shared = {
      executionRole: props.executionRoleArn,
      securityGroups: [sharedGroup.groupId],
      jupyterLabAppSettings: jupyterLab(lifecycleConfiguration.jupyterLab.domain, props.defaultInstanceType),
      spaceStorageSettings: {
        defaultEbsStorageSettings: {
          defaultEbsVolumeSizeInGb: props.spaceVolumeGb.default,
          maximumEbsVolumeSizeInGb: props.spaceVolumeGb.maximum,
        },
      },
    };
    const { allowedInstanceTypes = studioInstanceTypes } = props;
    // Hiding refuses nothing by itself: `GuardRails` does.
    const hidden = providerInstanceTypes.filter((type) => !allowedInstanceTypes.includes(type));
    const portal = {
      studioWebPortal: "ENABLED",
      defaultLandingUri: "studio::",
      // The provider sends no empty list: types that were hidden would stay so, and each plan would differ. Guess: only the
      // geospatial image of Studio Classic runs on this type.
      studioWebPortalSettings: {
        hiddenInstanceTypes: hidden.length > 0 ? hidden : ["ml.geospatial.interactive"],
      },
    };

    this.domain = new SagemakerDomain(this, "domain", {
      domainName: prefix,
      authMode: props.authentication,
      appNetworkAccessType: "VpcOnly",
      vpcId: network.vpcId,
      subnetIds: [...network.privateSubnetIds],
      kmsKeyId: props.encryptionKeyArn,
      // Private spaces take the first, shared spaces the second: neither stands in for the other.
      defaultUserSettings: {
        ...shared,
        ...privateOnly(lifecycleConfiguration.codeEditor.domain),
        securityGroups: [everyonesGroup.groupId],
        ...portal,
      },
      defaultSpaceSettings: shared,
      retentionPolicy: { homeEfsFileSystem: props.homeFileSystemRetention },
      // Tags reach the spaces and apps; the home file system gets none of them (provider issue 40592).
      tagPropagation: "ENABLED",
      lifecycle: {
        preventDestroy: props.removalProtection,
        ignoreChanges: [
          ...["default_user_settings", "default_space_settings"].flatMap((settings) => [
            `${settings}[0].jupyter_lab_app_settings`,
            `${settings}[0].space_storage_settings`,
          ]),
          "default_user_settings[0].code_editor_app_settings",
          "default_user_settings[0].studio_web_portal_settings",
        ],
      },
      dependsOn: [...props.domainDependsOn],
    });

    // A group each, so that one person's apps cannot reach another's (SageMaker Developer Guide, "Connect Amazon
    // SageMaker Studio in a VPC to External Resources").
    const ownGroup = new SpaceSecurityGroup(this, "profile", {
      name: `${prefix}-user-${userProfiles.key}`,
      description: `Spaces of ${userProfiles.key}`,
      vpcId: network.vpcId,
      https: network.https,
      forEach: userProfiles,
    });
    const { ssoUserNames = {} } = props;
    const ssoUserName =
      Object.keys(ssoUserNames).length === 0
        ? userProfiles.key
        : Token.asString(
            Fn.lookup(
              new TerraformLocal(this, "sso_user_names", ssoUserNames).asAnyMap,
              userProfiles.key,
              userProfiles.key,
            ),
          );
    this.userProfiles = new SagemakerUserProfile(this, "profiles", {
      forEach: userProfiles,
      domainId: this.domain.id,
      userProfileName: userProfiles.key,
      // Reaches the apps of their private spaces and what they create there (SageMaker Developer Guide, "Custom tag
      // propagation"), so that costs are counted by user.
      tags: { [userTag]: Fn.lower(userProfiles.key) },
      ...(props.authentication === "SSO"
        ? {
            singleSignOnUserIdentifier: "UserName",
            singleSignOnUserValue: ssoUserName,
          }
        : {}),
      userSettings: {
        ...shared,
        ...privateOnly(lifecycleConfiguration.codeEditor.profiles),
        executionRole: props.userRoleArn,
        securityGroups: [ownGroup.groupId],
        jupyterLabAppSettings: {
          ...jupyterLab(lifecycleConfiguration.jupyterLab.profiles, userProfiles.value),
          ...(customImages.length > 0 ? { customImage: [...customImages] } : {}),
        },
        ...portal,
      },
      dependsOn: [...props.profilesDependOn],
    });
  }
}
