import { accessStatements } from "../stack/access/statements.ts";
import type { ResolvedAccess } from "./access.ts";
import { awsNames } from "./names.ts";

/** Characters of a managed policy, without white space (IAM User Guide, "IAM and AWS STS quotas"). */
export const longestPolicy = 6144;

/** The longest names: of AWS's partitions, regions and domains, and of ours. */
const prefix = `marimo-${"e".repeat(20)}`;
const longest = {
  prefix,
  bucketArn: `arn:aws-us-gov:s3:::${"b".repeat(63)}`,
  workgroup: awsNames(prefix).scheduledTeam("t".repeat(20)),
};
const account = {
  id: "123456789012",
  partition: "aws-us-gov",
  region: "ap-northeast-1",
  arn: (service: string, resource: string) =>
    `arn:aws-us-gov:${service}:ap-northeast-1:123456789012:${resource}`,
  serviceName: (service: string) => `${service}.ap-northeast-1.amazonaws.com.cn`,
};

/** The most characters that the IAM policy of a grant may have. It has no tokens of Terraform, so nothing is counted twice. */
export function policyLength(access: ResolvedAccess): number {
  const Statement = accessStatements({ ...longest, account, access }).map(
    ({ sid, actions, resources, condition = [] }) => ({
      Sid: sid,
      Effect: "Allow",
      Action: actions,
      Resource: resources,
      ...(condition.length === 0
        ? {}
        : {
            Condition: Object.fromEntries(
              condition.map(({ test, variable, values }) => [test + variable, { [variable]: values }]),
            ),
          }),
    }),
  );
  return JSON.stringify({ Version: "2012-10-17", Statement }).length;
}
