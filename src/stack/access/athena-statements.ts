import { sharedQueryResults } from "../../settings/athena.ts";
import { awsNames } from "../../settings/names.ts";
import { userVariable, withUserTag } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import type { AccessStatement } from "./statements.ts";

export interface AthenaStatementsProps {
  readonly account: Pick<AwsAccount, "arn">;
  /** Name prefix of the workgroups. */
  readonly prefix: string;
  /** The environment's bucket. */
  readonly bucketArn: string;
  /** Workgroup of the roles that belong to no user. */
  readonly workgroup: string;
}

/** Neither named queries nor prepared statements, which would be lost with the workgroup. */
const actions = [
  "BatchGetQueryExecution",
  "GetQueryExecution",
  "GetQueryResults",
  "GetWorkGroup",
  "ListQueryExecutions",
  "StartQueryExecution",
  "StopQueryExecution",
].map((action) => `athena:${action}`);

/**
 * Queries in the workgroup of the role (Service Authorization Reference, Amazon Athena). Athena reads tables and objects,
 * and writes results, with the caller's own rights (Amazon Athena User Guide, "Access to Amazon S3").
 */
export function athenaStatements(props: AthenaStatementsProps): AccessStatement[] {
  const { account, bucketArn, prefix, workgroup } = props;
  const named = (name: string) => account.arn("athena", `workgroup/${name}`);
  return [
    {
      sid: "QueryInOwnWorkgroup",
      actions,
      resources: [named(awsNames(prefix).user(userVariable))],
      condition: withUserTag,
    },
    { sid: "QueryInSharedWorkgroup", actions, resources: [named(workgroup)] },
    {
      sid: "FindTables",
      actions: [
        "GetDataCatalog",
        "GetDatabase",
        "GetTableMetadata",
        "ListDatabases",
        "ListTableMetadata",
      ].map((action) => `athena:${action}`),
      // Both are asked for (SageMakerStudioProjectUserRolePolicy).
      resources: ["AwsDataCatalog", "awsdatacatalog"].map((name) =>
        account.arn("athena", `datacatalog/${name}`),
      ),
    },
    {
      // For the data panel: the names of all databases, because the request cannot be limited to some (Amazon Athena
      // User Guide, "Configure access to databases and tables in the AWS Glue Data Catalog").
      sid: "ListDatabases",
      actions: ["glue:GetDatabases"],
      resources: [account.arn("glue", "catalog"), account.arn("glue", "database/*")],
    },
    {
      // Users have these rights in their own folder, and shared spaces here. Schedules have no others.
      sid: "WriteSharedQueryResults",
      actions: ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"],
      resources: [`${bucketArn}/${sharedQueryResults}/*`],
    },
  ];
}
