import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AthenaClient, CreateNamedQueryCommand, CreateWorkGroupCommand } from "@aws-sdk/client-athena";
import { BedrockClient, CreateInferenceProfileCommand } from "@aws-sdk/client-bedrock";
import { BudgetsClient, CreateBudgetActionCommand, CreateBudgetCommand } from "@aws-sdk/client-budgets";
import { CloudTrailClient, CreateTrailCommand } from "@aws-sdk/client-cloudtrail";
import { CloudWatchClient, PutMetricAlarmCommand } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  AllocateAddressCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateNatGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeRouteTablesCommand,
  EC2Client,
  type ResourceType,
} from "@aws-sdk/client-ec2";
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import {
  AttachRolePolicyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  IAMClient,
  PutRolePolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateAppImageConfigCommand,
  CreateImageCommand,
  CreatePipelineCommand,
  CreateStudioLifecycleConfigCommand,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import {
  CreateScheduleCommand,
  CreateScheduleGroupCommand,
  SchedulerClient,
} from "@aws-sdk/client-scheduler";
import { CreateTopicCommand, SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

/** A copy, because the project can contain a developer's state. */
let project: ReturnType<typeof copyProject>;
let localAws: LocalAws;
/** Resources of another environment whose name starts with `dev`. */
let others: readonly string[];

async function leftovers(...args: string[]) {
  const command = ["--import", "tsx", "scripts/leftovers.ts", "--environment", "dev", ...args];
  const env = { ...process.env, ...localAws.environment };
  const ended = await capture(process.execPath, command, { cwd: project.folder, env });
  return { status: ended?.status, output: `${ended?.stdout}${ended?.stderr}` };
}

/** Creates an environment's resources like an apply that was killed before it wrote the state. */
async function makeParts(environment: string): Promise<void> {
  const client = localAws.clientSettings();
  const tags = { Project: "sagemaker-marimo", Environment: environment };
  const tagged = (type: ResourceType) => ({
    TagSpecifications: [
      { ResourceType: type, Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) },
    ],
  });
  const prefix = `marimo-${environment}`;
  const ec2 = new EC2Client(client);
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16", ...tagged("vpc") }));
  const VpcId = Vpc?.VpcId;
  const group = { GroupName: `${prefix}-studio`, Description: "Shared spaces", VpcId };
  await ec2.send(new CreateSecurityGroupCommand({ ...group, ...tagged("security-group") }));
  await ec2.send(new AllocateAddressCommand({ Domain: "vpc", ...tagged("elastic-ip") }));
  const { Subnet } = await ec2.send(
    new CreateSubnetCommand({ VpcId, CidrBlock: "10.0.1.0/24", ...tagged("subnet") }),
  );
  const { SubnetId } = Subnet ?? {};
  await ec2.send(
    new CreateNatGatewayCommand({ SubnetId, ConnectivityType: "private", ...tagged("natgateway") }),
  );
  const { RouteTable } = await ec2.send(new CreateRouteTableCommand({ VpcId, ...tagged("route-table") }));
  const pair = { RouteTableId: RouteTable?.RouteTableId, SubnetId };
  await ec2.send(new AssociateRouteTableCommand(pair));
  const { InternetGateway } = await ec2.send(new CreateInternetGatewayCommand(tagged("internet-gateway")));
  const InternetGatewayId = InternetGateway?.InternetGatewayId;
  await ec2.send(new AttachInternetGatewayCommand({ VpcId, InternetGatewayId }));
  const route = { RouteTableId: RouteTable?.RouteTableId, GatewayId: InternetGatewayId };
  await ec2.send(new CreateRouteCommand({ ...route, DestinationCidrBlock: "0.0.0.0/0" }));
  const s3 = new S3Client(client);
  const Bucket = `${prefix}-123456789012-us-east-1`;
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "results/model.bin", Body: "model" }));
  await makeTrail(prefix, Bucket);
  const kms = new KMSClient(client);
  const keyTags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Tags: keyTags }));
  const TargetKeyId = KeyMetadata?.KeyId;
  await kms.send(new CreateAliasCommand({ AliasName: `alias/${prefix}`, TargetKeyId }));
  const iam = new IAMClient(client);
  const RoleName = `${prefix}-execution`;
  const trust = {
    Effect: "Allow",
    Principal: { Service: ["sagemaker.amazonaws.com", "scheduler.amazonaws.com"] },
    Action: "sts:AssumeRole",
  };
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  for (const name of ["budget", "execution", "images", "jobs", "pipelines", "scheduler"]) {
    await iam.send(new CreateRoleCommand({ RoleName: `${prefix}-${name}`, AssumeRolePolicyDocument, Tags }));
  }
  const sagemaker = new SageMakerClient(client);
  const image = { ImageName: `${prefix}-geo`, RoleArn: roleArn(`${prefix}-images`) };
  await sagemaker.send(new CreateImageCommand({ ...image, Tags }));
  const config = { AppImageConfigName: `${prefix}-geo`, JupyterLabAppImageConfig: {} };
  await sagemaker.send(new CreateAppImageConfigCommand({ ...config, Tags }));
  for (const name of ["domain", "code-editor"])
    await sagemaker.send(
      new CreateStudioLifecycleConfigCommand({
        StudioLifecycleConfigName: `${prefix}-${name}-0123abcd`,
        StudioLifecycleConfigContent: "IyEvYmluL2Jhc2gK",
        StudioLifecycleConfigAppType: "JupyterLab",
      }),
    );
  const statement = { Effect: "Allow", Action: "s3:ListBucket", Resource: "*" };
  const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "artifacts", PolicyDocument }));
  const logs = new CloudWatchLogsClient(client);
  await logs.send(new CreateLogGroupCommand({ logGroupName: `${prefix}-vpc-flow-logs` }));
  const stop = await iam.send(
    new CreatePolicyCommand({ PolicyName: `${prefix}-budget-stop`, PolicyDocument, Tags }),
  );
  const PolicyArn = stop.Policy?.Arn ?? "";
  await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }));
  await makeBudget(prefix, PolicyArn);
  const athena = new AthenaClient(client);
  for (const name of ["shared", "user-ana", "schedules-team.forecasting"])
    await athena.send(new CreateWorkGroupCommand({ Name: `${prefix}-${name}`, Tags }));
  await athena.send(
    new CreateNamedQueryCommand({
      ...{ Name: "sales", Database: "sales", QueryString: "SELECT 1" },
      WorkGroup: `${prefix}-user-ana`,
    }),
  );
  await makeJobs(prefix, Tags);
  await new BedrockClient(client).send(
    new CreateInferenceProfileCommand({
      inferenceProfileName: `${prefix}-0123456789abcdef`,
      modelSource: { copyFrom: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0" },
    }),
  );
}

