import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { AwsAccount } from "../support/aws-account.ts";
import { inRegion } from "./conditions.ts";

/** SageMaker Developer Guide, "Give your users access to spaces": each statement is one of that policy. */
export function spaceStatements(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
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
  const spacesOfTheDomain = [account.arn("sagemaker", "space/&{sagemaker:DomainId}/*")];
  return [
    {
      sid: "AppsWithoutOwner",
      actions: changeApps,
      resources: [account.arn("sagemaker", "app/*")],
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
      resources: ["app/*", "domain/*", "space/*", "user-profile/*"].map((resource) =>
        account.arn("sagemaker", resource),
      ),
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
      resources: [account.arn("sagemaker", "app/&{sagemaker:DomainId}/*")],
      condition: [own, sharing("Private")],
    },
  ];
}

export function describeJobStatements(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "ListJobs",
      actions: ["sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      sid: "DescribeJobs",
      actions: ["sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"],
      resources: [account.arn("sagemaker", "processing-job/*"), account.arn("sagemaker", "training-job/*")],
    },
  ];
}

/** Studio's log group is one for the account and region: SageMaker names it, and no stack of ours may own it. */
export function studioLogStatements(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", "log-group:/aws/sagemaker/studio");
  return [
    {
      sid: "StudioLogs",
      actions: [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "logs:PutLogEvents",
      ],
      resources: [group, `${group}:*`],
    },
  ];
}
