import type { BucketGrant, ResolvedAccess } from "../../settings/access.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { athenaStatements } from "./athena-statements.ts";

/** A statement that the settings can measure: this file imports nothing of cdktf's. */
export interface AccessStatement {
  readonly sid: string;
  readonly actions: string[];
  readonly resources: string[];
  readonly condition?: { readonly test: string; readonly variable: string; readonly values: string[] }[];
}

export interface AccessStatementsProps {
  readonly account: Pick<AwsAccount, "arn" | "id" | "partition" | "region" | "serviceName">;
  readonly access: ResolvedAccess;
  /** Name prefix of the environment. */
  readonly prefix: string;
  /** The environment's bucket. */
  readonly bucketArn: string;
  /** Athena workgroup of the roles that belong to no user. */
  readonly workgroup: string;
}

type Granted = Pick<AccessStatementsProps, "access" | "account">;

export const changeActions = [
  "s3:AbortMultipartUpload",
  "s3:DeleteObject",
  "s3:ListMultipartUploadParts",
  "s3:PutObject",
];

/** What a grant of the settings allows. A read has no version of objects, tags or access lists. */
export const accessStatements = (props: AccessStatementsProps): AccessStatement[] =>
  [
    ...bucketStatements(props),
    ...glueStatements(props),
    ...secretStatements(props),
    ...(props.access.athena === undefined ? [] : athenaStatements(props)),
    ...redshiftStatements(props),
    ...lakeFormationStatements(props),
  ].filter(({ resources }) => resources.length > 0);

export const bucketArn = ({ partition }: Pick<AwsAccount, "partition">, { name }: BucketGrant) =>
  `arn:${partition}:s3:::${name}`;

export const objectsArn = (account: Pick<AwsAccount, "partition">, bucket: BucketGrant) =>
  `${bucketArn(account, bucket)}/${bucket.prefix ?? ""}*`;

const unique = (values: readonly string[]) => [...new Set(values)];

/** A bucket's name can come to be another account's, so each statement names the owner. */
function bucketStatements({ account, access: { buckets } }: Granted): AccessStatement[] {
  const owners = new Set(buckets.map((bucket) => bucket.account));
  const statements = [...owners].flatMap((owner = "") => {
    const own = buckets.filter((bucket) => (bucket.account ?? "") === owner);
    const condition = [
      { test: "StringEquals", variable: "aws:ResourceAccount", values: [owner === "" ? account.id : owner] },
    ];
    const names = (some: readonly BucketGrant[]) => unique(some.map((one) => bucketArn(account, one)));
    const whole = names(own.filter(({ prefix }) => prefix === undefined));
    const parts = names(own).filter((arn) => !whole.includes(arn));
    return [
      { sid: `LocateBuckets${owner}`, actions: ["s3:GetBucketLocation"], resources: names(own), condition },
      { sid: `ListBuckets${owner}`, actions: ["s3:ListBucket"], resources: whole, condition },
      ...parts.map((arn, index) => ({
        sid: `ListPrefixes${index + 1}x${owner}`,
        actions: ["s3:ListBucket"],
        resources: [arn],
        condition: [
          ...condition,
          {
            test: "StringLike",
            variable: "s3:prefix",
            values: own.filter((one) => bucketArn(account, one) === arn).map(({ prefix }) => `${prefix}*`),
          },
        ],
      })),
      {
        sid: `ReadObjects${owner}`,
        actions: ["s3:GetObject"],
        resources: own.map((one) => objectsArn(account, one)),
        condition,
      },
      {
        sid: `ChangeObjects${owner}`,
        actions: [...changeActions],
        resources: own.filter(({ write }) => write === true).map((one) => objectsArn(account, one)),
        condition,
      },
    ];
  });
  const keys = (some: readonly BucketGrant[]) => unique(some.flatMap((one) => one.encryptionKeyArn ?? []));
  const viaS3 = [{ test: "StringEquals", variable: "kms:ViaService", values: [account.serviceName("s3")] }];
  return [
    ...statements,
    { sid: "KeysOfBuckets", actions: ["kms:Decrypt"], resources: keys(buckets), condition: viaS3 },
    {
      sid: "KeysForWriting",
      actions: ["kms:GenerateDataKey"],
      resources: keys(buckets.filter(({ write }) => write === true)),
      condition: viaS3,
    },
  ];
}

