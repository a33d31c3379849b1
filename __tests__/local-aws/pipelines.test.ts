import {
  CreatePipelineCommand,
  DeletePipelineCommand,
  DescribePipelineCommand,
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  ListPipelineExecutionsCommand,
  ListPipelinesCommand,
  type PipelineExecutionStep,
  RetryPipelineExecutionCommand,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
  UpdatePipelineCommand,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Jobs, role } from "../support/jobs-fixture.ts";

let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start({ parallelJobs: 4 }, { jobGraceSeconds: 1 });
});
afterAll(() => jobs?.stop());

interface Step {
  readonly script?: string;
  readonly [member: string]: unknown;
}

let number = 0;
const token = () => `token-${++number}`.padEnd(32, "-");

async function definition(steps: Readonly<Record<string, Step>>): Promise<string> {
  const created = [];
  for (const [Name, { script = "exit 0", ...members }] of Object.entries(steps)) {
    const { ProcessingJobName, ...Arguments } = await jobs.request(script);
    created.push({ Name, Type: "Processing", Arguments, ...members });
  }
  return JSON.stringify({ Version: "2020-12-01", Metadata: {}, Parameters: [], Steps: created });
}

const request = async (steps: Readonly<Record<string, Step>>) => ({
  PipelineName: `pipeline-${++number}`,
  PipelineDefinition: await definition(steps),
  RoleArn: role,
  ClientRequestToken: token(),
});

/** Creates and starts a pipeline; returns its name and the ARN of the execution. */
async function start(steps: Readonly<Record<string, Step>>, parallel?: number) {
  const create = await request(steps);
  await jobs.sagemaker.send(new CreatePipelineCommand(create));
  const { PipelineExecutionArn = "" } = await jobs.sagemaker.send(
    new StartPipelineExecutionCommand({
      PipelineName: create.PipelineName,
      ClientRequestToken: token(),
      ...(parallel ? { ParallelismConfiguration: { MaxParallelExecutionSteps: parallel } } : {}),
    }),
  );
  return { name: create.PipelineName, arn: PipelineExecutionArn };
}

const describeExecution = (PipelineExecutionArn: string) =>
  jobs.sagemaker.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));

async function stepsOf(PipelineExecutionArn: string): Promise<Record<string, PipelineExecutionStep>> {
  const { PipelineExecutionSteps } = await jobs.sagemaker.send(
    new ListPipelineExecutionStepsCommand({ PipelineExecutionArn, MaxResults: 100 }),
  );
  return Object.fromEntries((PipelineExecutionSteps ?? []).map((step) => [step.StepName, step]));
}

async function ended(arn: string) {
  await expect
    .poll(async () => (await describeExecution(arn)).PipelineExecutionStatus)
    .not.toMatch(/^(Executing|Stopping)$/);
  return { ...(await describeExecution(arn)), steps: await stepsOf(arn) };
}

const jobOf = (step: PipelineExecutionStep | undefined) =>
  step?.Metadata?.ProcessingJob?.Arn?.split("/")[1] ?? "";

async function runs(arn: string, step: string): Promise<string> {
  await expect
    .poll(
      async () => {
        const job = jobOf((await stepsOf(arn))[step]);
        return job !== "" && (await jobs.describe(job)).ProcessingStartTime !== undefined;
      },
      { timeout: 30_000 },
    )
    .toBe(true);
  return jobOf((await stepsOf(arn))[step]);
}

const retries = (...types: string[]) => [
  { ExceptionType: types, IntervalSeconds: 0, BackoffRate: 1, MaxAttempts: 2 },
];

