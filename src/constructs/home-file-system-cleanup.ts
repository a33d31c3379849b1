import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
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
import type { AwsAccount } from "./aws-account.ts";
import type { Network } from "./network.ts";
import { pathOfModule } from "./path-of-module.ts";

const script = fileURLToPath(new URL("home-file-system-cleanup/clean-up.ts", import.meta.url));

export interface HomeFileSystemCleanupProps {
  readonly account: AwsAccount;
  readonly network: Network;
  readonly homeFileSystemRetention: "Retain" | "Delete";
}

/**
 * A step of `terraform destroy` between the domain and the network. Deleting a domain leaves behind two security groups
 * for its home file system, which name each other, and with retention `Retain` the file system's network interfaces as
 * well: all of them would keep the subnets and the VPC from being deleted.
 *
 * The domain has to depend on this. It never gets `triggers_replace`: a replacement would run the clean-up in the middle
 * of an ordinary apply (the script would then find the domain alive and do nothing).
 */
export class HomeFileSystemCleanup extends Construct {
  readonly step: ITerraformDependable;

  constructor(scope: Construct, id: string, props: HomeFileSystemCleanupProps) {
    super(scope, id);
    const asset = new TerraformAsset(this, "script", {
      path: script,
      assetHash: createHash("sha256").update(readFileSync(script)).digest("hex"),
      type: AssetType.FILE,
    });
    // terraform_data. cdktf's own class for it, DataResource, runs `terraform version` at each synthesis.
    const step = new TerraformResource(this, "step", {
      terraformResourceType: "terraform_data",
      provisioners: [
        {
          type: "local-exec",
          when: "destroy",
          // tsx and the AWS SDK are found from the stack's folder upwards, in the project's node_modules.
          command: `node --import tsx "${pathOfModule(TerraformStack.of(this), asset.path)}"`,
          environment: {
            // Where it runs on an old Node.js, that is not news to whoever destroys.
            AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
            CLEAN_UP_REGION: TerraformSelf.getString("input.region"),
            CLEAN_UP_ACCOUNT: TerraformSelf.getString("input.account"),
            CLEAN_UP_VPC_ID: TerraformSelf.getString("input.vpc_id"),
            CLEAN_UP_RETENTION: TerraformSelf.getString("input.retention"),
          },
        },
      ],
      dependsOn: [...props.network.privateSubnets],
    });
    // A destroy-time provisioner sees nothing but the resource itself.
    step.addOverride("input", {
      region: props.account.region,
      account: props.account.id,
      vpc_id: props.network.vpcId,
      retention: props.homeFileSystemRetention,
    });
    this.step = step;
  }
}
