import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { bucketPrefixes, deployedPrefixes } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { userVariable, withUserTag } from "./conditions.ts";

export interface BucketAccess {
  /** Bucket that notebooks read and write. */
  readonly bucketArn: string;
  /** The key of that bucket, and of the spaces' volumes. */
  readonly encryptionKeyArn: string;
  /** Whether everybody has this one role: then nobody's objects are their own. @default false */
  readonly isOnlyRole?: boolean | undefined;
}

const below = (bucketArn: string, prefixes: readonly string[]) =>
  prefixes.map((prefix) => `${bucketArn}/${prefix}/*`);

/** With the slash: listing `people/bo` would also list what is in `people/bob`. */
const listed = (prefixes: readonly string[]) => ({
  test: "StringLike",
  variable: "s3:prefix",
  values: prefixes.map((prefix) => `${prefix}/*`),
});

/** Lists and reads the objects below these prefixes. */
export const readStatements = (
  bucketArn: string,
  prefixes: readonly string[],
): DataAwsIamPolicyDocumentStatement[] => [
  { sid: "LocateTheBucket", actions: ["s3:GetBucketLocation"], resources: [bucketArn] },
  { sid: "ListObjects", actions: ["s3:ListBucket"], resources: [bucketArn], condition: [listed(prefixes)] },
  { sid: "ReadObjects", actions: ["s3:GetObject"], resources: below(bucketArn, prefixes) },
];

const changes = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"];
const readOnly = (sid: string, resources: string[]): DataAwsIamPolicyDocumentStatement => ({
  ...{ sid, effect: "Deny", resources },
  actions: ["s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:PutObject*", "s3:RestoreObject"],
});

/**
 * The bucket and its key: everybody reads what is deployed, and has `shared`. A user also has their own folder. No
 * statement has the rest of the bucket, which with `existing.bucket` is not the environment's.
 */
export function artifactStatements(
  account: AwsAccount,
  props: BucketAccess,
): DataAwsIamPolicyDocumentStatement[] {
  const { bucketArn, isOnlyRole = false } = props;
  const { people, scheduledJobs, shared } = bucketPrefixes;
  const everybodys = isOnlyRole ? [shared, people] : [shared];
  const own = [`${people}/${userVariable}`];
  return [
    ...readStatements(bucketArn, [...deployedPrefixes, ...everybodys]),
    {
      sid: "ChangeObjects",
      actions: [...changes, "s3:ListMultipartUploadParts"],
      resources: below(bucketArn, everybodys),
    },
    ...(isOnlyRole
      ? []
      : [
          {
            sid: "ListOwnObjects",
            actions: ["s3:ListBucket"],
            resources: [bucketArn],
            condition: [listed(own), ...withUserTag],
          },
          {
            sid: "OwnObjects",
            actions: [...changes, "s3:GetObject", "s3:ListMultipartUploadParts"],
            resources: below(bucketArn, own),
            condition: withUserTag,
          },
          // The jobs of the one role are in `shared` too.
          readOnly("ResultsOfSchedulesAreReadOnly", below(bucketArn, [scheduledJobs])),
        ]),
    // Every space runs or installs these objects, so write access would mean running code as any user. Only Terraform
    // and scripts/wheelhouse.ts do, with their caller's own credentials.
    readOnly("PayloadIsReadOnly", below(bucketArn, deployedPrefixes)),
    {
      sid: "KeyForTheBucket",
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: [props.encryptionKeyArn],
      condition: [
        {
          test: "StringEquals",
          variable: "kms:ViaService",
          values: [account.serviceName("s3")],
        },
      ],
    },
    {
      // All that CreateApp asks of the role where the domain has a key of its own, with the grant below, by which AWS then
      // uses the key itself (SageMaker Developer Guide, "How to use SageMaker AI execution roles", CreateDomain API).
      sid: "KeyForTheVolumesOfSpaces",
      actions: ["kms:DescribeKey"],
      resources: [props.encryptionKeyArn],
    },
    {
      // Confined as in the Amazon EBS User Guide, "Requirements for Amazon EBS encryption".
      sid: "GrantsForTheVolumesOfSpaces",
      actions: ["kms:CreateGrant"],
      resources: [props.encryptionKeyArn],
      condition: [
        {
          test: "Bool",
          variable: "kms:GrantIsForAWSResource",
          values: ["true"],
        },
      ],
    },
  ];
}