/** Creates a spent budget, whose action has attached the policy. */
async function makeBudget(BudgetName: string, PolicyArn: string): Promise<void> {
  const budgets = new BudgetsClient(localAws.clientSettings());
  const budget = { AccountId: "123456789012", BudgetName };
  await budgets.send(
    new CreateBudgetCommand({
      AccountId: budget.AccountId,
      Budget: {
        BudgetName,
        BudgetType: "COST",
        TimeUnit: "MONTHLY",
        BudgetLimit: { Amount: "1", Unit: "USD" },
      },
    }),
  );
  await budgets.send(
    new CreateBudgetActionCommand({
      ...budget,
      ActionType: "APPLY_IAM_POLICY",
      ApprovalModel: "AUTOMATIC",
      NotificationType: "ACTUAL",
      ActionThreshold: { ActionThresholdType: "PERCENTAGE", ActionThresholdValue: 100 },
      Definition: { IamActionDefinition: { PolicyArn, Roles: [`${BudgetName}-execution`] } },
      ExecutionRoleArn: roleArn(`${BudgetName}-budget`),
      Subscribers: [{ SubscriptionType: "EMAIL", Address: "ana@example.com" }],
    }),
  );
}

/** Creates a trail with its bucket, topic and rules. */
async function makeTrail(prefix: string, bucket: string): Promise<void> {
  const client = localAws.clientSettings();
  const s3 = new S3Client(client);
  const Bucket = `${bucket}-trail`;
  await s3.send(new CreateBucketCommand({ Bucket }));
  const Statement = [
    {
      Effect: "Allow",
      Principal: { Service: "cloudtrail.amazonaws.com" },
      Action: ["s3:GetBucketAcl", "s3:PutObject"],
      Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
    },
  ];
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Statement }) }));
  const trails = new CloudTrailClient(client);
  await trails.send(new CreateTrailCommand({ Name: `${prefix}-audit`, S3BucketName: Bucket }));
  await new SNSClient(client).send(new CreateTopicCommand({ Name: `${prefix}-audit` }));
  const events = new EventBridgeClient(client);
  for (const name of ["changes", "denied"]) {
    await events.send(
      new PutRuleCommand({ Name: `${prefix}-audit-${name}`, EventPattern: '{"source":["aws.s3"]}' }),
    );
  }
}

const roleArn = (name: string) => `arn:aws:iam::123456789012:role/${name}`;

/** Creates a user's sweep and the resources of schedules. */
async function makeJobs(prefix: string, Tags: { Key: string; Value: string }[]): Promise<void> {
  const client = localAws.clientSettings();
  await new SchedulerClient(client).send(new CreateScheduleGroupCommand({ Name: prefix, Tags }));
  await new SQSClient(client).send(new CreateQueueCommand({ QueueName: `${prefix}-schedules` }));
  const sns = new SNSClient(client);
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: `${prefix}-jobs` }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: "email", Endpoint: "ana@example.com" }));
  const events = new EventBridgeClient(client);
  const Rule = `${prefix}-failed-jobs`;
  await events.send(new PutRuleCommand({ Name: Rule, EventPattern: '{"source":["aws.sagemaker"]}' }));
  await events.send(new PutTargetsCommand({ Rule, Targets: [{ Id: "topic", Arn: TopicArn }] }));
  await new CloudWatchClient(client).send(
    new PutMetricAlarmCommand({
      AlarmName: `${prefix}-dead-letters`,
      Namespace: "AWS/SQS",
      MetricName: "ApproximateNumberOfMessagesVisible",
      Statistic: "Maximum",
      Period: 300,
      EvaluationPeriods: 1,
      ComparisonOperator: "GreaterThanThreshold",
      Threshold: 0,
    }),
  );
  const row = {
    RoleArn: roleArn(`${prefix}-jobs`),
    AppSpecification: { ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag" },
    ProcessingResources: {
      ClusterConfig: { InstanceCount: 1, InstanceType: "ml.m5.large", VolumeSizeInGB: 30 },
    },
  };
  await new SageMakerClient(client).send(
    new CreatePipelineCommand({
      PipelineName: `${prefix}-grid-1`,
      ClientRequestToken: "a".repeat(32),
      RoleArn: roleArn(`${prefix}-pipelines`),
      PipelineDefinition: JSON.stringify({
        Version: "2020-12-01",
        Steps: [{ Name: "row-1", Type: "Processing", Arguments: row }],
      }),
    }),
  );
}

