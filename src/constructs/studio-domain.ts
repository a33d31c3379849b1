import { SagemakerDomain } from "@cdktf/provider-aws/lib/sagemaker-domain/index.js";
import { SagemakerUserProfile } from "@cdktf/provider-aws/lib/sagemaker-user-profile/index.js";
import type { ITerraformDependable, MapTerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { providerInstanceTypes, studioInstanceTypes } from "../settings/instance-types.ts";
import type { LifecycleConfiguration } from "./lifecycle-configuration.ts";
import type { EnvironmentNetwork } from "./network.ts";
import { checkPrefix } from "./prefix.ts";
import { SpaceSecurityGroup } from "./space-security-group.ts";

export interface StudioDomainProps {
  /** Name of the domain, and how all other names begin. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly network: EnvironmentNetwork;
  /** What people's spaces run as. */
  readonly executionRoleArn: string;
  /** KMS key of the home file system and of the spaces' volumes. */
  readonly encryptionKeyArn: string;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  /** With `SSO` a user profile is the user of IAM Identity Center of the same name. */
  readonly authentication: "IAM" | "SSO";
  /** Of shared spaces and of people added by hand. */
  readonly defaultInstanceType: string;
  /** Minutes. Limit: 60-525600 (SageMaker API, `IdleTimeoutInMinutes`). */
  readonly idleTimeoutMinutes: number;
  /** What becomes of people's files when the domain goes. */
  readonly homeFileSystemRetention: "Retain" | "Delete";
  /** Whether Terraform refuses to destroy the domain (`prevent_destroy`). */
  readonly removalProtection: boolean;
  /** What a new space's volume has, and the most that a person may ask for. */
  readonly spaceVolumeGb: { readonly default: number; readonly maximum: number };
  /** Instance types that Studio shows. @default every type */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
  /** Each person's name, with the instance type that their spaces start with. */
  readonly userProfiles: MapTerraformIterator;
  /** What the domain needs beside what it refers to; it is also destroyed before these. */
  readonly domainDependsOn: readonly ITerraformDependable[];
  /** What must be there before the first person opens Studio. */
  readonly profilesDependOn: readonly ITerraformDependable[];
}

/**
 * The domain and its people.
 *
 * Cannot change once applied, since a change replaces the domain and its home directories: name, authentication, VPC,
 * subnets, key, retention. Terraform's provider cannot update the rest of a VpcOnly domain either (issue 45528), so
 * whatever may change later is on the user profiles, which are what private spaces take their settings from. The domain
 * has the same for people added by hand and for shared spaces; there its JupyterLab, storage and portal settings stay as
 * the first apply made them (`ignore_changes`). `aws sagemaker update-domain` can still change those.
 */
export class StudioDomain extends Construct {
  readonly domain: SagemakerDomain;
  /** One resource with an instance for each person, by name. */
  readonly userProfiles: SagemakerUserProfile;

  constructor(scope: Construct, id: string, props: StudioDomainProps) {
    super(scope, id);
    const { lifecycleConfiguration, network, prefix, userProfiles } = props;
    checkPrefix(this, prefix);
    const jupyterLab = (lifecycleConfigurationArn: string, instanceType: string) => ({
      builtInLifecycleConfigArn: lifecycleConfigurationArn,
      // Nothing of the image is named here: a space takes Studio's default.
      defaultResourceSpec: { instanceType },
      appLifecycleManagement: {
        idleSettings: {
          lifecycleManagement: "ENABLED",
          idleTimeoutInMinutes: props.idleTimeoutMinutes,
          // What people may choose for a space of their own: an hour, the least that SageMaker takes, up to the
          // setting. Left out, the provider sends 0 for both.
          minIdleTimeoutInMinutes: 60,
          maxIdleTimeoutInMinutes: props.idleTimeoutMinutes,
        },
      },
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
      reachesItself: false,
    });
    const shared = {
      executionRole: props.executionRoleArn,
      securityGroups: [sharedGroup.groupId],
      jupyterLabAppSettings: jupyterLab(lifecycleConfiguration.domainArn, props.defaultInstanceType),
      spaceStorageSettings: {
        defaultEbsStorageSettings: {
          defaultEbsVolumeSizeInGb: props.spaceVolumeGb.default,
          maximumEbsVolumeSizeInGb: props.spaceVolumeGb.maximum,
        },
      },
    };
    const { allowedInstanceTypes = studioInstanceTypes } = props;
    const hiddenInstanceTypes = providerInstanceTypes.filter((type) => !allowedInstanceTypes.includes(type));
    const portal = {
      studioWebPortal: "ENABLED",
      defaultLandingUri: "studio::",
      // Hiding refuses nothing by itself: `GuardRails` does.
      ...(hiddenInstanceTypes.length > 0 ? { studioWebPortalSettings: { hiddenInstanceTypes } } : {}),
    };

    this.domain = new SagemakerDomain(this, "domain", {
      domainName: prefix,
      authMode: props.authentication,
      appNetworkAccessType: "VpcOnly",
      vpcId: network.vpcId,
      subnetIds: [...network.privateSubnetIds],
      kmsKeyId: props.encryptionKeyArn,
      // Private spaces take the first, shared spaces the second: neither stands in for the other.
      defaultUserSettings: { ...shared, securityGroups: [everyonesGroup.groupId], ...portal },
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
    this.userProfiles = new SagemakerUserProfile(this, "profiles", {
      forEach: userProfiles,
      domainId: this.domain.id,
      userProfileName: userProfiles.key,
      // With IAM Identity Center a profile is one of its users, by the same name.
      ...(props.authentication === "SSO"
        ? {
            singleSignOnUserIdentifier: "UserName",
            singleSignOnUserValue: userProfiles.key,
          }
        : {}),
      userSettings: {
        ...shared,
        securityGroups: [ownGroup.groupId],
        jupyterLabAppSettings: jupyterLab(lifecycleConfiguration.profilesArn, userProfiles.value),
        ...portal,
      },
      dependsOn: [...props.profilesDependOn],
    });
  }
}
