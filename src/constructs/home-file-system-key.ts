import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "./aws-account.ts";
import { type RemovalScripts, RemovalStep } from "./removal-step.ts";

export interface HomeFileSystemKeyProps {
  readonly account: AwsAccount;
  readonly scripts: RemovalScripts;
  readonly environment: string;
}

/**
 * A step of `terraform destroy` after the key's deletion, where the home file system stays. Terraform can delete a key
 * or forget it, as a person edits the configuration, but not keep it in a plain `destroy`; and a file system whose key
 * is gone is lost. KMS deletes a key after a waiting time, in which this step takes it back.
 *
 * The key has to depend on this. An interrupted destroy goes on with it when run again, in the waiting time of 30 days.
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
