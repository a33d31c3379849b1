import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { AwsAccount } from "./aws-account.ts";
import { inRegion, passedToSageMaker } from "./conditions.ts";
import { jobLogGroup } from "./job-role.ts";
import type { JobPlacement } from "./processing-job.ts";

/** Which jobs may be sent: the environment's own, in its network, with its key and its role. */
export interface JobRights extends JobPlacement {
  /** How the jobs' names begin. */
  readonly prefix: string;
  readonly jobRoleArn: string;
  readonly pipelineRoleArn: string;
  /** Longest that a job may run. */
  readonly maximumMinutes: number;
  /** @default any */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
}

/**
 * What SageMaker Pipelines needs to send jobs, and people. The condition keys are those of CreateProcessingJob (Service
 * Authorization Reference, Amazon SageMaker AI).
 */
export function submitJobs(
  account: AwsAccount,
  rights: Omit<JobRights, "pipelineRoleArn">,
  roles: readonly string[],
): DataAwsIamPolicyDocumentStatement[] {
  const jobs = [account.arn("sagemaker", `processing-job/${rights.prefix}-*`)];
  // A condition on several values is also true of none: `Null` refuses a job that names no subnet or group.
  const only = (variable: string, values: readonly string[]) => [
    { test: "ForAllValues:StringEquals", variable, values: [...values] },
    { test: "Null", variable, values: ["false"] },
  ];
  return [
    {
      sid: "SendJobs",
      actions: ["sagemaker:CreateProcessingJob"],
      resources: jobs,
      condition: [
        ...only("sagemaker:VpcSubnets", rights.subnetIds),
        ...only("sagemaker:VpcSecurityGroupIds", rights.securityGroupIds),
        { test: "ArnEquals", variable: "sagemaker:VolumeKmsKey", values: [rights.encryptionKeyArn] },
        { test: "ArnEquals", variable: "sagemaker:OutputKmsKey", values: [rights.encryptionKeyArn] },
        {
          test: "NumericLessThanEquals",
          variable: "sagemaker:MaxRuntimeInSeconds",
          values: [String(rights.maximumMinutes * 60)],
        },
        ...(rights.allowedInstanceTypes === undefined
          ? []
          : only("sagemaker:InstanceTypes", rights.allowedInstanceTypes)),
      ],
    },
    {
      sid: "StopJobs",
      actions: ["sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"],
      resources: jobs,
    },
    {
      sid: "RolesOfJobs",
      actions: ["iam:PassRole"],
      resources: [...roles],
      condition: passedToSageMaker(account),
    },
  ];
}

/** What `marimo-job` does as the person who runs it. */
export function useJobs(account: AwsAccount, rights: JobRights): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${jobLogGroup}`);
  return [
    ...submitJobs(account, rights, [rights.jobRoleArn, rights.pipelineRoleArn]),
    {
      sid: "Sweeps",
      actions: [
        "sagemaker:CreatePipeline",
        "sagemaker:DeletePipeline",
        "sagemaker:DescribePipeline",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineExecutions",
        "sagemaker:RetryPipelineExecution",
        "sagemaker:StartPipelineExecution",
        "sagemaker:StopPipelineExecution",
        "sagemaker:UpdatePipeline",
      ],
      resources: ["", "/execution/*"].map((part) =>
        account.arn("sagemaker", `pipeline/${rights.prefix}-*${part}`),
      ),
    },
    {
      sid: "ListSweeps",
      actions: ["sagemaker:ListPipelines"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      sid: "FindLogsOfJobs",
      actions: ["logs:DescribeLogStreams"],
      resources: [group, `${group}:*`],
    },
    {
      sid: "ReadLogsOfJobs",
      actions: ["logs:GetLogEvents"],
      resources: [`${group}:log-stream:${rights.prefix}-*`],
    },
  ];
}