/**
 * Each request needs the catalog, the database and the table (Service Authorization Reference, "AWS Glue"). Many clients
 * ask for `default` first (SageMakerStudioProjectUserRolePolicy, GlueGetDefaultDatabase).
 */
function glueStatements({ account, access: { glueDatabases } }: Granted): AccessStatement[] {
  if (glueDatabases.length === 0) return [];
  return [
    {
      sid: "ReadCatalog",
      actions: [
        "glue:BatchGetPartition",
        "glue:GetDatabase",
        "glue:GetDatabases",
        "glue:GetPartition",
        "glue:GetPartitions",
        "glue:GetTable",
        "glue:GetTables",
      ],
      resources: [
        account.arn("glue", "catalog"),
        ...glueDatabases.flatMap((name) => [
          account.arn("glue", `database/${name}`),
          account.arn("glue", `table/${name}/*`),
        ]),
      ],
    },
    {
      sid: "FindDefaultDatabase",
      actions: ["glue:GetDatabase"],
      resources: [account.arn("glue", "database/default")],
    },
  ];
}

/** An ARN ends with a hyphen and six random characters. A beginning of names has them in its `*`. */
const secretStatements = ({ account, access: { secrets } }: Granted): AccessStatement[] => [
  {
    sid: "ReadGrantedSecrets",
    actions: ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
    resources: secrets.map((name) =>
      account.arn("secretsmanager", `secret:${name.endsWith("*") ? name : `${name}-??????`}`),
    ),
  },
];

/**
 * Queries by the Data API, which asks for the credentials of the database as the caller (Service Authorization Reference,
 * "Amazon Redshift Data API"). Not by a connection of one's own: security groups have no port 5439.
 */
function redshiftStatements({ account, access: { redshift } }: AccessStatementsProps): AccessStatement[] {
  if (redshift.length === 0) return [];
  const clusters = redshift.filter(({ cluster }) => cluster !== undefined);
  const workgroups = unique(
    redshift.flatMap(({ workgroupId }) =>
      workgroupId === undefined ? [] : account.arn("redshift-serverless", `workgroup/${workgroupId}`),
    ),
  );
  return [
    {
      sid: "SignInToClusters",
      actions: ["redshift:GetClusterCredentialsWithIAM"],
      resources: clusters.map(({ cluster, database }) =>
        account.arn("redshift", `dbname:${cluster}/${database}`),
      ),
      condition: [
        {
          // A request without a database is for all of them (Amazon Redshift API, GetClusterCredentialsWithIAM).
          test: "StringEquals",
          variable: "redshift:DbName",
          values: unique(clusters.map(({ database }) => database)),
        },
      ],
    },
    { sid: "SignInToWorkgroups", actions: ["redshift-serverless:GetCredentials"], resources: workgroups },
    {
      sid: "QueryRedshift",
      actions: [
        "redshift-data:BatchExecuteStatement",
        "redshift-data:DescribeTable",
        "redshift-data:ExecuteStatement",
        "redshift-data:ListDatabases",
        "redshift-data:ListSchemas",
        "redshift-data:ListTables",
      ],
      resources: [
        ...unique(clusters.map(({ cluster }) => account.arn("redshift", `cluster:${cluster}`))),
        ...workgroups,
      ],
    },
    {
      // These have no resource. A user's spaces and jobs are one user to the Data API.
      sid: "OwnStatements",
      actions: [
        "redshift-data:CancelStatement",
        "redshift-data:DescribeStatement",
        "redshift-data:GetStatementResult",
        "redshift-data:ListStatements",
      ],
      resources: ["*"],
      condition: [
        {
          test: "StringEquals",
          variable: "redshift-data:statement-owner-iam-userid",
          values: ["&{aws:userid}"],
        },
      ],
    },
  ];
}

/** It has no resource: what Lake Formation has granted decides. */
const lakeFormationStatements = ({
  account,
  access: { lakeFormation },
}: AccessStatementsProps): AccessStatement[] => [
  {
    sid: "ReadLakeFormation",
    actions: ["lakeformation:GetDataAccess"],
    resources: lakeFormation ? ["*"] : [],
    condition: [{ test: "StringEquals", variable: "aws:RequestedRegion", values: [account.region] }],
  },
];
