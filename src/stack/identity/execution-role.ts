import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import { awsNames, bucketPrefixes } from "../../settings/names.ts";
import { type JobAccess, jobUserStatements } from "../jobs/job-user-statements.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { codeArtifactStatements } from "./code-artifact-statements.ts";
import { inRegion } from "./conditions.ts";
import { describeImageStatements } from "./image-statements.ts";
import { secretStatements } from "./secret-statements.ts";
import { sagemakerTrust } from "./service-trust.ts";

/** The role that Studio and notebooks run as, whether the stack creates it or it exists. */
export interface EnvironmentRole {
  readonly arn: string;
  readonly name: string;
  /** The role's policies. A domain must depend on them. */
  readonly policies: readonly ITerraformDependable[];
}

export interface ExecutionPoliciesProps {
  readonly account: AwsAccount;
  /** Bucket that notebooks read and write. */
  readonly bucketArn: string;
  /** The key of that bucket, and of the spaces' volumes. */
  readonly encryptionKeyArn: string;
  /** Repository that the spaces install packages from. @default none */
  readonly packages?: CodeArtifactRepository | undefined;
  /** Jobs that users may submit. @default none */
  readonly jobs?: JobAccess | undefined;
  /** ARNs of the secrets with credentials for repositories. @default none */
  readonly secrets?: readonly string[] | undefined;
  /** Name prefix of the custom images that users may choose. @default none */
  readonly imagePrefix?: string | undefined;
}

export interface ExecutionRoleProps extends ExecutionPoliciesProps {
  /** Name prefix of every resource. Limit: see `checkPrefix`. */
  readonly prefix: string;
  /** Policies that AWS may attach later, and that must outlive the role in a destroy. @default none */
  readonly attachedByOthers?: readonly ITerraformDependable[] | undefined;
}

/**
 * The one role of all users: Studio's condition keys distinguish them, and the policy variables
 * `&{sagemaker:DomainId}` and `&{sagemaker:UserProfileName}` (written with `&` in a Terraform policy document, `$` in
 * IAM) stand for the caller.
 */
export class ExecutionRole extends Construct implements EnvironmentRole {
  readonly arn: string;
  readonly name: string;
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ExecutionRoleProps) {
    super(scope, id);
    const { account, attachedByOthers = [], prefix } = props;
    checkPrefix(this, prefix);
    const trust = sagemakerTrust(this, "trust", account);
    const role = new IamRole(this, "role", {
      name: awsNames(prefix).executionRole,
      description: "Studio spaces and the notebooks in them",
      assumeRolePolicy: trust.json,
      ...(attachedByOthers.length === 0
        ? {}
        : { forceDetachPolicies: true, dependsOn: [...attachedByOthers] }),
    });
    this.arn = role.arn;
    this.name = role.name;
    this.policies = executionPolicies(this, { ...props, role: role.name });
  }
}

/** Policy documents for Studio and the notebooks, by policy name. */
export function executionDocuments(
  scope: Construct,
  props: ExecutionPoliciesProps,
): Readonly<Record<string, DataAwsIamPolicyDocument>> {
  const { account, secrets = [] } = props;
  const documents: Readonly<Record<string, DataAwsIamPolicyDocumentStatement[]>> = {
    spaces: spaces(account),
    artifacts: artifacts(account, props),
    jobs: [...jobs(account), ...(props.jobs === undefined ? [] : jobUserStatements(account, props.jobs))],
    logs: logs(account),
    ...(props.packages === undefined ? {} : { packages: codeArtifactStatements(account, props.packages) }),
    ...(secrets.length === 0 ? {} : { secrets: secretStatements(secrets) }),
    ...(props.imagePrefix === undefined
      ? {}
      : { images: describeImageStatements(account, props.imagePrefix) }),
  };
  return Object.fromEntries(
    Object.entries(documents).map(([name, statement]) => [
      name,
      new DataAwsIamPolicyDocument(scope, `${name}_document`, { statement }),
    ]),
  );
}

/** Adds these policies to a role, inline, so that they are removed with the stack even if the role exists already. */
export function executionPolicies(
  scope: Construct,
  props: ExecutionPoliciesProps & {
    /** Name of the role. */
    readonly role: string;
    /** Prefix of the policy names. @default none */
    readonly namePrefix?: string | undefined;
  },
): readonly ITerraformDependable[] {
  const { namePrefix = "", role } = props;
  return Object.entries(executionDocuments(scope, props)).map(
    ([name, { json }]) =>
      new IamRolePolicy(scope, name, { name: `${namePrefix}${name}`, role, policy: json }),
  );
}

