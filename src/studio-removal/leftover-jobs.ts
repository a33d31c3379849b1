/** Schedules and their alerts, sweeps and jobs: what an environment has in an account outside its network and its domain. */
import { CloudWatchClient, DeleteAlarmsCommand, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import {
  DeleteRuleCommand,
  EventBridgeClient,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  RemoveTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import {
  DeleteScheduleCommand,
  DeleteScheduleGroupCommand,
  GetScheduleGroupCommand,
  paginateListSchedules,
  SchedulerClient,
} from "@aws-sdk/client-scheduler";
import { DeleteTopicCommand, paginateListTopics, SNSClient } from "@aws-sdk/client-sns";
import { DeleteQueueCommand, paginateListQueues, SQSClient } from "@aws-sdk/client-sqs";
import { type clientSettings, type Tools, unlessGone, untilGone } from "./aws.ts";
import { deletePipeline, pipelinesOf, runningJobs, stopJobs } from "./jobs.ts";
import type { EnvironmentNames, Leftover } from "./leftovers.ts";

export interface JobClients {
  readonly alarms: CloudWatchClient;
  readonly events: EventBridgeClient;
  readonly sagemaker: SageMakerClient;
  readonly scheduler: SchedulerClient;
  readonly sns: SNSClient;
  readonly sqs: SQSClient;
}

export const jobClients = (settings: ReturnType<typeof clientSettings>): Omit<JobClients, "sagemaker"> => ({
  alarms: new CloudWatchClient(settings),
  events: new EventBridgeClient(settings),
  scheduler: new SchedulerClient(settings),
  sns: new SNSClient(settings),
  sqs: new SQSClient(settings),
});

/** Schedules first, then sweeps, then jobs: each of them starts the next. */
export async function findJobs({ prefix }: EnvironmentNames, tools: Tools<JobClients>): Promise<Leftover[]> {
  return [
    ...(await findSchedules(prefix, tools)),
    ...(await findSweepsAndJobs(prefix, tools)),
    ...(await findAlerts(prefix, tools.clients)),
    ...(await findQueues(prefix, tools.clients)),
  ];
}

async function findSchedules(prefix: string, tools: Tools<JobClients>): Promise<Leftover[]> {
  const { scheduler } = tools.clients;
  const exists = () => unlessGone(() => scheduler.send(new GetScheduleGroupCommand({ Name: prefix })));
  if ((await exists()) === undefined) return [];
  const found: Leftover[] = [];
  for await (const { Schedules = [] } of paginateListSchedules(
    { client: scheduler },
    { GroupName: prefix },
  )) {
    for (const { Name = "" } of Schedules) {
      found.push({
        kind: "schedule",
        // The provider's (terraform-provider-aws, `resourceScheduleIDFromARN`).
        id: `${prefix}/${Name}`,
        partOf: `aws_scheduler_schedule_group ${prefix}`,
        remove: () =>
          unlessGone(() => scheduler.send(new DeleteScheduleCommand({ GroupName: prefix, Name }))),
      });
    }
  }
  found.push({
    kind: "schedule group",
    id: prefix,
    type: "aws_scheduler_schedule_group",
    remove: async () => {
      await scheduler.send(new DeleteScheduleGroupCommand({ Name: prefix }));
      // Its schedules go with it, and it goes once they have (EventBridge Scheduler API, DeleteScheduleGroup).
      await untilGone("schedule groups", async () => ((await exists()) ? [prefix] : []), tools);
    },
  });
  return found;
}

async function findSweepsAndJobs(prefix: string, tools: Tools<JobClients>): Promise<Leftover[]> {
  const { sagemaker } = tools.clients;
  const pipelines = await pipelinesOf(prefix, sagemaker);
  const jobs = await runningJobs(prefix, sagemaker);
  return [
    ...pipelines.map(({ PipelineName: id = "" }) => ({
      kind: "pipeline",
      id,
      madeWith: `aws_iam_role ${prefix}-pipelines`,
      remove: () => deletePipeline(id, tools),
    })),
    ...jobs.map((job) => ({
      kind: "job",
      id: job.name,
      note: job.status,
      madeWith: `aws_iam_role ${prefix}-jobs`,
      remove: () => stopJobs([job], prefix, tools),
    })),
  ];
}

async function findAlerts(prefix: string, clients: JobClients): Promise<Leftover[]> {
  const { alarms, events, sns } = clients;
  const found: Leftover[] = [];
  const rule = `${prefix}-failed-jobs`;
  const { Rules = [] } = await events.send(new ListRulesCommand({ NamePrefix: rule }));
  if (Rules.some(({ Name }) => Name === rule)) {
    found.push({
      kind: "event rule",
      id: rule,
      type: "aws_cloudwatch_event_rule",
      remove: async () => {
        // EventBridge deletes no rule that has targets (EventBridge API, DeleteRule).
        const { Targets = [] } = await events.send(new ListTargetsByRuleCommand({ Rule: rule }));
        const Ids = Targets.map(({ Id = "" }) => Id);
        if (Ids.length > 0) await events.send(new RemoveTargetsCommand({ Rule: rule, Ids }));
        await events.send(new DeleteRuleCommand({ Name: rule }));
      },
    });
  }
  const alarm = `${prefix}-dead-letters`;
  const { MetricAlarms = [] } = await alarms.send(new DescribeAlarmsCommand({ AlarmNames: [alarm] }));
  if (MetricAlarms.length > 0) {
    found.push({
      kind: "alarm",
      id: alarm,
      type: "aws_cloudwatch_metric_alarm",
      remove: () => alarms.send(new DeleteAlarmsCommand({ AlarmNames: [alarm] })),
    });
  }
  for await (const { Topics = [] } of paginateListTopics({ client: sns }, {})) {
    for (const { TopicArn = "" } of Topics) {
      if (!TopicArn.endsWith(`:${prefix}-jobs`)) continue;
      found.push({
        kind: "topic",
        id: TopicArn,
        // Its policy has the same id.
        type: "aws_sns_topic",
        remove: () => sns.send(new DeleteTopicCommand({ TopicArn })),
      });
    }
  }
  return found;
}

async function findQueues(prefix: string, { sqs }: JobClients): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const name = `${prefix}-schedules`;
  // Without MaxResults there would be no next page (Amazon SQS API, ListQueues).
  const query = { QueueNamePrefix: name, MaxResults: 1000 };
  for await (const { QueueUrls = [] } of paginateListQueues({ client: sqs }, query)) {
    for (const QueueUrl of QueueUrls) {
      if (!QueueUrl.endsWith(`/${name}`)) continue;
      found.push({
        kind: "queue",
        id: QueueUrl,
        remove: () => sqs.send(new DeleteQueueCommand({ QueueUrl })),
      });
    }
  }
  return found;
}
