import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsKmsKey } from "@cdktf/provider-aws/lib/data-aws-kms-key/index.js";
import { Op, TerraformSelf } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "./aws-account.ts";
import { useByServices } from "./encryption-key.ts";

export interface ExistingKeyProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly arn: string;
  /** As `EncryptionKeyProps`. */
  readonly alerts?: boolean;
}

/** A key that others made, in place of `EncryptionKey`. */
export class ExistingKey extends Construct {
  readonly arn: string;
  /** JSON of what the key's policy must allow: no data source reads a key's policy, so that Terraform cannot check it. */
  readonly policyStatements: string;

  constructor(scope: Construct, id: string, props: ExistingKeyProps) {
    super(scope, id);
    const { account, arn, prefix } = props;
    const [state, spec, usage] = ["key_state", "key_spec", "key_usage"].map((attribute) =>
      TerraformSelf.getString(attribute),
    );
    // Read for a plan: what cannot serve is refused before anything is made (Terraform, "Custom conditions").
    const key = new DataAwsKmsKey(this, "key", {
      keyId: arn,
      lifecycle: {
        postcondition: [
          {
            condition: Op.eq(state, "Enabled"),
            errorMessage: `existing.encryptionKeyArn: ${arn} is in state ${state}. It has to be Enabled.`,
          },
          {
            condition: Op.and(Op.eq(spec, "SYMMETRIC_DEFAULT"), Op.eq(usage, "ENCRYPT_DECRYPT")),
            errorMessage:
              `existing.encryptionKeyArn: ${arn} is a key of ${spec} for ${usage}. S3, EFS and EBS take ` +
              "SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT alone.",
          },
        ],
      },
    });
    this.arn = key.arn;
    this.policyStatements = new DataAwsIamPolicyDocument(this, "policy_statements", {
      statement: useByServices(account, prefix, props.alerts),
    }).json;
  }
}
