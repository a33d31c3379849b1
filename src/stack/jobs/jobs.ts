import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { Construct } from "constructs";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import type { ResolvedJobs } from "../../settings/jobs.ts";
import { awsNames, jobsJson } from "../../settings/names.ts";
import { imagePython } from "../../settings/processing.ts";
import { sagemakerTrust } from "../identity/service-trust.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import { SpaceSecurityGroup } from "../network/space-security-group.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { encryptedObject } from "../storage/payload.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { JobRole } from "./job-role.ts";
import { type JobAccess, submitJobStatements } from "./job-user-statements.ts";
import type { JobDefaults, JobPlacement } from "./processing-job.ts";

export interface JobsProps {
  /** Name prefix of every resource and job. Limit: see `checkPrefix`. */
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

/** What `marimo-job` reads from the bucket: `sagemaker_marimo/jobs/settings.py`. */
export interface JobsJson extends JobPlacement {
  readonly environment: string;
  readonly region: string;
  readonly bucket: string;
  /** Names of jobs and pipelines begin with it and a hyphen. */
  readonly jobNamePrefix: string;
  readonly roleArn: string;
  readonly pipelineRoleArn: string;
  readonly imageUri: string | null;
  readonly gpuImageUri: string | null;
  readonly secrets: readonly string[];
  readonly python: string;
  readonly allowedInstanceTypes: readonly string[] | null;
  readonly defaultInstanceType: string;
  readonly maximumMinutes: number;
  readonly volumeGb: number;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Notebooks as SageMaker Processing jobs: their role and network, and the object `jobs.json` in the bucket from which
 * `marimo-job` reads both.
 */
export class Jobs extends Construct {
  /** What users need to submit jobs. */
  readonly access: JobAccess;
  /** Request defaults of each job. Undefined in Regions without a known image. */
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
      imageUris: [settings.imageUri, settings.gpuImageUri],
      secrets: settings.secrets,
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
    this.access = { ...submission, pipelineRoleArn: pipelineRole.arn };
    const { imageUri, gpuImageUri } = settings;
    this.defaults =
      imageUri === undefined || gpuImageUri === undefined
        ? undefined
        : {
            region: account.region,
            bucketName: bucket.name,
            roleArn: role.arn,
            imageUri,
            gpuImageUri,
            volumeGb: settings.volumeGb,
            tags: props.tags,
            ...common,
          };
    new S3Object(this, "settings", {
      bucket: bucket.name,
      key: jobsJson,
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
          gpuImageUri: gpuImageUri ?? null,
          secrets: settings.secrets,
          python: imagePython,
          ...common,
          allowedInstanceTypes: settings.allowedInstanceTypes ?? null,
          defaultInstanceType: settings.defaultInstanceType,
          maximumMinutes: settings.maximumMinutes,
          volumeGb: settings.volumeGb,
          tags: props.tags,
        } satisfies JobsJson,
        undefined,
        1,
      ),
      dependsOn: [...bucket.ready, ...role.policies, pipelineRole.policy],
    });
  }

  /** Role of SageMaker Pipelines, which submits the jobs of a sweep. */
  private pipelineRole({ account, prefix }: JobsProps, rights: Omit<JobAccess, "pipelineRoleArn">) {
    const trust = sagemakerTrust(this, "pipelines_trust", account);
    const role = new IamRole(this, "pipelines_role", {
      name: awsNames(prefix).pipelineRole,
      description: "SageMaker Pipelines, which sends the jobs of a sweep",
      assumeRolePolicy: trust.json,
    });
    const document = new DataAwsIamPolicyDocument(this, "pipelines_document", {
      statement: [
        ...submitJobStatements(account, rights, [rights.jobRoleArn]),
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
