import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { bucketPrefixes } from "../../settings/names.ts";
import { isTrackingServer, type ResolvedServices } from "../../settings/services.ts";
import { userVariable } from "../identity/conditions.ts";
import { type Sender, sagemakerLogs } from "../jobs/job-role.ts";
import {
  hasInstanceType,
  isPresent,
  type JobAccess,
  noneBut,
  onlyThese,
} from "../jobs/job-user-statements.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/** SageMaker's services for users: of this environment, under their own names, with the limits of jobs. */
export interface ServiceAccess extends JobAccess {
  readonly bucketName: string;
  /** See `ServiceSettings`. */
  readonly services: ResolvedServices;
}

/** Requests of a serverless endpoint at the same time. An idle one costs nothing. */
const mostConcurrency = 20;
/** Idle instances between training jobs (warm pools) cost as much as busy ones. */
export const longestKeepAliveSeconds = 3600;

/**
 * The condition keys are those of the Service Authorization Reference, Amazon SageMaker AI. The SageMaker Python SDK sends
 * no tags and no keys with `ModelTrainer` (sagemaker-train 1.14.0), so these are only refused where they are others'.
 */
export function serviceStatements(
  account: AwsAccount,
  access: ServiceAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const own = (...ofKinds: readonly string[]) =>
    ofKinds.map((kind) => account.arn("sagemaker", `${kind}/${sender.prefix}-*`));
  // Not the tag: AddTags, which a create with tags needs, is held to it (TagOnCreation).
  const condition = [...sender.condition];
  const ownKey = (key: string) => ({
    test: "ArnEqualsIfExists",
    variable: `sagemaker:${key}`,
    values: [access.encryptionKeyArn],
  });
  const ownModel = { test: "ArnLike", variable: "sagemaker:ModelArn", values: own("model") };
  const [subnets, groups] = ["sagemaker:VpcSubnets", "sagemaker:VpcSecurityGroupIds"] as const;
  const ownGroups = noneBut(groups, access.securityGroupIds);
  const inNetwork = [ownGroups, isPresent(subnets), isPresent(groups)];
  return [
    {
      sid: "Train",
      actions: ["sagemaker:CreateHyperParameterTuningJob", "sagemaker:CreateTrainingJob"],
      resources: own("hyper-parameter-tuning-job", "training-job"),
      condition: [
        ...condition,
        ...inNetwork,
        ...hasInstanceType(access),
        ownKey("OutputKmsKey"),
        ownKey("VolumeKmsKey"),
        // A file system is not confined by this role's rights in S3: people's home folders are one.
        isAbsent("sagemaker:FileSystemId"),
        atMost("MaxRuntimeInSeconds", access.maximumMinutes * 60),
        atMost("KeepAlivePeriod", longestKeepAliveSeconds, "IfExists"),
      ],
    },
    {
      // Runs in the network of its model.
      sid: "Transform",
      actions: ["sagemaker:CreateTransformJob"],
      resources: own("transform-job"),
      condition: [
        ...condition,
        ownModel,
        ...hasInstanceType(access),
        ownKey("OutputKmsKey"),
        ownKey("VolumeKmsKey"),
      ],
    },
    {
      sid: "CreateModels",
      actions: ["sagemaker:CreateModel"],
      resources: own("model"),
      condition: [...condition, ...(access.services.serverlessEndpoints ? [ownGroups] : inNetwork)],
    },
    {
      // Once for all: the list can be long.
      sid: "OtherSubnets",
      effect: "Deny",
      actions: ["HyperParameterTuningJob", "Model", "TrainingJob"].map((kind) => `sagemaker:Create${kind}`),
      resources: own("*"),
      condition: [{ test: "ForAnyValue:StringNotEquals", variable: subnets, values: [...access.subnetIds] }],
    },
    ...(access.services.serverlessEndpoints
      ? [
          {
            sid: "ConfigureServerlessEndpoints",
            actions: ["sagemaker:CreateEndpointConfig"],
            resources: own("endpoint-config"),
            condition: [
              ...condition,
              ownModel,
              isPresent("sagemaker:ServerlessMemorySize"),
              atMost("ServerlessMaxConcurrency", mostConcurrency),
              // A variant on instances costs while it is idle: `ConfigureInstanceEndpoints`.
              isAbsent("sagemaker:InstanceTypes"),
            ],
          },
        ]
      : []),
    ...(access.services.instanceEndpoints
      ? [
          {
            sid: "ConfigureInstanceEndpoints",
            actions: ["sagemaker:CreateEndpointConfig"],
            resources: own("endpoint-config"),
            condition: [
              ...condition,
              ownModel,
              ...onlyThese("sagemaker:InstanceTypes", access.services.instanceEndpoints.allowedInstanceTypes),
              isAbsent("sagemaker:ServerlessMemorySize"),
              ownKey("VolumeKmsKey"),
            ],
          },
        ]
      : []),
    ...(access.services.featureStore
      ? [
          {
            sid: "CreateFeatureGroups",
            actions: ["sagemaker:CreateFeatureGroup"],
            resources: own("feature-group"),
            condition: [
              ...condition,
              ownKey("FeatureGroupOfflineStoreKmsKey"),
              ownKey("FeatureGroupOnlineStoreKmsKey"),
              {
                test: "StringLikeIfExists",
                variable: "sagemaker:FeatureGroupOfflineStoreS3Uri",
                values: ownPrefixes(sender).map((prefix) => `s3://${access.bucketName}/${prefix}/*`),
              },
            ],
          },
        ]
      : []),
    {
      sid: "OwnServices",
      actions: [...ownActions, ...(access.services.featureStore ? featureActions : [])].map(
        (action) => `sagemaker:${action}`,
      ),
      // The actions name the kinds.
      resources: own("*"),
      condition,
    },
    {
      // A name of another environment can begin with this prefix. Its tag, where it has one, tells.
      sid: "AskEndpoints",
      actions: ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"],
      resources: [account.arn("sagemaker", `endpoint/${access.prefix}-*`)],
      condition: [
        {
          test: "StringEqualsIfExists",
          variable: "aws:ResourceTag/Environment",
          values: [access.environment],
        },
      ],
    },
  ];
}

