import { awsNames, userTag } from "../../settings/names.ts";
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

/** ARN of the role of scheduled jobs with a user's rights; `user` is a name in lower case, or `*`. */
export const scheduledUserArn = (account: AwsAccount, prefix: string, user: string) =>
  `arn:${account.partition}:iam::${account.id}:role/${awsNames(prefix).scheduledUser(user)}`;

/** ARN of a user's role; `user` is a name in lower case, `userVariable` or `*`. */
export const userRoleArn = (account: AwsAccount, prefix: string, user: string) =>
  `arn:${account.partition}:iam::${account.id}:role/${awsNames(prefix).user(user)}`;
