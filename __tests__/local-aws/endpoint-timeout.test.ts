import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteModelCommand,
  paginateListEndpoints,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import {
  CreateStateMachineCommand,
  SFNClient,
  ValidateStateMachineDefinitionCommand,
} from "@aws-sdk/client-sfn";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { patience } from "../support/patience.ts";
import {
  accountId,
  asIam,
  dnsSuffix,
  partition,
  resource,
  statements,
  synthesize,
} from "../support/synthesize.ts";

const stack = synthesize({ services: { instanceEndpoints: { timeoutHours: 1 } } });
const known = (text: unknown) =>
  String(text)
    .replaceAll(partition, "aws")
    .replaceAll(dnsSuffix, "amazonaws.com")
    .replaceAll(accountId, "123456789012")
    .replaceAll(/\$\{data\.aws_service_principal\.account_service_(\w+)\.name\}/g, "$1.amazonaws.com");
const policy = (document: string) =>
  known(asIam(Object.values(statements(stack, `endpoint_timeout_${document}`))));
const name = "marimo-dev-endpoint-timeout";
const roleArn = `arn:aws:iam::123456789012:role/${name}`;
/** Instead of an hour. */
const seconds = 30;
const definition = known(
  resource(stack, "aws_sfn_state_machine", "endpoint_timeout_machine").definition,
).replace("- 3600000)", `- ${seconds * 1000})`);

let folder: string;
let localAws: LocalAws;
let sagemaker: SageMakerClient;
let sfn: SFNClient;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-endpoint-timeout-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  const settings = localAws.clientSettings();
  sagemaker = new SageMakerClient(settings);
  const iam = new IAMClient(settings);
  await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: policy("trust") }));
  const document = { RoleName: name, PolicyName: "stop", PolicyDocument: policy("document") };
  await iam.send(new PutRolePolicyCommand(document));
  sfn = new SFNClient(settings);
  const { stateMachineArn } = await sfn.send(new CreateStateMachineCommand({ name, roleArn, definition }));
  const rule = resource(stack, "aws_cloudwatch_event_rule", "endpoint_timeout_rule");
  const events = new EventBridgeClient(settings);
  await events.send(new PutRuleCommand({ Name: name, ScheduleExpression: String(rule.schedule_expression) }));
  await events.send(
    new PutTargetsCommand({ Rule: name, Targets: [{ Id: "stop", Arn: stateMachineArn, RoleArn: roleArn }] }),
  );
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const onInstances = { InstanceType: "ml.m5.large", InitialInstanceCount: 1 } as const;
const serverless = { ServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 1 } };
const start = (EndpointName: string, EndpointConfigName = EndpointName) =>
  sagemaker.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName }));

/** An endpoint whose model has the role of ana in an environment. */
async function create(endpoint: string, variant: object = onInstances, environment = "dev") {
  const ExecutionRoleArn = `arn:aws:iam::123456789012:role/marimo-${environment}-user-ana`;
  await sagemaker.send(new CreateModelCommand({ ModelName: endpoint, ExecutionRoleArn }));
  const variants = [{ VariantName: "AllTraffic", ModelName: endpoint, ...variant }];
  const config = { EndpointConfigName: endpoint, ProductionVariants: variants };
  await sagemaker.send(new CreateEndpointConfigCommand(config));
  await start(endpoint);
}

async function endpoints() {
  const names: string[] = [];
  for await (const { Endpoints = [] } of paginateListEndpoints({ client: sagemaker }, {}))
    names.push(...Endpoints.map(({ EndpointName = "" }) => EndpointName));
  return names.filter((one) => !one.includes("filler")).toSorted();
}

/** Lets an hour pass for rules with a schedule. */
const passHour = () => localAws.passTime(new Date(), new Date(Date.now() + 3_600_000));

describe("the time-out of endpoints on instances", () => {
  it("deletes old ones of the environment, and no other", async () => {
    await create("marimo-dev-ana-old");
    await create("marimo-dev-ana-orphan");
    await sagemaker.send(new DeleteModelCommand({ ModelName: "marimo-dev-ana-orphan" }));
    await create("marimo-dev-ana-serverless", serverless);
    // Another environment, whose names begin with this one's.
    await create("marimo-dev-two-ana-x", onInstances, "dev-two");
    await create("marimo-prod-ana-x", onInstances, "prod");
    // The old ones are on the second page.
    for (let index = 0; index < 100; index += 1)
      await start(`marimo-dev-ana-filler-${index}`, "marimo-dev-ana-serverless");
    await sleep(seconds * 1000);
    await create("marimo-dev-ana-young");
    await passHour();
    const left = [
      "marimo-dev-ana-serverless",
      "marimo-dev-ana-young",
      "marimo-dev-two-ana-x",
      "marimo-prod-ana-x",
    ];
    await expect.poll(endpoints, { timeout: patience }).toEqual(left);
    // The young one gets old.
    await sleep(seconds * 1000);
    await passHour();
    await expect
      .poll(endpoints, { timeout: patience })
      .toEqual(left.filter((one) => one !== "marimo-dev-ana-young"));
  });

  it("has a definition that Step Functions takes", async () => {
    const check = async (text: string) =>
      (await sfn.send(new ValidateStateMachineDefinitionCommand({ definition: text }))).result;
    expect(await check(definition)).toBe("OK");
    expect(await check(definition.replace('"StartAt"', '"StartsAt"'))).toBe("FAIL");
  });
});