const isAbsent = (variable: string) => ({ test: "Null", variable, values: ["true"] });

const atMost = (key: string, value: number, suffix = "") => ({
  test: `NumericLessThanEquals${suffix}`,
  variable: `sagemaker:${key}`,
  values: [String(value)],
});

/** Folders of the bucket that the sender's offline stores can be in. */
const ownPrefixes = ({ condition }: Sender) => {
  const { people, shared } = bucketPrefixes;
  return condition.length > 0 ? [`${people}/${userVariable}`] : [people, shared];
};

/** `CreateEndpoint` and `UpdateEndpoint` also need the endpoint's configuration, which has been held to the limits. */
const ownActions = [
  "BatchDescribeModelPackage",
  "CreateEndpoint",
  "CreateModelPackage",
  "CreateModelPackageGroup",
  "DeleteEndpoint",
  "DeleteEndpointConfig",
  "DeleteModel",
  "DeleteModelPackage",
  "DeleteModelPackageGroup",
  "DescribeEndpoint",
  "DescribeEndpointConfig",
  "DescribeHyperParameterTuningJob",
  "DescribeModel",
  "DescribeModelPackage",
  "DescribeModelPackageGroup",
  "DescribeTransformJob",
  "ListModelPackages",
  "ListTags",
  "ListTrainingJobsForHyperParameterTuningJob",
  "StopHyperParameterTuningJob",
  "StopTrainingJob",
  "StopTransformJob",
  "UpdateEndpoint",
  "UpdateModelPackage",
];

const featureActions = [
  "BatchGetRecord",
  "DeleteFeatureGroup",
  "DeleteRecord",
  "DescribeFeatureGroup",
  "GetRecord",
  "PutRecord",
  "UpdateFeatureGroup",
];

/** What SageMaker does as the user for these services (SageMaker Developer Guide, "How to use SageMaker AI execution roles"). */
export function serviceRuntimeStatements(
  account: AwsAccount,
  access: ServiceAccess,
  sender: Sender,
): DataAwsIamPolicyDocumentStatement[] {
  const endpoints = account.arn("logs", `log-group:${sagemakerLogs}/Endpoints/${sender.prefix}-*`);
  return [
    {
      sid: "LogsOfEndpoints",
      actions: [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "logs:PutLogEvents",
      ],
      resources: [endpoints],
      condition: [...sender.condition],
    },
    {
      // The images of the SageMaker Python SDK are in AWS's accounts, which differ by Region and framework.
      sid: "PullImagesOfAws",
      actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      resources: [`arn:${account.partition}:ecr:${account.region}:*:repository/*`],
      condition: [{ test: "StringNotEquals", variable: "aws:ResourceAccount", values: [account.id] }],
    },
    ...(access.services.featureStore
      ? [
          {
            // The offline store checks the bucket's owner and gives it each object (AmazonSageMakerFeatureStoreAccess).
            sid: "OwnOfflineStores",
            actions: ["s3:GetBucketAcl", "s3:PutObjectAcl"],
            resources: [
              `arn:${account.partition}:s3:::${access.bucketName}`,
              ...ownPrefixes(sender).map(
                (prefix) => `arn:${account.partition}:s3:::${access.bucketName}/${prefix}/*`,
              ),
            ],
            condition: [...sender.condition],
          },
        ]
      : []),
    ...mlflowStatements(access.services.mlflowArn),
  ];
}

/** Experiments are the team's: IAM has no condition on who made one (Service Authorization Reference, SageMaker MLflow). */
function mlflowStatements(arn: string | undefined): DataAwsIamPolicyDocumentStatement[] {
  if (arn === undefined) return [];
  const [call, kind] = isTrackingServer(arn)
    ? (["sagemaker-mlflow:*", "TrackingServer"] as const)
    : (["sagemaker:CallMlflowAppApi", "App"] as const);
  return [
    {
      sid: "Experiments",
      actions: [call, `sagemaker:CreatePresignedMlflow${kind}Url`, `sagemaker:DescribeMlflow${kind}`],
      resources: [arn],
    },
  ];
}
