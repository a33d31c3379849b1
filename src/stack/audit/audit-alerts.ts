import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule/index.js";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target/index.js";
import { Construct } from "constructs";
import { awsNames, deployedPrefixes } from "../../settings/names.ts";
import { applyRoleArn } from "../identity/conditions.ts";
import { alertTopic } from "../support/alert-topic.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface AuditAlertsProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The bucket whose writes `Trail` records. */
  readonly bucketName: string;
  /** ARNs of the roles and users that deploy, besides the role of `npm run github-roles`. */
  readonly deployers: readonly string[];
  /** KMS key whose policy lets EventBridge use it, as `EncryptionKey`'s does with `alerts`. */
  readonly encryptionKeyArn: string;
  readonly addresses: readonly string[];
}

/**
 * Alerts about recorded writes. EventBridge gets the events of a trail within minutes and is free for them. The alternative,
 * CloudWatch Logs with metric filters, costs 0.50 US dollars a GB and 0.10 an alarm, waits for a metric's period too, and
 * its alarm does not say who did what. (Amazon EventBridge User Guide, "AWS service events delivered via AWS CloudTrail";
 * CloudTrail and CloudWatch pricing.)
 */
export class AuditAlerts extends Construct {
  readonly topicArn: string;

  constructor(scope: Construct, id: string, props: AuditAlertsProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const names = awsNames(prefix);
    const topic = alertTopic(this, {
      account,
      name: names.auditTopic,
      encryptionKeyArn: props.encryptionKeyArn,
      addresses: props.addresses,
      sid: "Writes",
    });
    this.topicArn = topic.arn;
    const rules = {
      changes: {
        name: names.changesRule,
        description: "Writes that only deployers make, by another principal",
        detail: {
          errorCode: [{ exists: false }],
          userIdentity: { $or: otherThanDeployers(props) },
          // DeleteObjects is recorded without its keys (Amazon S3 User Guide, "CloudTrail events").
          $or: [
            { eventName: ["DeleteObjects"] },
            { requestParameters: { key: deployedPrefixes.map((folder) => ({ prefix: `${folder}/` })) } },
          ],
        },
        text: "made a write that only deployers make",
      },
      denied: {
        name: names.deniedRule,
        description: "Writes that were denied",
        detail: { errorCode: ["AccessDenied"] },
        text: "was denied a write",
      },
    };
    for (const [key, { name, description, detail, text }] of Object.entries(rules)) {
      const rule = new CloudwatchEventRule(this, key, {
        name,
        description,
        eventPattern: JSON.stringify({
          source: ["aws.s3"],
          "detail-type": ["AWS API Call via CloudTrail"],
          detail: { ...detail, requestParameters: { bucketName: [props.bucketName] }, readOnly: [false] },
        }),
      });
      new CloudwatchEventTarget(this, `${key}_target`, {
        rule: rule.name,
        targetId: "topic",
        arn: topic.arn,
        inputTransformer: {
          inputPaths: {
            action: "$.detail.eventName",
            address: "$.detail.sourceIPAddress",
            key: "$.detail.requestParameters.key",
            time: "$.detail.eventTime",
            who: "$.detail.userIdentity.arn",
          },
          inputTemplate: `"<who> ${text} to ${props.bucketName}: <action> <key>, <time>, from <address>"`,
        },
      });
    }
  }
}

/**
 * A session of a role has the role's ARN in `sessionIssuer`; a user has only its own (AWS CloudTrail User Guide,
 * "CloudTrail userIdentity element"). `anything-but` never matches where there is no such element.
 */
function otherThanDeployers({ account, deployers, prefix }: AuditAlertsProps) {
  const isRole = (arn: string) => arn.includes(":role/");
  const roles = [applyRoleArn(account, prefix), ...deployers.filter(isRole)];
  const users = deployers.filter((arn) => !isRole(arn));
  return [
    { sessionContext: { sessionIssuer: { arn: [{ "anything-but": roles }] } } },
    {
      type: [{ "anything-but": ["AssumedRole"] }],
      ...(users.length === 0 ? {} : { arn: [{ "anything-but": users }, { exists: false }] }),
    },
  ];
}
