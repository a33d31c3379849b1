import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic/index.js";
import { SnsTopicSubscription } from "@cdktf/provider-aws/lib/sns-topic-subscription/index.js";
import type { Construct } from "constructs";
import type { AwsAccount } from "./aws-account.ts";

export interface AlertTopicProps {
  readonly account: AwsAccount;
  readonly name: string;
  /** KMS key whose policy lets EventBridge and CloudWatch use it, as `EncryptionKey`'s does with `alerts`. */
  readonly encryptionKeyArn: string;
  readonly addresses: readonly string[];
  /** Sid of the statement that lets EventBridge publish. */
  readonly sid: string;
  /** Statements for other services, given the topic's ARN. @default none */
  readonly allow?: ((resources: string[]) => DataAwsIamPolicyDocumentStatement[]) | undefined;
}

/** Adds an encrypted topic that EventBridge publishes to, with its e-mail subscriptions, to a construct. */
export function alertTopic(scope: Construct, props: AlertTopicProps): SnsTopic {
  const { account, name } = props;
  // Known before the topic is there, whose policy names it.
  const resources = [account.arn("sns", name)];
  const document = new DataAwsIamPolicyDocument(scope, "document", {
    statement: [
      {
        // Without a condition: EventBridge meets none (EventBridge User Guide, "Amazon SNS permissions").
        sid: props.sid,
        actions: ["sns:Publish"],
        resources,
        principals: [{ type: "Service", identifiers: [account.servicePrincipal("events")] }],
      },
      ...(props.allow?.(resources) ?? []),
    ],
  });
  const topic = new SnsTopic(scope, "topic", {
    name,
    kmsMasterKeyId: props.encryptionKeyArn,
    policy: document.json,
  });
  for (const [index, address] of props.addresses.entries()) {
    new SnsTopicSubscription(scope, `address_${index}`, {
      topicArn: topic.arn,
      protocol: "email",
      endpoint: address,
    });
  }
  return topic;
}
