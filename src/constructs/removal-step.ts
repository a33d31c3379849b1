import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  AssetType,
  type ITerraformDependable,
  TerraformAsset,
  TerraformResource,
  TerraformSelf,
  TerraformStack,
} from "cdktf";
import { Construct } from "constructs";
import { pathOfModule } from "./path-of-module.ts";

const folder = fileURLToPath(new URL("../studio-removal/", import.meta.url));

/**
 * The scripts that run at destroy time, beside the stack's JSON: one copy for all steps. A package.json among them makes
 * them ES modules, which they would not be below an app of CommonJS.
 */
export class RemovalScripts extends Construct {
  private readonly asset: TerraformAsset;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const hash = createHash("sha256");
    for (const name of readdirSync(folder).sort()) {
      hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
    }
    this.asset = new TerraformAsset(this, "asset", {
      path: folder,
      assetHash: hash.digest("hex"),
      type: AssetType.DIRECTORY,
    });
  }

  /** tsx and the AWS SDK are found from the stack's folder upwards, in the node_modules of the app: dependencies of this package. */
  command(script: string): string {
    return `node --import tsx "${pathOfModule(TerraformStack.of(this), this.asset.path)}/${script}"`;
  }
}

export interface RemovalStepProps {
  readonly scripts: RemovalScripts;
  /** One of `src/studio-removal/`. */
  readonly script: string;
  /** What the script is told, by the environment variable's name without its prefix, in lower case. */
  readonly input: Readonly<Record<string, string>>;
  /** How the names of its environment variables begin. */
  readonly prefix: string;
  /** @default nothing: destroyed last, if something depends on it */
  readonly dependsOn?: readonly ITerraformDependable[];
}

/**
 * A script that runs when Terraform destroys the step, that is before all that the step depends on goes.
 *
 * It never gets `triggers_replace`: a replacement would run the script in the middle of an ordinary apply. A changed
 * input does not. See destroy.md for why this is in the graph.
 */
export class RemovalStep extends TerraformResource {
  constructor(scope: Construct, id: string, props: RemovalStepProps) {
    super(scope, id, {
      // cdktf's own class for it, DataResource, runs `terraform version` at each synthesis.
      terraformResourceType: "terraform_data",
      provisioners: [
        {
          type: "local-exec",
          when: "destroy",
          command: props.scripts.command(props.script),
          environment: {
            // Where it runs on an old Node.js, that is not news to whoever destroys.
            AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
            ...Object.fromEntries(
              Object.keys(props.input).map((name) => [
                `${props.prefix}_${name.toUpperCase()}`,
                TerraformSelf.getString(`input.${name}`),
              ]),
            ),
          },
        },
      ],
      ...(props.dependsOn === undefined ? {} : { dependsOn: [...props.dependsOn] }),
    });
    // A destroy-time provisioner sees nothing but the resource itself.
    this.addOverride("input", props.input);
  }
}
