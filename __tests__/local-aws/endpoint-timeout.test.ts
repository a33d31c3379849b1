import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteModelCommand,
  paginateListEndpoints,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { patience } from "../support/patience.ts";
import { RuleMachine } from "../support/rule-machine.ts";
import { synthesize } from "../support/synthesize.ts";

/** Instead of an hour. */
const seconds = 30;
let folder: string;
let localAws: LocalAws;
let sagemaker: SageMakerClient;
let machine: RuleMachine;
beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-endpoint-timeout-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  sagemaker = new SageMakerClient(localAws.clientSettings());
  machine = new RuleMachine(localAws, {
    stack: synthesize({ services: { instanceEndpoints: { timeoutHours: 1 } } }),
    id: "endpoint_timeout",
    name: "marimo-dev-endpoint-timeout",
    edit: (definition) => definition.replace("- 3600000)", `- ${seconds * 1000})`),
  });
  await machine.create();
  await machine.allow();
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const onInstances = { InstanceType: "ml.m5.large", InitialInstanceCount: 1 } as const;
const serverless = { ServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 1 } };
const start = (EndpointName: string, EndpointConfigName = EndpointName, tag?: string) => {
  const Tags = tag === undefined ? [] : [{ Key: "Environment", Value: tag }];
  return sagemaker.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName, Tags }));
};

/** An endpoint whose model has the role of ana in an environment. */
async function create(endpoint: string, variant: object = onInstances, environment = "dev", tag?: string) {
  const ExecutionRoleArn = `arn:aws:iam::123456789012:role/marimo-${environment}-user-ana`;
  await sagemaker.send(new CreateModelCommand({ ModelName: endpoint, ExecutionRoleArn }));
  const variants = [{ VariantName: "AllTraffic", ModelName: endpoint, ...variant }];
  const config = { EndpointConfigName: endpoint, ProductionVariants: variants };
  await sagemaker.send(new CreateEndpointConfigCommand(config));
  await start(endpoint, endpoint, tag);
}

/** An endpoint whose model is gone. */
async function createOrphan(endpoint: string, environment: string, tag?: string) {
  await create(endpoint, onInstances, environment, tag);
  await sagemaker.send(new DeleteModelCommand({ ModelName: endpoint }));
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
    await createOrphan("marimo-dev-ana-orphan", "dev", "dev");
    // Nothing says whose these are, or that they are another environment's.
    await createOrphan("marimo-dev-ana-unknown", "dev");
    await createOrphan("marimo-dev-two-ana-orphan", "dev-two");
    await createOrphan("marimo-dev-two-ana-tagged", "dev-two", "dev-two");
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
      "marimo-dev-ana-unknown",
      "marimo-dev-ana-young",
      "marimo-dev-two-ana-orphan",
      "marimo-dev-two-ana-tagged",
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
    expect(await machine.check(machine.definition)).toBe("OK");
    expect(await machine.check(machine.definition.replace('"StartAt"', '"StartsAt"'))).toBe("FAIL");
  });
});
