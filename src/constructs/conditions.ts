import type { AwsAccount } from "./aws-account.ts";

/** Calls that IAM knows no resource for: held to the one region instead. */
export const inThisRegion = (account: AwsAccount) => [
  { test: "StringEquals", variable: "aws:RequestedRegion", values: [account.region] },
];

/** A role that may be passed on, but to SageMaker alone. */
export const passedToSageMaker = (account: AwsAccount) => [
  {
    test: "StringEquals",
    variable: "iam:PassedToService",
    values: [account.servicePrincipal("sagemaker")],
  },
];
