import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule/index.js";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target/index.js";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import { alertTopic } from "../support/alert-topic.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface JobAlertsProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Roles of the jobs. They distinguish them from jobs of an environment whose name starts with this one's. */
  readonly jobRoleArns: readonly (string | { readonly prefix: string })[];
  /** Names of the schedules. */
  readonly schedules: readonly string[];
  readonly deadLetterQueueName: string;
  /** KMS key whose policy lets EventBridge and CloudWatch use it, as `EncryptionKey`'s does with `alerts`. */
  readonly encryptionKeyArn: string;
  readonly addresses: readonly string[];
}

/** Sends an alert when a scheduled job fails or cannot be started. */
export class JobAlerts extends Construct {
  readonly topicArn: string;

  constructor(scope: Construct, id: string, props: JobAlertsProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const names = awsNames(prefix);
    const topic = alertTopic(this, {
      account,
      name: names.alertTopic,
      encryptionKeyArn: props.encryptionKeyArn,
      addresses: props.addresses,
      sid: "FailedJobs",
      allow: (resources) => [
        {
          sid: "DeadLetters",
          actions: ["sns:Publish"],
          resources,
          principals: [{ type: "Service", identifiers: [account.servicePrincipal("cloudwatch")] }],
          condition: [{ test: "StringEquals", variable: "aws:SourceAccount", values: [account.id] }],
        },
      ],
    });
    this.topicArn = topic.arn;

    const rule = new CloudwatchEventRule(this, "rule", {
      name: names.failedJobRule,
      description: "Scheduled notebooks that failed",
      eventPattern: JSON.stringify({
        source: ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
        detail: {
          // Stopped: what a job is at its time limit (SageMaker API, ProcessingStoppingCondition).
          ProcessingJobStatus: ["Failed", "Stopped"],
          RoleArn: props.jobRoleArns,
          ProcessingJobName: props.schedules.map((name) => ({ prefix: `${prefix}-${name}-` })),
        },
      }),
    });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      targetId: "topic",
      arn: topic.arn,
    });
    new CloudwatchMetricAlarm(this, "dead_letters", {
      alarmName: names.deadLetterAlarm,
      alarmDescription: "A scheduled notebook could not be started: the queue has the request and the reason",
      namespace: "AWS/SQS",
      metricName: "ApproximateNumberOfMessagesVisible",
      dimensions: { QueueName: props.deadLetterQueueName },
      statistic: "Maximum",
      period: 300,
      evaluationPeriods: 1,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      treatMissingData: "notBreaching",
      alarmActions: [topic.arn],
    });
  }
}
