import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import { awsNames, bucketPrefixes, deployedPrefixes, jobLogGroup } from "../../settings/names.ts";
import { readStatements } from "../identity/bucket-statements.ts";
import { codeArtifactStatements } from "../identity/code-artifact-statements.ts";
import { inRegion } from "../identity/conditions.ts";
import { pullImageStatements } from "../identity/image-statements.ts";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { perimeterStatement } from "../identity/perimeter.ts";
import { secretStatements } from "../identity/secret-statements.ts";
import { sagemakerTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import type { JobPlacement } from "./processing-job.ts";

/** Who sends jobs, and by which names and role. */
export interface Sender {
  /** What the names of their jobs and sweeps begin with, before a hyphen. */
  readonly prefix: string;
  readonly roleArn: string;
  readonly condition: readonly {
    readonly test: string;
    readonly variable: string;
    readonly values: string[];
  }[];
}

/** What SageMaker and the notebook in a job need of the job's role, whichever it is. */
export interface JobRuntime extends JobPlacement {
  /** Name prefix of the environment's jobs. */
  readonly prefix: string;
  /** Images that the role can pull. */
  readonly imageUris: readonly string[];
  /** ARNs of the secrets that jobs can read. */
  readonly secrets: readonly string[];
}

export interface JobRoleProps extends JobRuntime {
  /** Name of the role. @default `<prefix>-jobs` */
  readonly name?: string | undefined;
  readonly account: AwsAccount;
  readonly bucketArn: string;
  readonly packages?: CodeArtifactRepository | undefined;
  /** Ids of the endpoints that requests must come through. @default from anywhere */
  readonly perimeter?: readonly string[] | undefined;
}

/**
 * Role of the schedules of the settings, which no person sent: it reads what is deployed or shared, and writes only its
 * own output. It can use neither Studio nor other jobs.
 */
export class JobRole extends Construct {
  readonly arn: string;
  readonly name: string;
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: JobRoleProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const trust = sagemakerTrust(this, "trust", account);
    const role = new IamRole(this, "role", {
      name: props.name ?? awsNames(prefix).jobRole,
      description: "Scheduled notebooks in processing jobs",
      assumeRolePolicy: trust.json,
      // Terraform deletes the role of a removed schedule before it changes the policies' attachments.
      forceDetachPolicies: true,
    });
    this.arn = role.arn;
    this.name = role.name;
    const policies = Object.entries({
      artifacts: [
        ...artifacts(account, props),
        ...(props.perimeter === undefined ? [] : [perimeterStatement(props.perimeter)]),
      ],
      runtime: [
        ...jobRuntimeStatements(account, props, { prefix, condition: [] }),
        ...jobSecretStatements(props),
      ],
      ...(props.packages === undefined ? {} : { packages: codeArtifactStatements(account, props.packages) }),
    }).map(([name, statement]) => {
      const { json } = new DataAwsIamPolicyDocument(this, `${name}_document`, { statement });
      return new IamRolePolicy(this, name, { name, role: role.name, policy: json });
    });
    onlyInlinePolicies(role, policies);
    this.policies = policies;
  }
}

/**
 * Logs, the network and the image of a job (SageMaker Developer Guide, "How to use SageMaker AI execution
 * roles", CreateProcessingJob API).
 */
export const jobRuntimeStatements = (
  account: AwsAccount,
  runtime: JobRuntime,
  sender: Pick<Sender, "condition" | "prefix">,
): DataAwsIamPolicyDocumentStatement[] => [
  ...logs(account, sender),
  ...network(account, runtime),
  ...(runtime.imageUris.length === 0 ? [] : pullImageStatements(account, runtime.imageUris)),
];

/** The secrets of jobs: 20 ARNs of 256 characters nearly fill a managed policy. */
export const jobSecretStatements = ({ secrets }: JobRuntime): DataAwsIamPolicyDocumentStatement[] =>
  secrets.length === 0 ? [] : secretStatements(secrets);

function artifacts(account: AwsAccount, props: JobRoleProps): DataAwsIamPolicyDocumentStatement[] {
  const { bucketArn, encryptionKeyArn, prefix } = props;
  return [
    ...readStatements(bucketArn, [...deployedPrefixes, bucketPrefixes.shared]),
    {
      sid: "WriteOutputs",
      actions: ["s3:AbortMultipartUpload", "s3:PutObject"],
      resources: [`${bucketArn}/${bucketPrefixes.scheduledJobs}/${prefix}-*`],
    },
    {
      sid: "KeyForTheBucket",
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: [encryptionKeyArn],
      condition: [{ test: "StringEquals", variable: "kms:ViaService", values: [account.serviceName("s3")] }],
    },
    { sid: "KeyForTheVolume", actions: ["kms:DescribeKey"], resources: [encryptionKeyArn] },
    {
      sid: "GrantForTheVolume",
      actions: ["kms:CreateGrant"],
      resources: [encryptionKeyArn],
      condition: [{ test: "Bool", variable: "kms:GrantIsForAWSResource", values: ["true"] }],
    },
  ];
}

/** Where SageMaker has its log groups, and its metrics' namespaces. */
export const sagemakerLogs = jobLogGroup.slice(0, jobLogGroup.lastIndexOf("/"));

function logs(
  account: AwsAccount,
  { condition, prefix }: Pick<Sender, "condition" | "prefix">,
): DataAwsIamPolicyDocumentStatement[] {
  // Also those of training and transform jobs. SageMaker chooses their names (guess: TrainingJobs, TransformJobs).
  const group = account.arn("logs", `log-group:${sagemakerLogs}/*Jobs`);
  return [
    {
      sid: "LogsOfJobs",
      actions: ["logs:CreateLogGroup", "logs:DescribeLogStreams"],
      resources: [group],
    },
    {
      // A stream is named JOB/HOST-TIME.
      sid: "OwnStreams",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [`${group}:log-stream:${prefix}-*`],
      condition: [...condition],
    },
    {
      sid: "MetricsOfJobs",
      actions: ["cloudwatch:PutMetricData"],
      resources: ["*"],
      condition: [{ test: "StringLike", variable: "cloudwatch:namespace", values: [`${sagemakerLogs}/*`] }],
    },
  ];
}

/** A job has a network interface in one of the subnets, which SageMaker makes as the job's role. */
function network(account: AwsAccount, props: JobPlacement): DataAwsIamPolicyDocumentStatement[] {
  const interfaces = account.arn("ec2", "network-interface/*");
  return [
    {
      sid: "InterfaceInTheSubnets",
      actions: ["ec2:CreateNetworkInterface"],
      resources: [
        interfaces,
        ...props.subnetIds.map((id) => account.arn("ec2", `subnet/${id}`)),
        ...props.securityGroupIds.map((id) => account.arn("ec2", `security-group/${id}`)),
      ],
    },
    {
      sid: "InterfaceForSageMaker",
      actions: [
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
      ],
      resources: [interfaces],
      condition: [
        {
          test: "ArnEquals",
          variable: "ec2:Subnet",
          values: props.subnetIds.map((id) => account.arn("ec2", `subnet/${id}`)),
        },
      ],
    },
    {
      sid: "DescribeTheNetwork",
      actions: [
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
      ],
      resources: ["*"],
      condition: inRegion(account.region),
    },
  ];
}
