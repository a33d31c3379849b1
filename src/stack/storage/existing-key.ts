import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsKmsKey } from "@cdktf/provider-aws/lib/data-aws-kms-key/index.js";
import { Op, TerraformSelf } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "../support/aws-account.ts";
import { type EnvironmentKey, useByServices } from "./encryption-key.ts";

export interface ExistingKeyProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly arn: string;
  /** As `EncryptionKeyProps`. */
  readonly alerts?: boolean | undefined;
}

/** An existing key, instead of `EncryptionKey`. */
export class ExistingKey extends Construct implements EnvironmentKey {
  readonly arn: string;
  /** JSON of the statements that the key policy must have. No data source reads a key policy, so Terraform cannot check it. */
  readonly requiredPolicy: string;

  constructor(scope: Construct, id: string, props: ExistingKeyProps) {
    super(scope, id);
    const { account, arn, prefix } = props;
    const [state, spec, usage] = ["key_state", "key_spec", "key_usage"].map((attribute) =>
      TerraformSelf.getString(attribute),
    );
    // Read during a plan, so an unsuitable key is rejected before anything is created (Terraform, "Custom conditions").
    const key = new DataAwsKmsKey(this, "key", {
      keyId: arn,
      lifecycle: {
        postcondition: [
          {
            condition: Op.eq(state, "Enabled"),
            errorMessage: `existing.encryptionKeyArn: ${arn} is in state ${state}. It must be Enabled.`,
          },
          {
            condition: Op.and(Op.eq(spec, "SYMMETRIC_DEFAULT"), Op.eq(usage, "ENCRYPT_DECRYPT")),
            errorMessage:
              `existing.encryptionKeyArn: ${arn} is a key of ${spec} for ${usage}. S3, EFS and EBS take ` +
              "only SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT.",
          },
        ],
      },
    });
    this.arn = key.arn;
    this.requiredPolicy = new DataAwsIamPolicyDocument(this, "policy_statements", {
      statement: useByServices(account, prefix, props.alerts),
    }).json;
  }
}
