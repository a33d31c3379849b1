import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { SagemakerStudioLifecycleConfig } from "@cdktf/provider-aws/lib/sagemaker-studio-lifecycle-config/index.js";
import { AssetType, Fn, TerraformAsset, TerraformLocal, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { pathOfModule } from "../support/path-of-module.ts";
import { checkPrefix } from "../support/prefix.ts";

/** SageMaker API, `StudioLifecycleConfigContent`. */
const maximumContentLength = 16_384;

/** The longest that S3 allows: only Terraform knows the real name. */
const longestBucketName = "b".repeat(63);

export interface LifecycleConfigurationProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  /** Name of the environment in messages of the spaces. Limit: as `prefix`. */
  readonly environment: string;
  /** Region of the bucket. */
  readonly region: string;
  /** The bucket with the `Payload`. */
  readonly bucketName: string;
  /**
   * The script's files in order, `spaceFiles.startScript`. Limit: 16384 base64 characters; the constructor throws where
   * they are longer.
   */
  readonly script: readonly string[];
  /** Whether the stack has user profiles, which follow changes of the script. */
  readonly profiles: boolean;
}

/** The app types that start marimo. Each needs a lifecycle configuration of its own (`StudioLifecycleConfigAppType`). */
type AppType = "JupyterLab" | "CodeEditor";

/** The lifecycle configurations of one app type. */
export interface LifecycleConfigurationArns {
  /** For the user profiles' settings. */
  readonly profiles: string;
  /** For the domain's own settings. */
  readonly domain: string;
}

/**
 * The script that SageMaker runs at the start of each JupyterLab and Code Editor app. A lifecycle configuration cannot be
 * changed, only replaced, so its name holds a hash of its content and the new one is there before the old one goes.
 *
 * Each app type has two with the same content, because updates pass on user profiles and fail on a domain in VpcOnly
 * (Terraform provider issue 45528), and because SageMaker refuses to delete a configuration that any settings still name:
 * - `profiles`, for the profiles of this stack, follows the script. SageMaker also refuses to delete the old one while
 *   an app runs with it: stop the apps, or apply once more when they have stopped.
 * - `domain`, for shared spaces and for people added by hand, stays as the first apply made it. It fetches the same
 *   payload, so a change of the payload reaches everyone; a change of the script itself does not reach those.
 */
export class LifecycleConfiguration extends Construct {
  readonly jupyterLab: LifecycleConfigurationArns;
  readonly codeEditor: LifecycleConfigurationArns;

  constructor(scope: Construct, id: string, props: LifecycleConfigurationProps) {
    super(scope, id);
    checkPrefix(this, props.prefix);
    // It is written into the script, in quotes.
    checkPrefix(this, props.environment, "environment");
    const script = props.script.map((file) => readFileSync(file, "utf8"));
    checkSize([...header(props, longestBucketName, "JupyterLab"), ...script].join("\n"), props.script);

    const { environment, region } = props;
    const sha256 = script.map((text) => createHash("sha256").update(text).digest("hex"));
    const hash = createHash("sha256")
      .update(JSON.stringify({ environment, region, sha256 }))
      .digest("hex")
      .slice(0, 8);
    const files = props.script.map((path, i) => {
      const name = basename(path, ".sh");
      const asset = new TerraformAsset(this, `script-${name}`, {
        path,
        assetHash: sha256[i] ?? "",
        type: AssetType.FILE,
      });
      const file = pathOfModule(TerraformStack.of(this), asset.path);
      return Fn.file(new TerraformLocal(this, `file-${name}`, file).asString);
    });
    const arns = (appType: AppType, idPrefix: string, name: string): LifecycleConfigurationArns => {
      // Locals, since cdktf's functions take no string that has a reference inside.
      const lines = header(props, props.bucketName, appType).join("\n");
      const common = {
        studioLifecycleConfigAppType: appType,
        studioLifecycleConfigContent: Fn.base64encode(
          Fn.join("\n", [new TerraformLocal(this, `${idPrefix}header`, lines).asString, ...files]),
        ),
      };
      const domain = new SagemakerStudioLifecycleConfig(this, `${idPrefix}domain`, {
        ...common,
        studioLifecycleConfigName: `${name}-domain-${hash}`,
        lifecycle: {
          createBeforeDestroy: true,
          ignoreChanges: ["studio_lifecycle_config_content", "studio_lifecycle_config_name"],
        },
      });
      if (!props.profiles) return { profiles: domain.arn, domain: domain.arn };
      const profiles = new SagemakerStudioLifecycleConfig(this, `${idPrefix}profiles`, {
        ...common,
        studioLifecycleConfigName: `${name}-${hash}`,
        lifecycle: { createBeforeDestroy: true },
      });
      return { profiles: profiles.arn, domain: domain.arn };
    };
    this.jupyterLab = arns("JupyterLab", "", props.prefix);
    this.codeEditor = arns("CodeEditor", "code_editor_", `${props.prefix}-code-editor`);
  }
}

function header(props: LifecycleConfigurationProps, bucketName: string, appType: AppType): string[] {
  return [
    "#!/bin/bash",
    `export MARIMO_BUCKET='${bucketName}'`,
    `export MARIMO_ENVIRONMENT='${props.environment}'`,
    `export MARIMO_REGION='${props.region}'`,
    `export MARIMO_APP_TYPE='${appType}'`,
  ];
}

function checkSize(content: string, files: readonly string[]): void {
  const length = Buffer.from(content).toString("base64").length;
  if (length > maximumContentLength) {
    throw new Error(
      `${files.join(" and ")}: the lifecycle configuration would be ${length} base64 characters, and SageMaker takes at most ` +
        `${maximumContentLength} (SageMaker API, StudioLifecycleConfigContent): move some of it to src/space/payload`,
    );
  }
}
