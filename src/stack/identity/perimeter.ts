import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";

/**
 * Denies a role what it does with data unless the request comes through these endpoints, so that stolen credentials are of
 * no use elsewhere. A key that is missing, as in a request from the internet, is denied too (IAM User Guide, "Condition
 * operators", negated). `aws:ViaAWSService` leaves out S3's own calls of KMS as the role (IAM User Guide, "Forward access
 * sessions"). SageMaker moves the data of jobs with a VPC through it (SageMaker API, `EnableNetworkIsolation`, which says
 * so of training; guess: of processing too).
 *
 * These are not denied, because AWS makes them as the role, from its own network and not for a caller, where no key tells
 * it from a thief: the Create, Describe and Stop actions of processing and training jobs and AddTags, of Pipelines and
 * EventBridge Scheduler; StartPipelineExecution of a user's schedules; kms:CreateGrant and kms:DescribeKey for volumes; and
 * Studio's pages (guesses). Apps and spaces need `sagemaker:DomainId` anyway, which only requests from Studio have.
 */
export const perimeterStatement = (endpointIds: readonly string[]): DataAwsIamPolicyDocumentStatement => ({
  sid: "OnlyThroughTheVpc",
  effect: "Deny",
  actions: [
    "athena:*",
    "bedrock:InvokeModel*",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:ReEncrypt*",
    "s3:*",
    "sagemaker:*Endpoint*",
    "sagemaker:*FeatureGroup*",
    "sagemaker:*Model*",
    "sagemaker:*Pipeline",
    "sagemaker:*Pipelines",
    "sagemaker:DescribePipeline*",
    "sagemaker:ListPipeline*",
    "sagemaker:RetryPipeline*",
    "sagemaker:SendPipeline*",
    "sagemaker:StopPipeline*",
    "sagemaker:UpdatePipeline*",
    "sagemaker:*Record",
    "sagemaker:DeleteTrainingJob",
    "sagemaker:ListTrainingJobs*",
    "sagemaker:UpdateTrainingJob",
    "sagemaker:*TransformJob*",
    "sagemaker:*TuningJob*",
    "sagemaker:ListProcessingJobs",
    "sns:*",
  ],
  resources: ["*"],
  condition: [
    { test: "StringNotEquals", variable: "aws:SourceVpce", values: [...endpointIds] },
    { test: "BoolIfExists", variable: "aws:ViaAWSService", values: ["false"] },
  ],
});
