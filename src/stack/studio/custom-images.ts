import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { SagemakerAppImageConfig } from "@cdktf/provider-aws/lib/sagemaker-app-image-config/index.js";
import { SagemakerImage } from "@cdktf/provider-aws/lib/sagemaker-image/index.js";
import { SagemakerImageVersion } from "@cdktf/provider-aws/lib/sagemaker-image-version/index.js";
import type { SagemakerUserProfileUserSettingsJupyterLabAppSettingsCustomImage as CustomImage } from "@cdktf/provider-aws/lib/sagemaker-user-profile/index.js";
import { Construct } from "constructs";
import {
  imageConfigName,
  imageName,
  imageNameRule,
  isImageName,
  type ResolvedImage,
} from "../../settings/images.ts";
import { awsNames } from "../../settings/names.ts";
import { pullImageStatements } from "../identity/image-statements.ts";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { sagemakerTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export type { CustomImage };

export interface CustomImagesProps {
  /** Name prefix of images, configurations and their role. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** At least one. */
  readonly images: readonly ResolvedImage[];
}

/**
 * Images of Amazon ECR that JupyterLab spaces can choose: for each an image of SageMaker, its only version, and the
 * configuration of JupyterLab in it. Their names: see `imageName` and `imageConfigName`.
 *
 * Studio requires of an image (SageMaker Developer Guide, "Custom image specifications" and "Dockerfile
 * specifications"): the user 1000 in the group 100, the volume at `/home/sagemaker-user`, and a `CMD` or `ENTRYPOINT`
 * that starts JupyterLab at 0.0.0.0:8888 with the base URL `jupyterlab/default`. `/opt/ml`, `/opt/.sagemakerinternal`
 * and `/var/log/studio` are AWS's.
 *
 * The role is the one that pulls: AWS asks for rights in ECR only of the role of CreateImage, and not of the execution
 * role (the same guide, "How to use SageMaker AI execution roles"). That starting an app needs no more is a guess.
 */
export class CustomImages extends Construct {
  /** For JupyterLab's settings in a user profile. */
  readonly customImages: readonly CustomImage[];

  constructor(scope: Construct, id: string, props: CustomImagesProps) {
    super(scope, id);
    const { account, images, prefix } = props;
    checkPrefix(this, prefix);
    this.node.addValidation({
      validate: () =>
        images
          .map((image) => imageName(prefix, image))
          .filter((name) => !isImageName(name))
          .map(
            (name) =>
              `"${name}" is not a valid image name: ${imageNameRule.allowed} (${imageNameRule.source})`,
          ),
    });
    const role = new IamRole(this, "role", {
      name: awsNames(prefix).imageRole,
      description: "Pulls the custom images of Studio spaces",
      assumeRolePolicy: sagemakerTrust(this, "trust", account).json,
    });
    const uris = images.map(({ imageUri }) => imageUri);
    const { json } = new DataAwsIamPolicyDocument(this, "pull_document", {
      statement: pullImageStatements(account, uris),
    });
    const pull = new IamRolePolicy(this, "pull", { name: "pull", role: role.name, policy: json });
    onlyInlinePolicies(role, [pull]);

    // AWS wants an image detached before it is deleted (SageMaker Developer Guide, "Detach and clean up custom image
    // resources"). With this, Terraform deletes one only after it has changed the profiles.
    const lifecycle = { createBeforeDestroy: true };
    this.customImages = images.map((settings) => {
      const { gpu, imageUri, name } = settings;
      const image = new SagemakerImage(this, `${name}_image`, {
        imageName: imageName(prefix, settings),
        displayName: name,
        roleArn: role.arn,
        lifecycle,
        dependsOn: [pull],
      });
      const version = new SagemakerImageVersion(this, `${name}_version`, {
        imageName: image.imageName,
        baseImage: imageUri,
        processor: gpu ? "GPU" : "CPU",
        lifecycle,
      });
      const config = new SagemakerAppImageConfig(this, `${name}_config`, {
        appImageConfigName: imageConfigName(prefix, name),
        // AWS's defaults. Without them apps are reported to end in InternalFailure (aws/amazon-sagemaker-feedback
        // issue 128). AWS names them too (AWS Machine Learning Blog, "Introducing SOCI indexing for Amazon SageMaker
        // Studio"), although the API reference calls FileSystemConfig unsupported.
        jupyterLabImageConfig: {
          fileSystemConfig: { defaultUid: 1000, defaultGid: 100, mountPath: "/home/sagemaker-user" },
        },
        lifecycle,
      });
      return {
        appImageConfigName: config.appImageConfigName,
        imageName: image.imageName,
        // Left out, the provider sends 0.
        imageVersionNumber: version.version,
      };
    });
  }
}
