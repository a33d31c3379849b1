import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { SagemakerStudioLifecycleConfig } from "@cdktf/provider-aws/lib/sagemaker-studio-lifecycle-config/index.js";
import { AssetType, Fn, TerraformAsset, TerraformLocal, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { pathOfModule } from "./path-of-module.ts";
import { checkPrefix } from "./prefix.ts";

/** SageMaker API, `StudioLifecycleConfigContent`. */
const maximumContentLength = 16_384;

/** The longest that S3 allows: the real name is known to Terraform alone. */
const longestBucketName = "b".repeat(63);

export interface LifecycleConfigurationProps {
  /** How the names of all that it makes begin. Limit: see `checkPrefix`. */
  readonly prefix: string;
  /** What the spaces call the deployment in their messages. Limit: as `prefix`. */
  readonly environment: string;
  /** Region of the bucket. */
  readonly region: string;
  /** The bucket with the `Payload`. */
  readonly bucketName: string;
  /** The script's file, `spaceFiles.onStart`. Limit: 16384 base64 characters; the constructor throws where it is longer. */
  readonly script: string;
  /** Whether there are user profiles of this stack to follow the script. */
  readonly profiles: boolean;
}

/**
 * The script that SageMaker runs at the start of each JupyterLab app. A lifecycle configuration cannot be changed, only
 * replaced, so its name holds a hash of its content and the new one is there before the old one goes.
 *
 * There are two with the same content, because updates pass on user profiles and fail on a domain in VpcOnly (Terraform
 * provider issue 45528), and because SageMaker refuses to delete a configuration that any settings still name:
 * - `profiles`, for the profiles of this stack, follows the script. SageMaker also refuses to delete the old one while
 *   an app runs with it: stop the apps, or apply once more when they have stopped.
 * - `domain`, for shared spaces and for people added by hand, stays as the first apply made it. It fetches the same
 *   payload, so a change of the payload reaches everyone; a change of the script itself does not reach those.
 */
export class LifecycleConfiguration extends Construct {
  /** ARN for the user profiles' settings. */
  readonly profilesArn: string;
  /** ARN for the domain's own settings. */
  readonly domainArn: string;

  constructor(scope: Construct, id: string, props: LifecycleConfigurationProps) {
    super(scope, id);
    checkPrefix(this, props.prefix);
    // It stands in the script, in quotes.
    checkPrefix(this, props.environment, "environment");
    const script = readFileSync(props.script, "utf8");
    checkSize([...header(props, longestBucketName), script].join("\n"), props.script);

    const { environment, region } = props;
    const sha256 = createHash("sha256").update(script).digest("hex");
    const hash = createHash("sha256")
      .update(JSON.stringify({ environment, region, sha256 }))
      .digest("hex")
      .slice(0, 8);
    const asset = new TerraformAsset(this, "script", {
      path: props.script,
      assetHash: sha256,
      type: AssetType.FILE,
    });
    // Locals, since cdktf's functions take no string that has a reference inside.
    const lines = new TerraformLocal(this, "header", header(props, props.bucketName).join("\n"));
    const file = new TerraformLocal(this, "file", pathOfModule(TerraformStack.of(this), asset.path));
    const content = Fn.base64encode(Fn.join("\n", [lines.asString, Fn.file(file.asString)]));

    const domain = new SagemakerStudioLifecycleConfig(this, "domain", {
      studioLifecycleConfigName: `${props.prefix}-domain-${hash}`,
      studioLifecycleConfigAppType: "JupyterLab",
      studioLifecycleConfigContent: content,
      lifecycle: {
        createBeforeDestroy: true,
        ignoreChanges: ["studio_lifecycle_config_content", "studio_lifecycle_config_name"],
      },
    });
    this.domainArn = domain.arn;
    this.profilesArn = props.profiles
      ? new SagemakerStudioLifecycleConfig(this, "profiles", {
          studioLifecycleConfigName: `${props.prefix}-${hash}`,
          studioLifecycleConfigAppType: "JupyterLab",
          studioLifecycleConfigContent: content,
          lifecycle: { createBeforeDestroy: true },
        }).arn
      : domain.arn;
  }
}

function header(props: LifecycleConfigurationProps, bucketName: string): string[] {
  return [
    "#!/bin/bash",
    `export MARIMO_BUCKET='${bucketName}'`,
    `export MARIMO_ENVIRONMENT='${props.environment}'`,
    `export MARIMO_REGION='${props.region}'`,
  ];
}

function checkSize(content: string, file: string): void {
  const length = Buffer.from(content).toString("base64").length;
  if (length > maximumContentLength) {
    throw new Error(
      `${file}: the lifecycle configuration would be ${length} base64 characters, and SageMaker takes at most ` +
        `${maximumContentLength} (SageMaker API, StudioLifecycleConfigContent): move some of it to src/space/payload`,
    );
  }
}
