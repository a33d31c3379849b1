import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateProcessingJobCommand } from "@aws-sdk/client-sagemaker";
import {
  CreateStateMachineCommand,
  SFNClient,
  ValidateStateMachineDefinitionCommand,
} from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Jobs } from "../support/jobs-fixture.ts";
import {
  accountId,
  asIam,
  dnsSuffix,
  partition,
  resource,
  statements,
  synthesize,
} from "../support/synthesize.ts";

const stack = synthesize();
const known = (text: unknown) =>
  String(text)
    .replaceAll(partition, "aws")
    .replaceAll(dnsSuffix, "amazonaws.com")
    .replaceAll(accountId, "123456789012")
    .replaceAll(/\$\{data\.aws_service_principal\.account_service_(\w+)\.name\}/g, "$1.amazonaws.com");
const policy = (document: string) =>
  known(asIam(Object.values(statements(stack, `instance_limit_${document}`))));
const name = "marimo-dev-instance-limit";
const roleArn = `arn:aws:iam::123456789012:role/${name}`;

let jobs: Jobs;
let sfn: SFNClient;
let iam: IAMClient;
beforeAll(async () => {
  jobs = await Jobs.start({ parallelJobs: 4 }, { jobGraceSeconds: 1 });
  const settings = jobs.localAws.clientSettings();
  const [machine, rule] = [
    resource(stack, "aws_sfn_state_machine", "instance_limit_machine"),
    resource(stack, "aws_cloudwatch_event_rule", "instance_limit_rule"),
  ];
  iam = new IAMClient(settings);
  await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: policy("trust") }));
  sfn = new SFNClient(settings);
  const { stateMachineArn } = await sfn.send(
    new CreateStateMachineCommand({ name, roleArn, definition: known(machine.definition) }),
  );
  const events = new EventBridgeClient(settings);
  await events.send(new PutRuleCommand({ Name: name, EventPattern: known(rule.event_pattern) }));
  await events.send(
    new PutTargetsCommand({ Rule: name, Targets: [{ Id: "stop", Arn: stateMachineArn, RoleArn: roleArn }] }),
  );
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
    const document = { RoleName: name, PolicyName: "stop", PolicyDocument: policy("document") };
    await iam.send(new PutRolePolicyCommand(document));
    const [one, other] = await Promise.all([start("marimo-dev-ana-one", 1), start("marimo-prod-ana-two", 2)]);
    const two = await start("marimo-dev-ana-two", 2);
    await jobs.until(two, ({ ProcessingJobStatus }) => ProcessingJobStatus === "Stopped");
    for (const job of [one, other]) {
      await expect.poll(() => jobs.log(job)).toContain("started");
      expect((await jobs.until(job, () => true)).ProcessingJobStatus).toBe("InProgress");
    }
  });

  it("has a definition that Step Functions takes", async () => {
    const machine = resource(stack, "aws_sfn_state_machine", "instance_limit_machine");
    const check = async (definition: string) =>
      (await sfn.send(new ValidateStateMachineDefinitionCommand({ definition }))).result;
    expect(await check(known(machine.definition))).toBe("OK");
    expect(await check('{"StartAt": 1}')).toBe("FAIL");
  });
});
