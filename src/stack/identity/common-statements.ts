import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { userTag } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { inRegion, tagOfEnvironment } from "./conditions.ts";

/**
 * SageMaker Developer Guide, "Give your users access to spaces": each statement is one of that policy, but for the domain
 * that the caller's space is in. `sagemaker:DomainId` stands for it: the role's policies come before the domain, so they
 * cannot name its id. Guess: requests from a job or from outside Studio have no such key, and match nothing.
 */
export function spaceStatements(
  account: AwsAccount,
  environment: string,
): DataAwsIamPolicyDocumentStatement[] {
  const ownProfile = account.arn(
    "sagemaker",
    "user-profile/&{sagemaker:DomainId}/&{sagemaker:UserProfileName}",
  );
  const own = { test: "ArnLike", variable: "sagemaker:OwnerUserProfileArn", values: [ownProfile] };
  const ownerless = { test: "Null", variable: "sagemaker:OwnerUserProfileArn", values: ["true"] };
  const sharing = (...values: string[]) => ({
    test: "StringEquals",
    variable: "sagemaker:SpaceSharingType",
    values,
  });
  const changeSpaces = ["sagemaker:CreateSpace", "sagemaker:UpdateSpace", "sagemaker:DeleteSpace"];
  const changeApps = ["sagemaker:CreateApp", "sagemaker:DeleteApp"];
  const appsOfTheDomain = [account.arn("sagemaker", "app/&{sagemaker:DomainId}/*")];
  const spacesOfTheDomain = [account.arn("sagemaker", "space/&{sagemaker:DomainId}/*")];
  return [
    {
      sid: "AppsWithoutOwner",
      actions: changeApps,
      resources: appsOfTheDomain,
      condition: [ownerless],
    },
    {
      sid: "OpenStudioAsOneself",
      actions: ["sagemaker:CreatePresignedDomainUrl"],
      resources: [ownProfile],
    },
    {
      sid: "ListStudio",
      actions: [
        "sagemaker:ListApps",
        "sagemaker:ListDomains",
        "sagemaker:ListSpaces",
        "sagemaker:ListUserProfiles",
      ],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      sid: "DescribeStudio",
      actions: [
        "sagemaker:DescribeApp",
        "sagemaker:DescribeDomain",
        "sagemaker:DescribeSpace",
        "sagemaker:DescribeUserProfile",
      ],
      // In AWS's policy of everything. Guess: the key is in these requests too.
      resources: [
        account.arn("sagemaker", "domain/&{sagemaker:DomainId}"),
        ...["app", "space", "user-profile"].map((kind) =>
          account.arn("sagemaker", `${kind}/&{sagemaker:DomainId}/*`),
        ),
      ],
    },
    {
      sid: "TagOnCreation",
      actions: ["sagemaker:AddTags"],
      resources: [account.arn("sagemaker", "*/*")],
      condition: [
        {
          test: "Null",
          variable: "sagemaker:TaggingAction",
          values: ["false"],
        },
        ...tagOfEnvironment(environment),
      ],
    },
    {
      sid: "SpacesWithoutOwner",
      actions: changeSpaces,
      resources: spacesOfTheDomain,
      condition: [ownerless],
    },
    {
      sid: "OwnSpaces",
      actions: changeSpaces,
      resources: spacesOfTheDomain,
      condition: [own, sharing("Private", "Shared")],
    },
    {
      sid: "AppsOfOwnPrivateSpaces",
      actions: changeApps,
      resources: appsOfTheDomain,
      condition: [own, sharing("Private")],
    },
  ];
}

/**
 * Nobody tags anything with another user's name, who would pay for it. Each create with tags needs AddTags as well. The
 * role of shared spaces lacks the tag, so the variable has a default, which denies it every user's name.
 */
export const otherUsersTagStatement = (account: AwsAccount): DataAwsIamPolicyDocumentStatement => ({
  sid: "OtherUsersTag",
  effect: "Deny",
  actions: ["sagemaker:AddTags"],
  resources: [account.arn("sagemaker", "*")],
  condition: [
    { test: "Null", variable: `aws:RequestTag/${userTag}`, values: ["false"] },
    {
      test: "StringNotEquals",
      variable: `aws:RequestTag/${userTag}`,
      values: [`&{aws:PrincipalTag/${userTag}, '-'}`],
    },
  ],
});

/**
 * Names and states of the account's jobs, models and endpoints: lists have no resource. Descriptions are of own ones only
 * (src/stack/jobs, src/stack/services).
 */
export function listJobStatements(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "ListJobs",
      actions: [
        "EndpointConfigs",
        "Endpoints",
        "FeatureGroups",
        "HyperParameterTuningJobs",
        "ModelPackageGroups",
        "Models",
        "ProcessingJobs",
        "TrainingJobs",
        "TransformJobs",
      ].map((kind) => `sagemaker:List${kind}`),
      resources: ["*"],
      condition: inRegion(account.region),
    },
  ];
}

/**
 * Studio's log group is one for the account and region: SageMaker names it, and no stack of ours may own it. Its streams
 * are `DOMAIN/SPACE/APP_TYPE/APP` (SageMaker Studio Administration Best Practices, "Logging and monitoring"). No policy
 * variable of a request to CloudWatch Logs has the domain or the space, so IAM cannot tell one's own streams from others':
 * nobody reads any, and a space could write into another's.
 */
export function studioLogStatements(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", "log-group:/aws/sagemaker/studio");
  return [
    {
      sid: "StudioLogs",
      actions: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [group, `${group}:log-stream:*`],
    },
  ];
}
