import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { awsNames, jobLogGroup, userTag } from "../../settings/names.ts";
import {
  inRegion,
  passedTo,
  tagged,
  tagOfEnvironment,
  userRoleArn,
  userVariable,
  withUserTag,
} from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import type { JobRuntime } from "./job-role.ts";

/** Jobs that users may submit: of this environment, in its network, with its key, as themselves. */
export interface JobAccess extends JobRuntime {
  /** Value of the tag `Environment`, by which budgets count. */
  readonly environment: string;
  /** Keys of further tags that each job and sweep must have. Guard-rails deny other values. */
  readonly requiredTags: readonly string[];
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

/** What names of jobs begin with: those of a user each, or with the one role of everybody those of the environment. */
export const jobNames = (prefix: string, existingRoleArn: string | undefined) =>
  existingRoleArn === undefined ? `${prefix}-${userVariable}` : prefix;

/** Each user, by the tag of their role. */
const everyUser = (account: AwsAccount, prefix: string): Sender => ({
  prefix: jobNames(prefix, undefined),
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
    ...readStatements(account, sender),
    ...(existingRoleArn === undefined ? scheduleStatements(account, rights.prefix) : []),
  ];
}

/** SageMaker tags what Studio creates with them. */
const studioTags = ["domain", "space", "user-profile"].map((kind) => `sagemaker:${kind}-arn`);

function sendStatements(
  account: AwsAccount,
  rights: JobAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const condition = [...sender.condition];
  const jobs = [account.arn("sagemaker", `processing-job/${sender.prefix}-*`)];
  // The tags that costs are counted by, in the request that creates.
  const counted = tagged(rights.environment, rights.requiredTags);
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
        ...counted,
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
    { sid: "StopJobs", actions: ["sagemaker:StopProcessingJob"], resources: jobs, condition },
    {
      // After the create, whose tags TagOnCreation allows. Not the tags by which SageMaker says where in Studio a resource
      // comes from. Not `sagemaker:*`: that Pipelines tags its jobs with such a key in the request that creates is a guess.
      sid: "TagJobs",
      actions: ["sagemaker:AddTags"],
      resources: jobs,
      condition: [
        ...condition,
        ...tagOfEnvironment(rights.environment),
        { test: "ForAllValues:StringNotLike", variable: "aws:TagKeys", values: [userTag, ...studioTags] },
        { test: "Null", variable: "aws:TagKeys", values: ["false"] },
      ],
    },
    {
      sid: "CreateSweeps",
      actions: ["sagemaker:CreatePipeline"],
      resources: pipelines(account, sender.prefix),
      condition: [...condition, ...counted],
    },
    {
      sid: "Sweeps",
      actions: [
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

/** Descriptions have the environment variables and arguments, so people read those of their own jobs only. */
function readStatements(
  account: AwsAccount,
  { condition: given, prefix }: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${jobLogGroup}`);
  const condition = [...given];
  return [
    {
      // SageMaker Pipelines describes the jobs of a sweep (SageMaker Developer Guide, "Pipeline Role Permissions").
      sid: "DescribeJobs",
      actions: ["sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"],
      resources: ["processing-job", "training-job"].map((kind) =>
        account.arn("sagemaker", `${kind}/${prefix}-*`),
      ),
      condition,
    },
    {
      sid: "DescribeSweeps",
      actions: [
        "sagemaker:DescribePipeline",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineExecutions",
      ],
      resources: pipelines(account, prefix),
      condition,
    },
    {
      sid: "ListSweeps",
      actions: ["sagemaker:ListPipelines"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      // The names of streams have those of all jobs: the resource is the group (Service Authorization Reference).
      sid: "FindLogsOfJobs",
      actions: ["logs:DescribeLogStreams"],
      resources: [group],
    },
    {
      sid: "ReadLogsOfJobs",
      actions: ["logs:GetLogEvents"],
      resources: [`${group}:log-stream:${prefix}-*`],
      condition,
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