describe("an execution of a pipeline", () => {
  it("runs its steps in order, each as a job with the expected name", async () => {
    const { arn, name } = await start({
      last: { DependsOn: ["first", "second"] },
      first: {},
      second: {},
    });
    const execution = await ended(arn);
    expect(execution.PipelineExecutionStatus).toBe("Succeeded");
    const { first, second, last } = execution.steps;
    for (const step of [first, second]) {
      expect(step?.EndTime?.getTime()).toBeLessThanOrEqual(last?.StartTime?.getTime() ?? 0);
    }
    expect(jobOf(first)).toMatch(/^pipelines-[a-z0-9]{12}-first-[a-z0-9]{10}$/);
    expect((await jobs.describe(jobOf(last))).ProcessingJobStatus).toBe("Completed");
    const list = new ListPipelineExecutionsCommand({ PipelineName: name });
    expect((await jobs.sagemaker.send(list)).PipelineExecutionSummaries).toMatchObject([
      { PipelineExecutionArn: arn, PipelineExecutionStatus: "Succeeded" },
    ]);
  });

  it("does not exceed the maximum number of parallel steps", async () => {
    const script = "sleep 0.3";
    const { arn } = await start({ a: { script }, b: { script }, c: { script }, d: { script } }, 2);
    const { steps } = await ended(arn);
    const most = (of: readonly PipelineExecutionStep[]) =>
      Math.max(
        ...of.map(
          ({ StartTime: at }) =>
            of.filter(
              ({ StartTime, EndTime }) => at && StartTime && EndTime && StartTime <= at && at < EndTime,
            ).length,
        ),
      );
    expect(most(Object.values(steps))).toBe(2);
    const all = await ended((await start({ a: { script }, b: { script }, c: { script } })).arn);
    expect(most(Object.values(all.steps))).toBe(3);
  });

  it("retries a step after an internal error, and not after a failed command", async () => {
    const { arn } = await start({
      interrupted: { script: "sleep 0.5", RetryPolicies: retries("SageMaker.JOB_INTERNAL_ERROR") },
      failing: { script: "exit 1", RetryPolicies: retries("SageMaker.JOB_INTERNAL_ERROR") },
    });
    const first = await runs(arn, "interrupted");
    await jobs.localAws.interruptProcessingJob(first);
    const { steps, ...execution } = await ended(arn);
    expect(steps.interrupted).toMatchObject({ StepStatus: "Succeeded", AttemptCount: 2 });
    expect(jobOf(steps.interrupted)).not.toBe(first);
    expect(steps.failing).toMatchObject({
      StepStatus: "Failed",
      AttemptCount: 1,
      FailureReason: "AlgorithmError: , exit code: 1",
    });
    expect(execution).toMatchObject({
      PipelineExecutionStatus: "Failed",
      FailureReason: "Step failure: One or multiple steps failed.",
    });
  });

  it("fails after the maximum number of attempts, and without a policy after the first", async () => {
    const script = "sleep 30";
    const { arn } = await start({
      policy: { script, RetryPolicies: retries("SageMaker.JOB_INTERNAL_ERROR") },
      other: { script, RetryPolicies: retries("SageMaker.CAPACITY_ERROR") },
    });
    await jobs.localAws.interruptProcessingJob(await runs(arn, "other"));
    const seen = new Set<string>();
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await expect.poll(async () => seen.has(await runs(arn, "policy"))).toBe(false);
      const job = await runs(arn, "policy");
      seen.add(job);
      await jobs.localAws.interruptProcessingJob(job);
    }
    const { steps } = await ended(arn);
    expect(steps.policy).toMatchObject({ StepStatus: "Failed", AttemptCount: 3 });
    expect(steps.other).toMatchObject({ StepStatus: "Failed", AttemptCount: 1 });
  });

  it("fails with a step, completes the independent steps, and does not repeat succeeded steps in a retry", async () => {
    const { arn, name } = await start({
      bad: { script: "exit 1" },
      slow: { script: "sleep 0.5" },
      after: { DependsOn: ["bad"] },
    });
    const failed = await ended(arn);
    expect(failed.PipelineExecutionStatus).toBe("Failed");
    expect(Object.keys(failed.steps).sort()).toEqual(["bad", "slow"]);
    expect(failed.steps.slow?.StepStatus).toBe("Succeeded");
    const retry = new RetryPipelineExecutionCommand({
      PipelineExecutionArn: arn,
      ClientRequestToken: token(),
    });
    await jobs.sagemaker.send(retry);
    const again = await ended(arn);
    expect(jobOf(again.steps.slow)).toBe(jobOf(failed.steps.slow));
    expect(jobOf(again.steps.bad)).not.toBe(jobOf(failed.steps.bad));
    // A second request with the same token has no effect.
    await jobs.sagemaker.send(retry);
    expect((await describeExecution(arn)).PipelineExecutionStatus).toBe("Failed");
    await jobs.sagemaker.send(new DeletePipelineCommand({ PipelineName: name, ClientRequestToken: token() }));
    await expect(describeExecution(arn)).rejects.toMatchObject({ name: "ResourceNotFound" });
  });

  it("stops with its jobs, and continues after a retry", async () => {
    const { arn, name } = await start({
      long: { script: "exec sleep 30" },
      next: { DependsOn: ["long"] },
    });
    const job = await runs(arn, "long");
    const remove = () =>
      jobs.sagemaker.send(new DeletePipelineCommand({ PipelineName: name, ClientRequestToken: token() }));
    await expect(remove()).rejects.toMatchObject({ name: "ConflictException" });
    const stop = () =>
      jobs.sagemaker.send(
        new StopPipelineExecutionCommand({ PipelineExecutionArn: arn, ClientRequestToken: token() }),
      );
    await stop();
    const stopped = await ended(arn);
    expect(stopped).toMatchObject({
      PipelineExecutionStatus: "Stopped",
      steps: { long: { StepStatus: "Stopped" } },
    });
    expect((await jobs.describe(job)).ProcessingJobStatus).toBe("Stopped");
    await expect(stop()).rejects.toMatchObject({ name: "ConflictException" });
    await jobs.sagemaker.send(
      new RetryPipelineExecutionCommand({ PipelineExecutionArn: arn, ClientRequestToken: token() }),
    );
    expect(await runs(arn, "long")).not.toBe(job);
    await stop();
    await ended(arn);
    await remove();
  });

  it("reports why a job cannot be created", async () => {
    const { ProcessingJobName, ...Arguments } = await jobs.request("exit 0", {
      RoleArn: `${role}-of-nobody`,
    });
    const { steps } = await ended((await start({ bad: { Arguments } })).arn);
    expect(steps.bad).toMatchObject({
      StepStatus: "Failed",
      FailureReason: expect.stringMatching(/CreateProcessingJob.*Could not assume role/),
    });
  });
});

