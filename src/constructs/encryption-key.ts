import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { KmsAlias } from "@cdktf/provider-aws/lib/kms-alias/index.js";
import { KmsKey } from "@cdktf/provider-aws/lib/kms-key/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "./aws-account.ts";
import { checkPrefix } from "./prefix.ts";
import { skipChecks } from "./skip-checks.ts";

export interface EncryptionKeyProps {
  /** How the names of all that it makes begin. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Whether Terraform refuses to destroy the key (`prevent_destroy`). */
  readonly removalProtection: boolean;
  /** Days in which a deletion can still be cancelled. Limit: 7-30 (AWS KMS API, `PendingWindowInDays`). */
  readonly deletionWindowDays: number;
  /** The step that takes the key back after its deletion. @default none: the key goes */
  readonly keptBy?: ITerraformDependable;
  /** Whether there are `JobAlerts`, whose topic has this key. @default false */
  readonly alerts?: boolean;
}

/** The one key of an environment: bucket, logs, the home file system and the volumes of the spaces. */
export class EncryptionKey extends Construct {
  readonly arn: string;

  constructor(scope: Construct, id: string, props: EncryptionKeyProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);

    // `Resource: "*"` in a key policy means this key (AWS KMS Developer Guide, "Creating a key policy").
    const policy = new DataAwsIamPolicyDocument(this, "policy", {
      statement: [
        {
          // AWS's default key policy: IAM decides inside the account, and the key can never lose its administrators.
          sid: "AccountAdministration",
          actions: ["kms:*"],
          resources: ["*"],
          principals: [{ type: "AWS", identifiers: [account.rootArn] }],
        },
        ...useByServices(account, prefix, props.alerts),
      ],
    });

    const key = new KmsKey(this, "key", {
      description: `${prefix}: bucket, logs and Studio domain`,
      enableKeyRotation: true,
      deletionWindowInDays: props.deletionWindowDays,
      policy: policy.json,
      lifecycle: { preventDestroy: props.removalProtection },
      ...(props.keptBy === undefined ? {} : { dependsOn: [props.keptBy] }),
    });
    const keyPolicy =
      "A key policy: the resource * is this key alone, and the account's administrators keep it";
    skipChecks(key, { CKV_AWS_109: keyPolicy, CKV_AWS_111: keyPolicy, CKV_AWS_356: keyPolicy });
    new KmsAlias(this, "alias", {
      name: `alias/${prefix}`,
      targetKeyId: key.keyId,
    });
    this.arn = key.arn;
  }
}

/** What the key's policy lets AWS's services do with it, for this environment. */
export function useByServices(
  account: AwsAccount,
  prefix: string,
  alerts = false,
): DataAwsIamPolicyDocumentStatement[] {
  return [
    ...(alerts ? [alertsTopic(account)] : []),
    {
      // As in the CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS Key Management Service":
      // for this environment's log groups alone.
      sid: "CloudWatchLogs",
      actions: ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
      resources: ["*"],
      principals: [{ type: "Service", identifiers: [account.serviceName("logs")] }],
      condition: [
        {
          test: "ArnLike",
          variable: "kms:EncryptionContext:aws:logs:arn",
          values: [account.arn("logs", `log-group:${prefix}-*`)],
        },
      ],
    },
    {
      // As AWS's own keys for these services do (Amazon EFS User Guide, "Encrypting data at rest"): anyone of this
      // account, but only through Studio or its file system.
      sid: "StudioServices",
      actions: ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
      resources: ["*"],
      principals: [{ type: "AWS", identifiers: ["*"] }],
      condition: throughStudio(account),
    },
    {
      sid: "StudioServicesGrants",
      actions: ["kms:CreateGrant"],
      resources: ["*"],
      principals: [{ type: "AWS", identifiers: ["*"] }],
      condition: [
        ...throughStudio(account),
        {
          test: "Bool",
          variable: "kms:GrantIsForAWSResource",
          values: ["true"],
        },
      ],
    },
  ];
}

/**
 * For an encrypted topic. Without a condition, since EventBridge meets none (Amazon SNS Developer Guide, "Key management":
 * `aws:SourceAccount` and `aws:SourceArn` do not work for EventBridge and encrypted topics): the topic's own policy
 * says whose events it takes.
 */
const alertsTopic = (account: AwsAccount): DataAwsIamPolicyDocumentStatement => ({
  sid: "AlertsOfJobs",
  actions: ["kms:Decrypt", "kms:GenerateDataKey*"],
  resources: ["*"],
  principals: [
    {
      type: "Service",
      identifiers: [account.servicePrincipal("cloudwatch"), account.servicePrincipal("events")],
    },
  ],
});

function throughStudio(account: AwsAccount) {
  return [
    {
      test: "StringEquals",
      variable: "kms:CallerAccount",
      values: [account.id],
    },
    {
      test: "StringEquals",
      variable: "kms:ViaService",
      values: [account.serviceName("elasticfilesystem"), account.serviceName("sagemaker")],
    },
  ];
}
