import type { AwsAccount } from "../support/aws-account.ts";

/** Calls that IAM knows no resource for: held to these regions instead. */
export const inRegion = (...regions: readonly string[]) => [
  { test: "StringEquals", variable: "aws:RequestedRegion", values: [...regions] },
];

/** Allows a role to be passed to SageMaker only. */
export const passedToSageMaker = (account: AwsAccount) => [
  {
    test: "StringEquals",
    variable: "iam:PassedToService",
    values: [account.servicePrincipal("sagemaker")],
  },
];
