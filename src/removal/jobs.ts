/** Jobs and sweeps, which users start outside of the domain and Terraform does not manage. */
import {
  DeletePipelineCommand,
  DescribeProcessingJobCommand,
  type PipelineExecutionSummary,
  type PipelineSummary,
  paginateListPipelineExecutions,
  paginateListPipelines,
  paginateListProcessingJobs,
  type SageMakerClient,
  StopPipelineExecutionCommand,
  StopProcessingJobCommand,
} from "@aws-sdk/client-sagemaker";
import { type Tools, unlessGone, untilGone } from "./aws.ts";

export interface RunningJob {
  readonly name: string;
  readonly status: string;
  readonly instanceType: string | undefined;
}

export interface MadeAsJobs {
  /** Running jobs have network interfaces in the environment's subnets, so EC2 cannot delete the subnets. */
  readonly jobs: readonly RunningJob[];
  readonly pipelines: readonly PipelineSummary[];
}

/** What an environment's jobs and pipelines are known by. */
export interface JobNames {
  /** Prefix of their names. */
  readonly prefix: string;
  /** Name of an existing role that they all run as. @default roles of the stack's own */
  readonly existingRole?: string | undefined;
  /** Only those with a role of this user, whose name is in lower case. @default everybody's */
  readonly user?: string | undefined;
}

/**
 * Compares roles, because another environment's names can have the same prefix: the users', that of scheduled jobs, and
 * those from before each user had a role. src/settings/names.ts has the same names.
 */
export function isOwnRole(arn: string | undefined, { existingRole, prefix, user }: JobNames): boolean {
  const name = arn?.split("/").at(-1) ?? "";
  if (user !== undefined) return [`${prefix}-user-${user}`, `${prefix}-schedules-${user}`].includes(name);
  const own = [`${prefix}-jobs`, `${prefix}-pipelines`, existingRole];
  return (
    [`${prefix}-user-`, `${prefix}-schedules-`].some((one) => name.startsWith(one)) || own.includes(name)
  );
}

export async function runningJobs(names: JobNames, client: SageMakerClient): Promise<RunningJob[]> {
  const { prefix } = names;
  const jobs: RunningJob[] = [];
  for (const StatusEquals of ["InProgress", "Stopping"] as const) {
    // At most 100 on a page (SageMaker API, MaxResults).
    const query = { NameContains: `${prefix}-`, StatusEquals, MaxResults: 100 };
    for await (const page of paginateListProcessingJobs({ client }, query)) {
      for (const { ProcessingJobName: name = "" } of page.ProcessingJobSummaries ?? []) {
        if (!name.startsWith(`${prefix}-`)) continue;
        // The list does not contain roles.
        const job = await client.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }));
        if (!isOwnRole(job.RoleArn, names)) continue;
        const { InstanceType: instanceType } = job.ProcessingResources?.ClusterConfig ?? {};
        jobs.push({ name, status: StatusEquals, instanceType });
      }
    }
  }
  return jobs;
}

export async function pipelinesOf(names: JobNames, client: SageMakerClient): Promise<PipelineSummary[]> {
  const { prefix } = names;
  const pipelines: PipelineSummary[] = [];
  // The prefix cannot end with a hyphen (SageMaker API, PipelineName).
  const query = { PipelineNamePrefix: prefix, MaxResults: 100 };
  for await (const { PipelineSummaries = [] } of paginateListPipelines({ client }, query)) {
    pipelines.push(
      ...PipelineSummaries.filter(
        ({ PipelineName = "", RoleArn }) =>
          PipelineName.startsWith(`${prefix}-`) && isOwnRole(RoleArn, names),
      ),
    );
  }
  return pipelines;
}

export const madeAsJobs = async (names: JobNames, client: SageMakerClient): Promise<MadeAsJobs> => ({
  jobs: await runningJobs(names, client),
  pipelines: await pipelinesOf(names, client),
});

async function runningExecutions(PipelineName: string, client: SageMakerClient) {
  const running: PipelineExecutionSummary[] = [];
  const query = { PipelineName, MaxResults: 100 };
  for await (const { PipelineExecutionSummaries = [] } of paginateListPipelineExecutions({ client }, query)) {
    running.push(
      ...PipelineExecutionSummaries.filter(({ PipelineExecutionStatus: status }) =>
        ["Executing", "Stopping"].includes(status ?? ""),
      ),
    );
  }
  return running;
}

/** Stops running executions first: SageMaker cannot delete their pipeline (SageMaker API, DeletePipeline). */
export async function deletePipeline(
  PipelineName: string,
  tools: Tools<{ readonly sagemaker: SageMakerClient }>,
): Promise<void> {
  const { sagemaker } = tools.clients;
  const running = async () => (await unlessGone(() => runningExecutions(PipelineName, sagemaker))) ?? [];
  for (const { PipelineExecutionArn, PipelineExecutionStatus } of await running()) {
    if (PipelineExecutionStatus === "Stopping") continue;
    await unlessGone(() => sagemaker.send(new StopPipelineExecutionCommand({ PipelineExecutionArn })));
  }
  const left = async () => (await running()).map(({ PipelineExecutionArn = "" }) => PipelineExecutionArn);
  await untilGone("pipeline executions", left, tools);
  await unlessGone(() => sagemaker.send(new DeletePipelineCommand({ PipelineName })));
}

/** Stops these jobs of an environment. */
export async function stopJobs(
  jobs: readonly RunningJob[],
  names: JobNames,
  tools: Tools<{ readonly sagemaker: SageMakerClient }>,
): Promise<void> {
  const { sagemaker } = tools.clients;
  for (const { name, status } of jobs) {
    if (status === "Stopping") continue;
    await unlessGone(() => sagemaker.send(new StopProcessingJobCommand({ ProcessingJobName: name })));
  }
  const left = async () => {
    const running = (await runningJobs(names, sagemaker)).map(({ name }) => name);
    return running.filter((name) => jobs.some((job) => job.name === name));
  };
  await untilGone("jobs", left, tools);
  if (jobs.length > 0) tools.log(`stopped ${jobs.length} jobs`);
}

/** Deletes sweeps first, because a running sweep starts jobs. */
export async function deleteMadeAsJobs(
  names: JobNames,
  tools: Tools<{ readonly sagemaker: SageMakerClient }>,
): Promise<void> {
  const pipelines = await pipelinesOf(names, tools.clients.sagemaker);
  for (const { PipelineName = "" } of pipelines) await deletePipeline(PipelineName, tools);
  if (pipelines.length > 0) tools.log(`deleted ${pipelines.length} pipelines`);
  await stopJobs(await runningJobs(names, tools.clients.sagemaker), names, tools);
}