describe("a pipeline", () => {
  it("is created once per token, updated, listed and deleted", async () => {
    const create = await request({ one: {} });
    const { PipelineArn } = await jobs.sagemaker.send(new CreatePipelineCommand(create));
    expect((await jobs.sagemaker.send(new CreatePipelineCommand(create))).PipelineArn).toBe(PipelineArn);
    const another = { ...create, ClientRequestToken: token() };
    await expect(jobs.sagemaker.send(new CreatePipelineCommand(another))).rejects.toThrow("already exists");
    const PipelineDefinition = await definition({ two: {} });
    const { PipelineName } = create;
    await jobs.sagemaker.send(new UpdatePipelineCommand({ PipelineName, PipelineDefinition }));
    const described = await jobs.sagemaker.send(new DescribePipelineCommand({ PipelineName }));
    expect(described).toMatchObject({ PipelineArn, PipelineDefinition, PipelineStatus: "Active" });
    const list = async () =>
      (await jobs.sagemaker.send(new ListPipelinesCommand({ PipelineNamePrefix: PipelineName })))
        .PipelineSummaries;
    expect(await list()).toMatchObject([{ PipelineName }]);
    expect(await jobs.localAws.inventory()).toContain(`sagemaker pipeline ${PipelineName}`);
    const first = new StartPipelineExecutionCommand({ PipelineName, ClientRequestToken: token() });
    const { PipelineExecutionArn = "" } = await jobs.sagemaker.send(first);
    expect((await jobs.sagemaker.send(first)).PipelineExecutionArn).toBe(PipelineExecutionArn);
    expect(Object.keys((await ended(PipelineExecutionArn)).steps)).toEqual(["two"]);
    await jobs.sagemaker.send(new DeletePipelineCommand({ PipelineName, ClientRequestToken: token() }));
    expect(await list()).toEqual([]);
  });

  it.each<[string, (steps: object[]) => object, RegExp]>([
    ["another version", () => ({ Version: "1" }), /Version must be '2020-12-01', not '1'/],
    ["no steps", () => ({ Steps: [] }), /Steps must be a list with at least one step/],
    [
      "too many steps",
      ([step]) => ({ Steps: Array.from({ length: 51 }, (_, n) => ({ ...step, Name: `s${n}` })) }),
      /at most 50 steps, not 51/,
    ],
    [
      "an unknown type",
      ([step]) => ({ Steps: [{ ...step, Type: "Magic" }] }),
      /must be 'Processing' or 'Training' here, not 'Magic'/,
    ],
    ["a duplicate step name", ([step]) => ({ Steps: [step, step] }), /must be unique: one/],
    [
      "an unknown dependency",
      ([step]) => ({ Steps: [{ ...step, DependsOn: ["two"] }] }),
      /depends on unknown steps: two/,
    ],
    [
      "a dependency cycle",
      ([step]) => ({ Steps: [{ ...step, DependsOn: ["one"] }] }),
      /depend on each other: one, one/,
    ],
    [
      "an incomplete request",
      ([step]) => ({ Steps: [{ ...step, Arguments: {} }] }),
      /of step one.*'roleArn'/i,
    ],
    [
      "an unknown exception",
      ([step]) => ({ Steps: [{ ...step, RetryPolicies: retries("Any") }] }),
      /ExceptionType must be one of .*, not 'Any'/,
    ],
    [
      "many attempts",
      ([step]) => ({
        Steps: [{ ...step, RetryPolicies: [{ ExceptionType: ["Step.THROTTLING"], MaxAttempts: 21 }] }],
      }),
      /MaxAttempts must be 1 to 20, not 21/,
    ],
  ])("is rejected with %s", async (_, change, message) => {
    const create = await request({ one: {} });
    const { Steps, ...rest } = JSON.parse(create.PipelineDefinition) as { Steps: object[] };
    const changed = JSON.stringify({ ...rest, Steps, ...change(Steps) });
    await expect(
      jobs.sagemaker.send(new CreatePipelineCommand({ ...create, PipelineDefinition: changed })),
    ).rejects.toMatchObject({ name: "ValidationException", message: expect.stringMatching(message) });
    await jobs.sagemaker.send(new CreatePipelineCommand(create));
  });
});
