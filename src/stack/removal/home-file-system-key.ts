import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "../support/aws-account.ts";
import { type RemovalScripts, RemovalStep } from "./removal-step.ts";

export interface HomeFileSystemKeyProps {
  readonly account: AwsAccount;
  readonly scripts: RemovalScripts;
  readonly environment: string;
}

/**
 * A step of `terraform destroy` after the key's deletion, for an environment that retains its home file system. A plain
 * `destroy` cannot keep a key, and a file system without its key is lost. KMS deletes a key after a waiting period, during
 * which this step cancels the deletion.
 *
 * The key must depend on this. An interrupted destroy continues with it when run again within the 30 days.
 */
export class HomeFileSystemKey extends Construct {
  readonly step: ITerraformDependable;

  constructor(scope: Construct, id: string, { account, environment, scripts }: HomeFileSystemKeyProps) {
    super(scope, id);
    this.step = new RemovalStep(this, "step", {
      scripts,
      script: "keep-key.ts",
      prefix: "KEEP_KEY",
      input: { region: account.region, account: account.id, environment },
    });
  }
}
