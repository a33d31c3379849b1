import type { AwsAccount } from "./aws-account.ts";

/** Calls that IAM knows no resource for: held to one region instead. */
export const inRegion = (region: string) => [
  { test: "StringEquals", variable: "aws:RequestedRegion", values: [region] },
];

/** A role that may be passed on, but to SageMaker alone. */
export const passedToSageMaker = (account: AwsAccount) => [
  {
    test: "StringEquals",
    variable: "iam:PassedToService",
    values: [account.servicePrincipal("sagemaker")],
  },
];