/** SageMaker Developer Guide, "Give your users access to spaces": each statement is one of that policy. */
function spaces(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  const ownProfile = account.arn(
    "sagemaker",
    "user-profile/&{sagemaker:DomainId}/&{sagemaker:UserProfileName}",
  );
  const own = { test: "ArnLike", variable: "sagemaker:OwnerUserProfileArn", values: [ownProfile] };
  const ownerless = { test: "Null", variable: "sagemaker:OwnerUserProfileArn", values: ["true"] };
  const sharing = (...values: string[]) => ({
    test: "StringEquals",
    variable: "sagemaker:SpaceSharingType",
    values,
  });
  const changeSpaces = ["sagemaker:CreateSpace", "sagemaker:UpdateSpace", "sagemaker:DeleteSpace"];
  const changeApps = ["sagemaker:CreateApp", "sagemaker:DeleteApp"];
  const spacesOfTheDomain = [account.arn("sagemaker", "space/&{sagemaker:DomainId}/*")];
  return [
    {
      sid: "AppsWithoutOwner",
      actions: changeApps,
      resources: [account.arn("sagemaker", "app/*")],
      condition: [ownerless],
    },
    {
      sid: "OpenStudioAsOneself",
      actions: ["sagemaker:CreatePresignedDomainUrl"],
      resources: [ownProfile],
    },
    {
      sid: "ListStudio",
      actions: [
        "sagemaker:ListApps",
        "sagemaker:ListDomains",
        "sagemaker:ListSpaces",
        "sagemaker:ListUserProfiles",
      ],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      sid: "DescribeStudio",
      actions: [
        "sagemaker:DescribeApp",
        "sagemaker:DescribeDomain",
        "sagemaker:DescribeSpace",
        "sagemaker:DescribeUserProfile",
      ],
      resources: ["app/*", "domain/*", "space/*", "user-profile/*"].map((resource) =>
        account.arn("sagemaker", resource),
      ),
    },
    {
      sid: "TagOnCreation",
      actions: ["sagemaker:AddTags"],
      resources: [account.arn("sagemaker", "*/*")],
      condition: [
        {
          test: "Null",
          variable: "sagemaker:TaggingAction",
          values: ["false"],
        },
      ],
    },
    {
      sid: "SpacesWithoutOwner",
      actions: changeSpaces,
      resources: spacesOfTheDomain,
      condition: [ownerless],
    },
    {
      sid: "OwnSpaces",
      actions: changeSpaces,
      resources: spacesOfTheDomain,
      condition: [own, sharing("Private", "Shared")],
    },
    {
      sid: "AppsOfOwnPrivateSpaces",
      actions: changeApps,
      resources: [account.arn("sagemaker", "app/&{sagemaker:DomainId}/*")],
      condition: [own, sharing("Private")],
    },
  ];
}

function artifacts(account: AwsAccount, props: ExecutionPoliciesProps): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "ListTheBucket",
      actions: ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
      resources: [props.bucketArn],
    },
    {
      sid: "ReadAndWriteObjects",
      actions: [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
      ],
      resources: [`${props.bucketArn}/*`],
    },
    {
      // Every space runs or installs these objects, so write access would mean running code as any user. Only Terraform and
      // scripts/wheelhouse.ts do, with their caller's own credentials.
      sid: "PayloadIsReadOnly",
      effect: "Deny",
      actions: ["s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:PutObject*", "s3:RestoreObject"],
      resources: [bucketPrefixes.payload, bucketPrefixes.wheels, bucketPrefixes.schedules].map(
        (prefix) => `${props.bucketArn}/${prefix}/*`,
      ),
    },
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

function jobs(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  return [
    {
      sid: "ListJobs",
      actions: ["sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs"],
      resources: ["*"],
      condition: inRegion(account.region),
    },
    {
      sid: "DescribeJobs",
      actions: ["sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"],
      resources: [account.arn("sagemaker", "processing-job/*"), account.arn("sagemaker", "training-job/*")],
    },
  ];
}

/** Studio's log group is one for the account and region: SageMaker names it, and no stack of ours may own it. */
function logs(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", "log-group:/aws/sagemaker/studio");
  return [
    {
      sid: "StudioLogs",
      actions: [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "logs:PutLogEvents",
      ],
      resources: [group, `${group}:*`],
    },
  ];
}
