import { AthenaClient } from "@aws-sdk/client-athena";
import { BedrockClient } from "@aws-sdk/client-bedrock";
import { BudgetsClient } from "@aws-sdk/client-budgets";
import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { EC2Client } from "@aws-sdk/client-ec2";
import { EFSClient } from "@aws-sdk/client-efs";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { SQSClient } from "@aws-sdk/client-sqs";

export interface JobClients {
  readonly alarms: CloudWatchClient;
  readonly events: EventBridgeClient;
  readonly sagemaker: SageMakerClient;
  readonly scheduler: SchedulerClient;
  readonly sfn: SFNClient;
  readonly sns: SNSClient;
  readonly sqs: SQSClient;
}

export interface LeftoversClients extends JobClients {
  readonly athena: AthenaClient;
  readonly bedrock: BedrockClient;
  readonly budgets: BudgetsClient;
  readonly ec2: EC2Client;
  readonly efs: EFSClient;
  readonly iam: IAMClient;
  readonly kms: KMSClient;
  readonly logs: CloudWatchLogsClient;
  readonly s3: S3Client;
  readonly trails: CloudTrailClient;
}

export function leftoversClients(settings: { readonly region: string }): LeftoversClients {
  return {
    alarms: new CloudWatchClient(settings),
    events: new EventBridgeClient(settings),
    scheduler: new SchedulerClient(settings),
    sfn: new SFNClient(settings),
    sns: new SNSClient(settings),
    sqs: new SQSClient(settings),
    athena: new AthenaClient(settings),
    bedrock: new BedrockClient(settings),
    budgets: new BudgetsClient(settings),
    ec2: new EC2Client(settings),
    efs: new EFSClient(settings),
    iam: new IAMClient(settings),
    kms: new KMSClient(settings),
    logs: new CloudWatchLogsClient(settings),
    s3: new S3Client(settings),
    trails: new CloudTrailClient(settings),
    sagemaker: new SageMakerClient(settings),
  };
}
