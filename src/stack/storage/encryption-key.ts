import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { KmsAlias } from "@cdktf/provider-aws/lib/kms-alias/index.js";
import { KmsKey } from "@cdktf/provider-aws/lib/kms-key/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface EncryptionKeyProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Whether Terraform refuses to destroy the key (`prevent_destroy`). */
  readonly removalProtection: boolean;
  /** Days during which a deletion can be cancelled. Limit: 7-30 (AWS KMS API, `PendingWindowInDays`). */
  readonly deletionWindowDays: number;
  /** Step that cancels the key's deletion. @default none: the key is deleted */
  readonly keptBy?: ITerraformDependable | undefined;
  /** Whether a topic for alerts uses this key. @default false */
  readonly alerts?: boolean | undefined;
}

/** An environment's key, whether the stack creates it or it exists. */
export interface EnvironmentKey {
  readonly arn: string;
  /** JSON of the statements that the owner must add to the key's policy. Undefined where the stack has its own key. */
  readonly requiredPolicy?: string | undefined;
}

/** The one key of an environment: bucket, logs, the home file system and the volumes of the spaces. */
export class EncryptionKey extends Construct implements EnvironmentKey {
  readonly arn: string;

  constructor(scope: Construct, id: string, props: EncryptionKeyProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);

    // `Resource: "*"` in a key policy means this key (AWS KMS Developer Guide, "Creating a key policy").
    const policy = new DataAwsIamPolicyDocument(this, "policy", {
      statement: [
        {
          // AWS's default key policy: IAM controls access in the account, and the key always has administrators.
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
    new KmsAlias(this, "alias", {
      name: awsNames(prefix).keyAlias,
      targetKeyId: key.keyId,
    });
    this.arn = key.arn;
  }
}

/** Statements of the key policy for AWS services that use the key in this environment. */
export function useByServices(
  account: AwsAccount,
  prefix: string,
  alerts = false,
): DataAwsIamPolicyDocumentStatement[] {
  return [
    ...(alerts ? [alertTopics(account)] : []),
    {
      // As in the CloudWatch Logs User Guide, "Encrypt log data in CloudWatch Logs using AWS Key Management Service":
      // only for this environment's log groups.
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
 * For encrypted topics. Without a condition, since EventBridge meets none (Amazon SNS Developer Guide, "Key management":
 * `aws:SourceAccount` and `aws:SourceArn` do not work for EventBridge and encrypted topics): each topic's own
 * policy says whose events it takes.
 */
const alertTopics = (account: AwsAccount): DataAwsIamPolicyDocumentStatement => ({
  sid: "Alerts",
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
