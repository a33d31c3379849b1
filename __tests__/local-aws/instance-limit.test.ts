import { CreateProcessingJobCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Jobs } from "../support/jobs-fixture.ts";
import { RuleMachine } from "../support/rule-machine.ts";
import { synthesize } from "../support/synthesize.ts";

let jobs: Jobs;
let machine: RuleMachine;
beforeAll(async () => {
  jobs = await Jobs.start({ parallelJobs: 4 }, { jobGraceSeconds: 1 });
  machine = new RuleMachine(jobs.localAws, {
    stack: synthesize(),
    id: "instance_limit",
    name: "marimo-dev-instance-limit",
  });
  await machine.create();
});
afterAll(() => jobs?.stop());

/** Starts a job that sleeps. */
async function start(jobName: string, instances: number) {
  const request = await jobs.request("echo started; sleep 600");
  const cluster = { ...request.ProcessingResources?.ClusterConfig, InstanceCount: instances } as never;
  await jobs.sagemaker.send(
    new CreateProcessingJobCommand({
      ...request,
      ProcessingJobName: jobName,
      ProcessingResources: { ClusterConfig: cluster },
    }),
  );
  return jobName;
}

describe("the limit of a job's instances", () => {
  it("stops nothing while its role may not start it", async () => {
    const job = await start("marimo-dev-ana-early", 2);
    await expect.poll(() => jobs.log(job)).toContain("started");
    expect(await jobs.log(job)).toContain("The local AWS runs the first of this job's 2 instances only.");
    expect((await jobs.until(job, () => true)).ProcessingJobStatus).toBe("InProgress");
  });

  it("stops a job of the environment that has more, and no other job", async () => {
    await machine.allow();
    const [one, other] = await Promise.all([start("marimo-dev-ana-one", 1), start("marimo-prod-ana-two", 2)]);
    const two = await start("marimo-dev-ana-two", 2);
    await jobs.until(two, ({ ProcessingJobStatus }) => ProcessingJobStatus === "Stopped");
    for (const job of [one, other]) {
      await expect.poll(() => jobs.log(job)).toContain("started");
      expect((await jobs.until(job, () => true)).ProcessingJobStatus).toBe("InProgress");
    }
  });

  it("has a definition that Step Functions takes", async () => {
    expect(await machine.check(machine.definition)).toBe("OK");
    expect(await machine.check('{"StartAt": 1}')).toBe("FAIL");
  });
});
