import { S3Object } from "@cdktf/provider-aws/lib/s3-object/index.js";
import { Construct } from "constructs";
import type { ResolvedJobs } from "../../settings/jobs.ts";
import { awsNames, jobsJson } from "../../settings/names.ts";
import { imagePython } from "../../settings/processing.ts";
import type { UserTypes } from "../../settings/team-types.ts";
import { userRoleArn } from "../identity/conditions.ts";
import type { EnvironmentNetwork } from "../network/network.ts";
import { SpaceSecurityGroup } from "../network/space-security-group.ts";
import { longestKeepAliveSeconds } from "../services/service-statements.ts";
import type { EnvironmentBucket } from "../storage/artifact-bucket.ts";
import { encryptedObject } from "../storage/payload.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import type { JobAccess } from "./job-user-statements.ts";
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
  /** Names of the schedules of the settings. */
  readonly schedules: readonly string[];
  /** Users with an Athena workgroup, `*` for everybody. */
  readonly athenaUsers: readonly string[];
  /** Whether models can run outside the VPC, which serverless endpoints need. */
  readonly serverlessEndpoints: boolean;
  /** Of each job. */
  readonly tags: Readonly<Record<string, string>>;
  /** Keys of `tags` that each job must have. */
  readonly requiredTags: readonly string[];
  /** What teams add to the instance types, by the names of users in lower case. @default nothing */
  readonly userTypes?: ReadonlyMap<string, UserTypes> | undefined;
  /** The one role of everybody, which their jobs run as. @default a role for each user */
  readonly existingRoleArn?: string | undefined;
}

/** What `marimo-job` reads from the bucket: `sagemaker_marimo/jobs/settings.py`. */
export interface JobsJson extends JobPlacement {
  readonly environment: string;
  readonly region: string;
  readonly bucket: string;
  /** Names of jobs and pipelines begin with it, the user's name in lower case unless there is a `roleArn`, and hyphens. */
  readonly jobNamePrefix: string;
  /** The one role of all jobs and sweeps. Null: each user has a role. */
  readonly roleArn: string | null;
  /** What the ARNs of the users' roles begin with; the user's name in lower case follows. Null with `roleArn`. */
  readonly userRoleArnPrefix: string | null;
  readonly imageUri: string | null;
  readonly gpuImageUri: string | null;
  readonly secrets: readonly string[];
  /** Names of the schedules of the settings, which everybody may list. */
  readonly schedules: readonly string[];
  /** Users with an Athena workgroup, `*` for everybody. */
  readonly athenaUsers: readonly string[];
  readonly python: string;
  readonly allowedInstanceTypes: readonly string[] | null;
  /** Types that the teams of a user add, by the user's name in lower case. */
  readonly teamInstanceTypes: Readonly<Record<string, readonly string[]>>;
  readonly defaultInstanceType: string;
  /** Of a job. Null: any number. */
  readonly maximumInstances: number | null;
  /** Security groups of jobs with several instances, which reach one another. Empty if a job has one. */
  readonly nodeSecurityGroupIds: readonly string[];
  readonly maximumMinutes: number;
  /** How long the instances of a training job may stay for the next one. */
  readonly maximumWarmMinutes: number;
  readonly volumeGb: number;
  readonly maximumSchedulesPerUser: number;
  readonly shortestScheduleMinutes: number;
  /** What the ARNs of the users' topics begin with; the user's name in lower case follows. Null: nobody is notified. */
  readonly topicArnPrefix: string | null;
  /** Of the addresses that users may add. */
  readonly emailDomains: readonly string[];
  /** Whether models can be outside the VPC: `sagemaker_marimo/sdk_defaults.py`. */
  readonly serverlessEndpoints: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Notebooks as SageMaker processing and training jobs: their network, and the object `jobs.json` in the bucket from which
 * `marimo-job` reads it.
 */
export class Jobs extends Construct {
  /** What users need to submit jobs. */
  readonly access: JobAccess;
  /** Request defaults of each job. Undefined in Regions without a known image. */
  readonly defaults: Omit<JobDefaults, "roleArn"> | undefined;

  constructor(scope: Construct, id: string, props: JobsProps) {
    super(scope, id);
    const { account, bucket, encryptionKeyArn, existingRoleArn, network, prefix, settings } = props;
    checkPrefix(this, prefix);
    const { groupId } = new SpaceSecurityGroup(this, "security", {
      name: `${prefix}-jobs`,
      description: "Processing jobs",
      vpcId: network.vpcId,
      https: network.https,
      within: [],
    });
    const { maximumInstances } = settings;
    const nodeGroupIds =
      maximumInstances === 1
        ? []
        : [
            new SpaceSecurityGroup(this, "node_security", {
              name: `${prefix}-job-nodes`,
              description: "Training jobs with several instances, which reach one another",
              vpcId: network.vpcId,
              https: network.https,
              // EFA needs all protocols (Amazon EC2 User Guide, "Get started with EFA and NCCL").
              within: [{ what: "nodes of a job", protocol: "-1", fromPort: 0, toPort: 0 }],
            }).groupId,
          ];
    const common = {
      subnetIds: network.privateSubnetIds,
      securityGroupIds: [groupId],
      encryptionKeyArn,
    };
    this.access = {
      prefix,
      environment: props.environment,
      requiredTags: props.requiredTags,
      imageUris: [settings.imageUri, settings.gpuImageUri].filter((uri) => uri !== undefined),
      secrets: settings.secrets,
      allowedInstanceTypes: settings.allowedInstanceTypes,
      teamInstanceTypes: (props.userTypes?.size ?? 0) > 0,
      maximumMinutes: settings.maximumMinutes,
      schedules: settings.maximumSchedulesPerUser > 0,
      emailDomains: settings.notifications?.emailDomains ?? [],
      ...common,
      securityGroupIds: [groupId, ...nodeGroupIds],
    };
    const { imageUri, gpuImageUri } = settings;
    this.defaults =
      imageUri === undefined || gpuImageUri === undefined
        ? undefined
        : {
            region: account.region,
            bucketName: bucket.name,
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
          roleArn: existingRoleArn ?? null,
          userRoleArnPrefix: existingRoleArn === undefined ? userRoleArn(account, prefix, "") : null,
          imageUri: imageUri ?? null,
          gpuImageUri: gpuImageUri ?? null,
          secrets: settings.secrets,
          schedules: props.schedules,
          athenaUsers: props.athenaUsers,
          python: imagePython,
          ...common,
          allowedInstanceTypes: settings.allowedInstanceTypes ?? null,
          teamInstanceTypes: Object.fromEntries(
            [...(props.userTypes ?? [])].map(([user, { instanceTypes }]) => [user, instanceTypes]),
          ),
          defaultInstanceType: settings.defaultInstanceType,
          maximumInstances: maximumInstances === "any" ? null : maximumInstances,
          nodeSecurityGroupIds: nodeGroupIds,
          maximumMinutes: settings.maximumMinutes,
          maximumWarmMinutes: longestKeepAliveSeconds / 60,
          volumeGb: settings.volumeGb,
          maximumSchedulesPerUser: settings.maximumSchedulesPerUser,
          shortestScheduleMinutes: settings.shortestScheduleMinutes,
          topicArnPrefix:
            settings.notifications === undefined ? null : account.arn("sns", awsNames(prefix).user("")),
          emailDomains: settings.notifications?.emailDomains ?? [],
          serverlessEndpoints: props.serverlessEndpoints,
          tags: props.tags,
        } satisfies JobsJson,
        undefined,
        1,
      ),
      dependsOn: [...bucket.ready],
    });
  }
}
