import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import type { LocalAws } from "../../src/local-studio/local-aws.ts";
import { prefixOf } from "../../src/settings/basics.ts";
import { imagePython } from "../../src/settings/processing.ts";
import type { JobsJson } from "../../src/stack/jobs/jobs.ts";

export interface JobSettingsProps {
  readonly localAws: LocalAws;
  readonly environment: string;
  readonly bucket: string;
  readonly roleArn: string;
}

/**
 * The content of jobs.json for `marimo-job` (src/stack/jobs/jobs.ts) on a local AWS without the stack: with the network
 * of its default VPC and a new KMS key.
 */
export async function jobSettings({
  localAws,
  environment,
  bucket,
  roleArn,
}: JobSettingsProps): Promise<JobsJson> {
  const client = localAws.clientSettings();
  const ec2 = new EC2Client(client);
  const [{ KeyMetadata }, { Subnets }, { SecurityGroups }] = await Promise.all([
    new KMSClient(client).send(new CreateKeyCommand()),
    ec2.send(new DescribeSubnetsCommand()),
    ec2.send(new DescribeSecurityGroupsCommand()),
  ]);
  return {
    environment,
    region: String(client.region),
    bucket,
    jobNamePrefix: prefixOf(environment),
    roleArn,
    userRoleArnPrefix: null,
    imageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
    gpuImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:gpu",
    secrets: [],
    schedules: [],
    athenaUsers: [],
    python: imagePython,
    subnetIds: [Subnets?.[0]?.SubnetId ?? ""],
    securityGroupIds: [SecurityGroups?.[0]?.GroupId ?? ""],
    encryptionKeyArn: KeyMetadata?.Arn ?? "",
    allowedInstanceTypes: null,
    teamInstanceTypes: {},
    defaultInstanceType: "ml.m5.large",
    maximumInstances: null,
    nodeSecurityGroupIds: [SecurityGroups?.[0]?.GroupId ?? ""],
    maximumMinutes: 60,
    maximumWarmMinutes: 60,
    volumeGb: 30,
    maximumSchedulesPerUser: 10,
    shortestScheduleMinutes: 15,
    topicArnPrefix: null,
    emailDomains: [],
    serverlessEndpoints: true,
    tags: { Project: "sagemaker-marimo", Environment: environment },
  };
}
