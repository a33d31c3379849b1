import { everyGrant } from "../../settings/access.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import type { Outputs } from "../support/outputs.ts";
import { bucketArn, changeActions, objectsArn } from "./statements.ts";

/**
 * Statements that the owners of granted buckets in other accounts must add to the policies of the bucket and its key. They
 * name the account with the environment's roles, and the roles' own policies say which of them: members come and go
 * without the owner.
 */
export function otherAccountsPolicies(context: EnvironmentContext): Outputs {
  const { account, environment, prefix } = context;
  const { buckets } = everyGrant(environment.access, environment.teams);
  const others = buckets.filter((bucket) => bucket.account !== undefined);
  if (others.length === 0) return {};
  const { domainId, executionRoleArn } = environment.existing;
  // The roles of an existing domain are its owner's.
  const name = domainId === undefined ? `${prefix}-*` : "*";
  const roles = executionRoleArn ?? `arn:${account.partition}:iam::${account.id}:role/${name}`;
  const from = {
    Effect: "Allow",
    Principal: { AWS: account.rootArn },
  };
  const byRoles = { ArnLike: { "aws:PrincipalArn": roles } };
  const statements = others.map((bucket) => ({
    bucket: bucket.name,
    bucket_policy: [
      {
        ...from,
        Action: ["s3:GetBucketLocation"],
        Resource: bucketArn(account, bucket),
        Condition: byRoles,
      },
      {
        ...from,
        Action: ["s3:ListBucket"],
        Resource: bucketArn(account, bucket),
        Condition: {
          ...byRoles,
          ...(bucket.prefix === undefined ? {} : { StringLike: { "s3:prefix": `${bucket.prefix}*` } }),
        },
      },
      {
        ...from,
        Action: ["s3:GetObject", ...(bucket.write === true ? changeActions : [])],
        Resource: objectsArn(account, bucket),
        Condition: byRoles,
      },
    ],
    key_policy:
      bucket.encryptionKeyArn === undefined
        ? []
        : [
            {
              ...from,
              Action: ["kms:Decrypt", ...(bucket.write === true ? ["kms:GenerateDataKey"] : [])],
              Resource: "*",
              Condition: {
                ...byRoles,
                StringEquals: { "kms:ViaService": account.serviceName("s3") },
              },
            },
          ],
  }));
  return {
    other_accounts_policies: [
      "Statements that the owners of granted buckets in other accounts must add to their policies",
      statements,
    ],
  };
}
