import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { CodeArtifactRepository } from "../settings/code-artifact.ts";
import type { AwsAccount } from "./aws-account.ts";
import { inRegion } from "./conditions.ts";
import { packages } from "./execution-role.ts";
import { checkPrefix } from "./prefix.ts";
import type { JobPlacement } from "./processing-job.ts";
import { sagemakerTrust } from "./service-trust.ts";

/** Where jobs leave their pages, files and outcomes in the bucket. */
export const jobsPrefix = "marimo/jobs";
/** Log group of all processing jobs of the account and region: SageMaker names it. */
export const jobLogGroup = "/aws/sagemaker/ProcessingJobs";

export interface JobRoleProps extends JobPlacement {
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly bucketArn: string;
  readonly imageUri?: string | undefined;
  readonly packages?: CodeArtifactRepository | undefined;
}

/**
 * What a notebook runs as in a job: it reads the bucket, and writes its own output alone. No Studio, no other jobs. What
 * SageMaker asks of the role is in the SageMaker Developer Guide, "How to use SageMaker AI execution roles",
 * CreateProcessingJob API.
 */
export class JobRole extends Construct {
  readonly arn: string;
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: JobRoleProps) {
    super(scope, id);
    const { account, prefix } = props;
    checkPrefix(this, prefix);
    const trust = sagemakerTrust(this, "trust", account);
    const role = new IamRole(this, "role", {
      name: `${prefix}-jobs`,
      description: "Notebooks in processing jobs",
      assumeRolePolicy: trust.json,
    });
    this.arn = role.arn;
    this.policies = Object.entries({
      artifacts: artifacts(account, props),
      logs: logs(account),
      network: network(account, props),
      ...(props.imageUri === undefined ? {} : { image: image(account, props.imageUri) }),
      ...(props.packages === undefined ? {} : { packages: packages(account, props.packages) }),
    }).map(([name, statement]) => {
      const { json } = new DataAwsIamPolicyDocument(this, `${name}_document`, { statement });
      return new IamRolePolicy(this, name, { name, role: role.name, policy: json });
    });
  }
}

function artifacts(account: AwsAccount, props: JobRoleProps): DataAwsIamPolicyDocumentStatement[] {
  const { bucketArn, encryptionKeyArn } = props;
  return [
    { sid: "ListTheBucket", actions: ["s3:GetBucketLocation", "s3:ListBucket"], resources: [bucketArn] },
    { sid: "ReadTheBucket", actions: ["s3:GetObject"], resources: [`${bucketArn}/*`] },
    {
      sid: "WriteOutputs",
      actions: ["s3:AbortMultipartUpload", "s3:PutObject"],
      resources: [`${bucketArn}/${jobsPrefix}/*`],
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

function logs(account: AwsAccount): DataAwsIamPolicyDocumentStatement[] {
  const group = account.arn("logs", `log-group:${jobLogGroup}`);
  return [
    {
      sid: "LogsOfJobs",
      actions: [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
      ],
      resources: [group, `${group}:*`],
    },
    {
      sid: "MetricsOfJobs",
      actions: ["cloudwatch:PutMetricData"],
      resources: ["*"],
      condition: [{ test: "StringEquals", variable: "cloudwatch:namespace", values: [jobLogGroup] }],
    },
  ];
}

/** A job has a network interface in one of the subnets, which SageMaker makes as the job's role. */
function network(account: AwsAccount, props: JobRoleProps): DataAwsIamPolicyDocumentStatement[] {
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

function image(account: AwsAccount, uri: string): DataAwsIamPolicyDocumentStatement[] {
  const [host = "", path = ""] = [uri.slice(0, uri.indexOf("/")), uri.slice(uri.indexOf("/") + 1)];
  const [owner = "", , , region = ""] = host.split(".");
  const repository = path.replace(/[:@].*$/, "");
  return [
    {
      sid: "PullTheImage",
      actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      resources: [`arn:${account.partition}:ecr:${region}:${owner}:repository/${repository}`],
    },
    {
      // A token has no resource (Service Authorization Reference, Amazon ECR).
      sid: "TokenForTheRegistry",
      actions: ["ecr:GetAuthorizationToken"],
      resources: ["*"],
      condition: inRegion(region),
    },
  ];
}
