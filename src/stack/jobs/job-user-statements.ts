import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { awsNames } from "../../settings/names.ts";
import {
  inRegion,
  passedTo,
  tagged,
  tagOfEnvironment,
  teamTypeVariables,
  userRoleArn,
  userVariable,
  withUserTag,
} from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { type JobRuntime, type Sender, sagemakerLogs } from "./job-role.ts";

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
  /** Whether users may make schedules of their own. */
  readonly schedules: boolean;
  /** Of the e-mail addresses that users may add to their topics. Empty: users have no topics. */
  readonly emailDomains: readonly string[];
  /** Whether users may also use the types in the tags of their roles. @default false */
  readonly teamInstanceTypes?: boolean | undefined;
}

/** Each user, by the tag of their role, or everybody with the one role that exists. */
export const senderOf = (account: AwsAccount, prefix: string, existingRoleArn: string | undefined): Sender =>
  existingRoleArn === undefined
    ? {
        prefix: `${prefix}-${userVariable}`,
        roleArn: userRoleArn(account, prefix, userVariable),
        condition: withUserTag,
      }
    : { prefix, roleArn: existingRoleArn, condition: [] };

/** Lists, logs and schedules: in another policy, because the largest settings fill one. */
export function jobFollowStatements(
  account: AwsAccount,
  prefix: string,
  sender: Sender,
  { emailDomains, encryptionKeyArn, schedules }: JobAccess,
): DataAwsIamPolicyDocumentStatement[] {
  return [
    ...followStatements(account, sender),
    // Schedule groups are of the users' own roles.
    ...(sender.condition.length > 0 ? scheduleStatements(account, prefix, schedules) : []),
    ...(emailDomains.length > 0 ? topicStatements(account, prefix, emailDomains, encryptionKeyArn) : []),
  ];
}

/** `ForAllValues` is also true for no value at all, which `isPresent` denies. */
export const noneBut = (variable: string, values: readonly string[]) => ({
  test: "ForAllValues:StringEquals",
  variable,
  values: [...values],
});
export const isPresent = (variable: string) => ({ test: "Null", variable, values: ["false"] });
export const onlyThese = (variable: string, values: readonly string[]) => [
  noneBut(variable, values),
  isPresent(variable),
];

/** SageMaker tags what Studio creates with them. */
const studioTags = ["domain", "space", "user-profile"].map((kind) => `sagemaker:${kind}-arn`);

/** Tags that are not those by which SageMaker says where in Studio a resource comes from. */
export const ownTagKeys = [
  { test: "ForAllValues:StringNotLike", variable: "aws:TagKeys", values: studioTags },
  { test: "Null", variable: "aws:TagKeys", values: ["false"] },
];

/**
 * Statements for the user of `marimo-job`, and for SageMaker Pipelines and EventBridge Scheduler, which act as that user.
 * The condition keys are those of CreateProcessingJob (Service Authorization Reference, Amazon SageMaker AI).
 */
