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
import { pathOfModule } from "../support/path-of-module.ts";

const folder = fileURLToPath(new URL("../../removal/", import.meta.url));

/**
 * The scripts that run at destroy time, copied once beside the stack's JSON. Their package.json makes them ES modules even
 * in a CommonJS app.
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

  /** tsx and the AWS SDK are found in the node_modules of the app, from the stack's folder upwards. */
  command(script: string): string {
    return `node --import tsx "${pathOfModule(TerraformStack.of(this), this.asset.path)}/${script}"`;
  }
}

export interface RemovalStepProps {
  readonly scripts: RemovalScripts;
  /** One of `src/removal/`. */
  readonly script: string;
  /** Environment variables of the script, by their names in lower case without the prefix. */
  readonly input: Readonly<Record<string, string>>;
  /** How the names of its environment variables begin. */
  readonly prefix: string;
  /** @default nothing: destroyed last, if something depends on it */
  readonly dependsOn?: readonly ITerraformDependable[] | undefined;
}

/**
 * A script that runs when Terraform destroys the step, which is before everything that the step depends on.
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
            // Suppresses the SDK's Node.js deprecation warning.
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
