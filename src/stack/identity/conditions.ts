import { awsNames, teamTags, userTag } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";

/** Calls that IAM knows no resource for: held to these regions instead. */
export const inRegion = (...regions: readonly string[]) => [
  { test: "StringEquals", variable: "aws:RequestedRegion", values: [...regions] },
];

/** Allows a role to be passed to these services only. */
export const passedTo = (account: AwsAccount, ...services: readonly string[]) => [
  {
    test: "StringEquals",
    variable: "iam:PassedToService",
    values: services.map((service) => account.servicePrincipal(service)),
  },
];

/** In a policy: the user whose role has it, in lower case. */
export const userVariable = `&{aws:PrincipalTag/${userTag}}`;

/**
 * For each statement with `userVariable`: denies a role without the tag, or with an empty one, which would make the
 * statement match other names. AWS's own policies have such a guard (SageMakerStudioProjectUserRolePolicy).
 */
export const withUserTag = [{ test: "StringLike", variable: `aws:PrincipalTag/${userTag}`, values: ["?*"] }];

/**
 * In a policy: the instance types that the user's teams add. Without its default, a variable without a tag could make the
 * whole statement invalid (IAM User Guide, "IAM policy elements: Variables and tags"), which denies.
 */
export const teamTypeVariables = teamTags.instanceTypes.map((tag) => `&{aws:PrincipalTag/${tag}, '-'}`);

/**
 * Budgets count what has this tag. Each create with tags needs AddTags as well, so this holds all creates to the value
 * (Service Authorization Reference, "Amazon SageMaker AI").
 */
export const tagOfEnvironment = (environment: string) => [
  { test: "StringEqualsIfExists", variable: "aws:RequestTag/Environment", values: [environment] },
];

/** A create must have the tag, and further tags with whatever value. */
export const tagged = (environment: string, others: readonly string[] = []) => [
  { test: "StringEquals", variable: "aws:RequestTag/Environment", values: [environment] },
  ...others.map((key) => ({ test: "Null", variable: `aws:RequestTag/${key}`, values: ["false"] })),
];

/** ARN of the role of scheduled jobs with a user's rights; `user` is a name in lower case, or `*`. */
export const scheduledUserArn = (account: AwsAccount, prefix: string, user: string) =>
  `arn:${account.partition}:iam::${account.id}:role/${awsNames(prefix).scheduledUser(user)}`;

/** ARN of a user's role; `user` is a name in lower case, `userVariable` or `*`. */
export const userRoleArn = (account: AwsAccount, prefix: string, user: string) =>
  `arn:${account.partition}:iam::${account.id}:role/${awsNames(prefix).user(user)}`;

/** ARN of the role that GitHub's workflow applies with. The stack does not create it. */
export const applyRoleArn = (account: AwsAccount, prefix: string) =>
  `arn:${account.partition}:iam::${account.id}:role/${awsNames(prefix).applyRole}`;