export function jobUserStatements(
  account: AwsAccount,
  rights: JobAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const condition = [...sender.condition];
  const jobs = [account.arn("sagemaker", `processing-job/${sender.prefix}-*`)];
  return [
    {
      sid: "SendJobs",
      actions: ["sagemaker:CreateProcessingJob"],
      resources: jobs,
      condition: [
        ...condition,
        // The tags that costs are counted by, in the request that creates.
        ...tagged(rights.environment, rights.requiredTags),
        ...onlyThese("sagemaker:VpcSubnets", rights.subnetIds),
        ...onlyThese("sagemaker:VpcSecurityGroupIds", rights.securityGroupIds),
        // Instance types with local storage have no volume (hasLocalStorage in src/settings/processing.ts).
        { test: "ArnEqualsIfExists", variable: "sagemaker:VolumeKmsKey", values: [rights.encryptionKeyArn] },
        // A job without outputs names no key, and the bucket encrypts with this one by itself.
        { test: "ArnEqualsIfExists", variable: "sagemaker:OutputKmsKey", values: [rights.encryptionKeyArn] },
        {
          // The SageMaker Python SDK's Processor names no limit. It is then 24 hours (its documentation, `Processor`).
          test: `NumericLessThanEquals${rights.maximumMinutes < 24 * 60 ? "" : "IfExists"}`,
          variable: "sagemaker:MaxRuntimeInSeconds",
          values: [String(rights.maximumMinutes * 60)],
        },
        ...hasInstanceType(rights),
      ],
    },
    ...otherInstanceTypes(account, rights, sender),
    {
      // After the create, whose tags TagOnCreation allows. Not without `sagemaker:*`: that Pipelines tags its jobs with such a key in the request that creates is a guess.
      sid: "TagJobs",
      actions: ["sagemaker:AddTags"],
      resources: [account.arn("sagemaker", `*/${sender.prefix}-*`)],
      condition: [...condition, ...tagOfEnvironment(rights.environment), ...ownTagKeys],
    },
    {
      sid: "CreateSweeps",
      actions: ["sagemaker:CreatePipeline"],
      resources: pipelines(account, sender.prefix),
      // A pipeline itself costs nothing; its jobs have all tags.
      condition: [...condition, ...tagged(rights.environment)],
    },
    {
      // Descriptions have the environment variables and arguments, so people read those of their own jobs only. SageMaker
      // Pipelines describes the jobs of a sweep (SageMaker Developer Guide, "Pipeline Role Permissions").
      sid: "OwnJobsAndSweeps",
      actions: [
        "sagemaker:DeletePipeline",
        "sagemaker:DescribePipeline",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineExecutions",
        "sagemaker:RetryPipelineExecution",
        "sagemaker:StartPipelineExecution",
        "sagemaker:StopPipelineExecution",
        "sagemaker:StopProcessingJob",
        "sagemaker:UpdatePipeline",
      ],
      resources: [
        ...jobs,
        account.arn("sagemaker", `training-job/${sender.prefix}-*`),
        ...pipelines(account, sender.prefix),
      ],
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

/**
 * One list for all kinds of jobs, because it is long. The key has several values, so one other type is enough to refuse.
 * No policy can allow what is denied, so the types of a user's teams are in this list, by the tags of the role.
 */
function otherInstanceTypes(
  account: AwsAccount,
  { allowedInstanceTypes, teamInstanceTypes }: JobAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  if (allowedInstanceTypes === undefined) return [];
  return [
    {
      sid: "OtherInstanceTypesOfJobs",
      effect: "Deny",
      // All kinds in few characters: the longest lists fill the policy.
      actions: ["sagemaker:Create*Job"],
      resources: [account.arn("sagemaker", `*/${sender.prefix}-*`)],
      condition: [
        {
          test: "ForAnyValue:StringNotEquals",
          variable: "sagemaker:InstanceTypes",
          values: [...allowedInstanceTypes, ...(teamInstanceTypes === true ? teamTypeVariables : [])],
        },
      ],
    },
  ];
}

/** The list denies no request without a type. */
export const hasInstanceType = ({ allowedInstanceTypes }: JobAccess) =>
  allowedInstanceTypes === undefined ? [] : [isPresent("sagemaker:InstanceTypes")];

const pipelines = (account: AwsAccount, prefix: string) =>
  ["", "/execution/*"].map((part) => account.arn("sagemaker", `pipeline/${prefix}-*${part}`));

function followStatements(
  account: AwsAccount,
  { condition, prefix }: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${sagemakerLogs}/*Jobs`);
  return [
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
      condition: [...condition],
    },
  ];
}

/** Schedules in the user's own group, which Terraform makes: people create none. Those that exist may always go. */
function scheduleStatements(
  account: AwsAccount,
  prefix: string,
  schedules: boolean,
): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "OwnSchedules",
      actions: [
        ...(schedules ? ["scheduler:CreateSchedule"] : []),
        "scheduler:DeleteSchedule",
        "scheduler:GetSchedule",
        ...(schedules ? ["scheduler:UpdateSchedule"] : []),
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

/** The user's own topic, where only addresses of these domains may be added. */
function topicStatements(
  account: AwsAccount,
  prefix: string,
  emailDomains: readonly string[],
  encryptionKeyArn: string,
): DataAwsIamPolicyDocumentStatement[] {
  const resources = [account.arn("sns", awsNames(prefix).user(userVariable))];
  return [
    {
      sid: "OwnTopic",
      actions: ["sns:ListSubscriptionsByTopic", "sns:Publish"],
      resources,
      condition: withUserTag,
    },
    {
      sid: "OwnAddresses",
      actions: ["sns:Subscribe"],
      resources,
      condition: [
        ...withUserTag,
        { test: "StringEquals", variable: "sns:Protocol", values: ["email"] },
        { test: "StringLike", variable: "sns:Endpoint", values: emailDomains.map((one) => `*@${one}`) },
      ],
    },
    {
      // IAM knows no resource for it (Service Authorization Reference, "Amazon SNS"). A subscription's ARN has a random id,
      // which only its own topic lists, and each e-mail has a link that does the same.
      sid: "RemoveAddresses",
      actions: ["sns:Unsubscribe"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      // Of whoever publishes to an encrypted topic (Amazon SNS Developer Guide, "Key management").
      sid: "KeyForTheTopic",
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: [encryptionKeyArn],
      condition: [{ test: "StringEquals", variable: "kms:ViaService", values: [account.serviceName("sns")] }],
    },
  ];
}
