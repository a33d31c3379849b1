import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { Construct } from "constructs";
import type { CodeArtifactRepository } from "../settings/code-artifact.ts";
import { imagePython } from "../settings/processing.ts";
import type { ResolvedJobs } from "../settings/types.ts";
import type { EnvironmentBucket } from "./artifact-bucket.ts";
import type { AwsAccount } from "./aws-account.ts";
import { type JobRights, submitJobs } from "./job-rights.ts";
import { JobRole } from "./job-role.ts";
import type { EnvironmentNetwork } from "./network.ts";
import { encryptedObject, payloadPrefix } from "./payload.ts";
import { checkPrefix } from "./prefix.ts";
import type { JobDefaults } from "./processing-job.ts";
import { sagemakerTrust } from "./service-trust.ts";
import { SpaceSecurityGroup } from "./space-security-group.ts";

export interface JobsProps {
  /** How the names of all that it makes begin, and those of the jobs. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly environment: string;
  readonly network: EnvironmentNetwork;
  readonly bucket: EnvironmentBucket;
  readonly encryptionKeyArn: string;
  readonly settings: ResolvedJobs;
  /** Of each job. */
  readonly tags: Readonly<Record<string, string>>;
  readonly packages?: CodeArtifactRepository | undefined;
}

/**
 * Notebooks as SageMaker Processing jobs: what they run as and where, and the object `jobs.json` in the bucket that tells
 * `marimo-job` all of it.
 */
export class Jobs extends Construct {
  /** What people need to send jobs. */
  readonly rights: JobRights;
  /** What each job has; none where no image is known. */
  readonly defaults: JobDefaults | undefined;
  readonly roleArn: string;

  constructor(scope: Construct, id: string, props: JobsProps) {
    super(scope, id);
    const { account, bucket, encryptionKeyArn, network, prefix, settings } = props;
    checkPrefix(this, prefix);
    const { groupId } = new SpaceSecurityGroup(this, "security", {
      name: `${prefix}-jobs`,
      description: "Processing jobs",
      vpcId: network.vpcId,
      https: network.https,
      reachesItself: false,
    });
    const common = {
      subnetIds: network.privateSubnetIds,
      securityGroupIds: [groupId],
      encryptionKeyArn,
    };
    const role = new JobRole(this, "role", {
      prefix,
      account,
      bucketArn: bucket.arn,
      imageUri: settings.imageUri,
      packages: props.packages,
      ...common,
    });
    this.roleArn = role.arn;
    const submission = {
      prefix,
      jobRoleArn: role.arn,
      allowedInstanceTypes: settings.allowedInstanceTypes,
      maximumMinutes: settings.maximumMinutes,
      ...common,
    };
    const pipelineRole = this.pipelineRole(props, submission);
    this.rights = { ...submission, pipelineRoleArn: pipelineRole.arn };
    const { imageUri } = settings;
    this.defaults =
      imageUri === undefined
        ? undefined
        : {
            region: account.region,
            bucketName: bucket.name,
            roleArn: role.arn,
            imageUri,
            volumeGb: settings.volumeGb,
            tags: props.tags,
            ...common,
          };
    new S3Object(this, "settings", {
      bucket: bucket.name,
      key: `${payloadPrefix}/jobs.json`,
      contentType: "application/json",
      ...encryptedObject(encryptionKeyArn),
      content: JSON.stringify(
        {
          environment: props.environment,
          region: account.region,
          bucket: bucket.name,
          jobNamePrefix: prefix,
          roleArn: role.arn,
          pipelineRoleArn: pipelineRole.arn,
          imageUri: imageUri ?? null,
          python: imagePython,
          ...common,
          allowedInstanceTypes: settings.allowedInstanceTypes ?? null,
          defaultInstanceType: settings.defaultInstanceType,
          maximumMinutes: settings.maximumMinutes,
          volumeGb: settings.volumeGb,
          tags: props.tags,
        },
        undefined,
        1,
      ),
      dependsOn: [...bucket.ready, ...role.policies, pipelineRole.policy],
    });
  }

  /** What SageMaker Pipelines, which runs the rows of a sweep, sends jobs as. */
  private pipelineRole({ account, prefix }: JobsProps, rights: Omit<JobRights, "pipelineRoleArn">) {
    const trust = sagemakerTrust(this, "pipelines_trust", account);
    const role = new IamRole(this, "pipelines_role", {
      name: `${prefix}-pipelines`,
      description: "SageMaker Pipelines, which sends the jobs of a sweep",
      assumeRolePolicy: trust.json,
    });
    const document = new DataAwsIamPolicyDocument(this, "pipelines_document", {
      statement: [
        ...submitJobs(account, rights, [rights.jobRoleArn]),
        {
          sid: "TagJobs",
          actions: ["sagemaker:AddTags"],
          resources: [account.arn("sagemaker", `processing-job/${prefix}-*`)],
        },
      ],
    });
    const policy = new IamRolePolicy(this, "pipelines", {
      name: "jobs",
      role: role.name,
      policy: document.json,
    });
    return { arn: role.arn, policy };
  }
}
