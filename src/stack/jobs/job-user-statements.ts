import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { jobLogGroup } from "../../settings/names.ts";
import { inRegion, passedToSageMaker } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import type { JobPlacement } from "./processing-job.ts";

/** Jobs that users may submit: of this environment, in its network, with its key and role. */
export interface JobAccess extends JobPlacement {
  /** Name prefix of the jobs. */
  readonly prefix: string;
  readonly jobRoleArn: string;
  readonly pipelineRoleArn: string;
  /** Time limit of a job. */
  readonly maximumMinutes: number;
  /** @default any */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
}

/**
 * Statements for SageMaker Pipelines and users, who submit jobs. The condition keys are those of CreateProcessingJob (Service
 * Authorization Reference, Amazon SageMaker AI).
 */
export function submitJobStatements(
  account: AwsAccount,
  rights: Omit<JobAccess, "pipelineRoleArn">,
  roles: readonly string[],
): DataAwsIamPolicyDocumentStatement[] {
  const jobs = [account.arn("sagemaker", `processing-job/${rights.prefix}-*`)];
  // `ForAllValues` is also true for no value at all: `Null` denies a job that names no subnet or group.
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
        // Instance types with local storage have no volume (hasLocalStorage in src/settings/processing.ts).
        { test: "ArnEqualsIfExists", variable: "sagemaker:VolumeKmsKey", values: [rights.encryptionKeyArn] },
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

/** Statements for the user of `marimo-job`. */
export function jobUserStatements(
  account: AwsAccount,
  rights: JobAccess,
): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${jobLogGroup}`);
  return [
    ...submitJobStatements(account, rights, [rights.jobRoleArn, rights.pipelineRoleArn]),
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