beforeAll(async () => {
  const { python } = await pythonEnvironment("aws");
  project = copyProject();
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  await makeParts("dev-2");
  others = await localAws.inventory();
  await makeParts("dev");
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

it("lists resources that are not in the state, and deletes nothing without a request", async () => {
  const before = await localAws.inventory();
  const listed = await leftovers();
  expect(listed.status).toBe(1);
  // A topic's subscription and a NAT gateway's network interface are deleted with it.
  expect(listed.output.match(/^ {2}\S.*/gm)).toHaveLength(before.length - others.length - 2);
  expect(listed.output).toContain(
    "bucket marimo-dev-123456789012-us-east-1 (1 objects, 1 versions, 5 bytes)",
  );
  const unconfirmed = await leftovers("--remove");
  expect(unconfirmed.status).toBe(1);
  expect(unconfirmed.output).toContain(
    "Confirmation needs a terminal, and there is none: nothing was deleted.",
  );
  expect(await localAws.inventory()).toEqual(before);
});

it("lists a route and an association separately only if the state has their table but not them", async () => {
  const ec2 = new EC2Client(localAws.clientSettings());
  const Filters = [{ Name: "tag:Environment", Values: ["dev"] }];
  const { RouteTables = [] } = await ec2.send(new DescribeRouteTablesCommand({ Filters }));
  const [{ RouteTableId = "", Associations = [] } = {}] = RouteTables;
  const association = Associations[0]?.RouteTableAssociationId ?? "";
  const route = `r-${RouteTableId}1080289494`;
  const file = join(project.folder, "terraform.dev.tfstate");
  const listedWith = async (...ids: string[]) => {
    const instances = ids.map((id) => ({ attributes: { id } }));
    writeFileSync(file, JSON.stringify({ resources: [{ mode: "managed", instances }] }));
    const { output } = await leftovers();
    return output.match(/^ {2}route.*/gm);
  };
  expect(await listedWith(RouteTableId)).toEqual([
    expect.stringMatching(
      `^  route table association ${association} \\(of subnet-\\w+ with ${RouteTableId}\\)$`,
    ),
    `  route ${route} (to 0.0.0.0/0 in ${RouteTableId})`,
  ]);
  expect(await listedWith(RouteTableId, association, route)).toBe(null);
  rmSync(file);
});

it("lists a schedule separately if the state has its group, and a sweep unless the state has the policy for jobs", async () => {
  await new SchedulerClient(localAws.clientSettings()).send(
    new CreateScheduleCommand({
      Name: "daily",
      GroupName: "marimo-dev",
      ScheduleExpression: "cron(0 7 1 1 ? 2199)",
      FlexibleTimeWindow: { Mode: "OFF" },
      Target: {
        Arn: "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
        RoleArn: roleArn("marimo-dev-scheduler"),
        Input: "{}",
      },
    }),
  );
  const file = join(project.folder, "terraform.dev.tfstate");
  const listedWith = async (type: string, id: string) => {
    const resources = [{ mode: "managed", type, instances: [{ attributes: { id } }] }];
    writeFileSync(file, JSON.stringify({ resources }));
    const { output } = await leftovers();
    return output.match(/^ {2}(schedule|pipeline).*/gm);
  };
  const [group, schedule] = ["  schedule group marimo-dev", "  schedule marimo-dev/daily"];
  const sweep = "  pipeline marimo-dev-grid-1";
  expect(await listedWith("aws_scheduler_schedule_group", "marimo-dev")).toEqual([schedule, sweep]);
  expect(await listedWith("aws_iam_policy_attachment", "marimo-dev-jobs")).toEqual([group]);
  rmSync(file);
});

it("deletes all leftovers on request, and nothing of another environment", async () => {
  const removed = await leftovers("--remove", "--yes");
  expect(removed.status, removed.output).toBe(0);
  expect(await localAws.inventory()).toEqual(others);
  const again = await leftovers();
  expect(again.status).toBe(0);
  expect(again.output).toContain('no leftovers of "dev"');
});

it("rejects --yes without --remove", async () => {
  expect(await leftovers("--yes")).toMatchObject({ status: 2 });
});
