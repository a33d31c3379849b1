import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { awsNames, jobLogGroup } from "../../settings/names.ts";
import { inRegion, passedTo, userRoleArn, userVariable, withUserTag } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import type { JobRuntime } from "./job-role.ts";

/** Jobs that users may submit: of this environment, in its network, with its key, as themselves. */
export interface JobAccess extends JobRuntime {
  /** Name prefix of the environment's jobs. */
  readonly prefix: string;
  /** Time limit of a job. */
  readonly maximumMinutes: number;
  /** @default any */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
}

/** Who sends jobs, and by which names and role. */
interface Sender {
  /** What the names of their jobs and sweeps begin with, before a hyphen. */
  readonly prefix: string;
  readonly roleArn: string;
  readonly condition: readonly {
    readonly test: string;
    readonly variable: string;
    readonly values: string[];
  }[];
}

/** Each user, by the tag of their role. */
const everyUser = (account: AwsAccount, prefix: string): Sender => ({
  prefix: `${prefix}-${userVariable}`,
  roleArn: userRoleArn(account, prefix, userVariable),
  condition: withUserTag,
});

/**
 * Statements for the user of `marimo-job`, and for SageMaker Pipelines and EventBridge Scheduler, which act as that user.
 * The condition keys are those of CreateProcessingJob (Service Authorization Reference, Amazon SageMaker AI).
 */
export function jobUserStatements(
  account: AwsAccount,
  rights: JobAccess,
  /** The one role of everybody. @default a role each */
  existingRoleArn?: string | undefined,
): DataAwsIamPolicyDocumentStatement[] {
  const sender =
    existingRoleArn === undefined
      ? everyUser(account, rights.prefix)
      : { prefix: rights.prefix, roleArn: existingRoleArn, condition: [] };
  return [
    ...sendStatements(account, rights, sender),
    ...readStatements(account, rights),
    ...(existingRoleArn === undefined ? scheduleStatements(account, rights.prefix) : []),
  ];
}

function sendStatements(
  account: AwsAccount,
  rights: JobAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const condition = [...sender.condition];
  const jobs = [account.arn("sagemaker", `processing-job/${sender.prefix}-*`)];
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
        ...condition,
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
      // Pipelines and the scheduler tag what they create with a request of its own.
      sid: "StopAndTagJobs",
      actions: ["sagemaker:AddTags", "sagemaker:StopProcessingJob"],
      resources: jobs,
      condition,
    },
    {
      sid: "Sweeps",
      actions: [
        "sagemaker:CreatePipeline",
        "sagemaker:DeletePipeline",
        "sagemaker:RetryPipelineExecution",
        "sagemaker:StartPipelineExecution",
        "sagemaker:StopPipelineExecution",
        "sagemaker:UpdatePipeline",
      ],
      resources: pipelines(account, sender.prefix),
      condition,
    },
    {
      // To oneself: SageMaker runs jobs and pipelines as this role, and EventBridge Scheduler starts them as it.
      sid: "RunAsOneself",
      actions: ["iam:PassRole"],
      resources: [sender.roleArn],
      condition: [...condition, ...passedTo(account, "sagemaker", "scheduler")],
    },
  ];
}

const pipelines = (account: AwsAccount, prefix: string) =>
  ["", "/execution/*"].map((part) => account.arn("sagemaker", `pipeline/${prefix}-*${part}`));

/** Everybody sees the environment's jobs and sweeps. */
function readStatements(
  account: AwsAccount,
  { prefix }: Pick<JobAccess, "prefix">,
): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${jobLogGroup}`);
  return [
    {
      sid: "DescribeSweeps",
      actions: [
        "sagemaker:DescribePipeline",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineExecutions",
      ],
      resources: pipelines(account, prefix),
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
      resources: [`${group}:log-stream:${prefix}-*`],
    },
  ];
}

/** Schedules in the user's own group, which Terraform makes: people create none. */
function scheduleStatements(account: AwsAccount, prefix: string): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "OwnSchedules",
      actions: [
        "scheduler:CreateSchedule",
        "scheduler:DeleteSchedule",
        "scheduler:GetSchedule",
        "scheduler:UpdateSchedule",
      ],
      resources: [account.arn("scheduler", `schedule/${awsNames(prefix).user(userVariable)}/*`)],
      condition: withUserTag,
    },
    {
      sid: "ListSchedules",
      actions: ["scheduler:ListSchedules"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
  ];
}
