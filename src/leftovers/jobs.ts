/** Finds an environment's schedules, sweeps, jobs and alerts in an account. */
import { DeleteAlarmsCommand, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import {
  DeleteRuleCommand,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  RemoveTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import {
  DeleteScheduleCommand,
  DeleteScheduleGroupCommand,
  GetScheduleGroupCommand,
  ListTagsForResourceCommand,
  paginateListScheduleGroups,
  paginateListSchedules,
} from "@aws-sdk/client-scheduler";
import { DeleteStateMachineCommand, paginateListStateMachines } from "@aws-sdk/client-sfn";
import { DeleteTopicCommand, paginateListTopics } from "@aws-sdk/client-sns";
import { DeleteQueueCommand, paginateListQueues } from "@aws-sdk/client-sqs";
import { type Tools, unlessGone, untilGone } from "../removal/aws.ts";
import { deletePipeline, pipelinesOf, runningJobs, stopJobs } from "../removal/jobs.ts";
import { madeByServices, removeMadeByServices } from "../removal/services.ts";
import { awsNames } from "../settings/names.ts";
import type { JobClients } from "./clients.ts";
import { type EnvironmentNames, isOwn, type Leftover } from "./leftover.ts";

/** Schedules first, then sweeps, then jobs, because each of them starts the next. */
export async function findJobs(of: EnvironmentNames, tools: Tools<JobClients>): Promise<Leftover[]> {
  const { prefix } = of;
  return [
    ...(await findSchedules(of, tools)),
    ...(await findSweepsAndJobs(of, tools)),
    ...(await findAlerts(prefix, tools.clients)),
    ...(await findQueues(prefix, tools.clients)),
  ];
}

async function findSchedules(of: EnvironmentNames, tools: Tools<JobClients>): Promise<Leftover[]> {
  const { scheduler } = tools.clients;
  const { scheduleGroup, user } = awsNames(of.prefix);
  const found: Leftover[] = [];
  const query = { NamePrefix: of.prefix };
  for await (const { ScheduleGroups = [] } of paginateListScheduleGroups({ client: scheduler }, query)) {
    for (const { Arn: ResourceArn, Name = "" } of ScheduleGroups) {
      if (Name !== scheduleGroup && !Name.startsWith(user(""))) continue;
      const answer = await unlessGone(() => scheduler.send(new ListTagsForResourceCommand({ ResourceArn })));
      if (isOwn(answer?.Tags, of)) found.push(...(await findGroup(Name, tools)));
    }
  }
  return found;
}

/** The schedules of a group, and the group itself. */
export async function findGroup(
  GroupName: string,
  tools: Tools<Pick<JobClients, "scheduler">>,
): Promise<Leftover[]> {
  const { scheduler } = tools.clients;
  const exists = () => unlessGone(() => scheduler.send(new GetScheduleGroupCommand({ Name: GroupName })));
  const found: Leftover[] = [];
  for await (const { Schedules = [] } of paginateListSchedules({ client: scheduler }, { GroupName })) {
    for (const { Name = "" } of Schedules) {
      found.push({
        kind: "schedule",
        // The provider's ID (terraform-provider-aws, `resourceScheduleIDFromARN`).
        id: `${GroupName}/${Name}`,
        partOf: `aws_scheduler_schedule_group ${GroupName}`,
        remove: () => unlessGone(() => scheduler.send(new DeleteScheduleCommand({ GroupName, Name }))),
      });
    }
  }
  found.push({
    kind: "schedule group",
    id: GroupName,
    type: "aws_scheduler_schedule_group",
    remove: async () => {
      await scheduler.send(new DeleteScheduleGroupCommand({ Name: GroupName }));
      // AWS first deletes the schedules of the group (EventBridge Scheduler API, DeleteScheduleGroup).
      await untilGone("schedule groups", async () => ((await exists()) ? [GroupName] : []), tools);
    },
  });
  return found;
}

async function findSweepsAndJobs(of: EnvironmentNames, tools: Tools<JobClients>): Promise<Leftover[]> {
  const { sagemaker } = tools.clients;
  const pipelines = await pipelinesOf(of, sagemaker);
  const jobs = await runningJobs(of, sagemaker);
  // Each sender has the policy for jobs. Its attachment's ID is the name of the policy.
  const madeWith = `aws_iam_policy_attachment ${of.prefix}-jobs`;
  return [
    ...pipelines.map(({ PipelineName: id = "" }) => ({
      kind: "pipeline",
      id,
      madeWith,
      remove: () => deletePipeline(id, tools),
    })),
    ...jobs.map((job) => ({
      kind: "job",
      id: job.name,
      note: job.status,
      madeWith,
      remove: () => stopJobs([job], of, tools),
    })),
    ...(await madeByServices(of, sagemaker)).map((one) => ({
      kind: one.kind,
      id: one.name,
      note: one.status,
      madeWith: `aws_iam_policy_attachment ${of.prefix}-services`,
      remove: () => removeMadeByServices([one], of, tools),
    })),
  ];
}

async function findAlerts(prefix: string, clients: JobClients): Promise<Leftover[]> {
  const { alarms, events, sfn, sns } = clients;
  const found: Leftover[] = [];
  const names = awsNames(prefix);
  const { deadLetterAlarm: alarm } = names;
  const rules = [
    names.failedJobRule,
    names.instanceLimit,
    names.endpointTimeout,
    names.changesRule,
    names.deniedRule,
  ];
  const { Rules = [] } = await events.send(new ListRulesCommand({ NamePrefix: prefix }));
  for (const { Name: rule = "" } of Rules) {
    if (!rules.includes(rule)) continue;
    found.push({
      kind: "event rule",
      id: rule,
      type: "aws_cloudwatch_event_rule",
      remove: async () => {
        // EventBridge cannot delete a rule that has targets (EventBridge API, DeleteRule).
        const { Targets = [] } = await events.send(new ListTargetsByRuleCommand({ Rule: rule }));
        const Ids = Targets.map(({ Id = "" }) => Id);
        if (Ids.length > 0) await events.send(new RemoveTargetsCommand({ Rule: rule, Ids }));
        await events.send(new DeleteRuleCommand({ Name: rule }));
      },
    });
  }
  for await (const { stateMachines = [] } of paginateListStateMachines({ client: sfn }, {})) {
    for (const { name, stateMachineArn = "" } of stateMachines) {
      if (name !== names.instanceLimit && name !== names.endpointTimeout) continue;
      found.push({
        kind: "state machine",
        id: stateMachineArn,
        remove: () => sfn.send(new DeleteStateMachineCommand({ stateMachineArn })),
      });
    }
  }
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
      const name = TopicArn.split(":").at(-1) ?? "";
      if (![names.alertTopic, names.auditTopic].includes(name) && !name.startsWith(names.user(""))) continue;
      found.push({
        kind: "topic",
        id: TopicArn,
        // The topic policy has the same ID.
        type: "aws_sns_topic",
        remove: () => sns.send(new DeleteTopicCommand({ TopicArn })),
      });
    }
  }
  return found;
}

async function findQueues(prefix: string, { sqs }: JobClients): Promise<Leftover[]> {
  const found: Leftover[] = [];
  const name = awsNames(prefix).deadLetterQueue;
  // Without MaxResults, the response has no NextToken (Amazon SQS API, ListQueues).
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
