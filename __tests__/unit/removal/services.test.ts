import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { describe, expect, it } from "vitest";
import type { JobNames } from "../../../src/removal/jobs.ts";
import { madeByServices, removeMadeByServices } from "../../../src/removal/services.ts";

const own = "arn:aws:iam::123456789012:role/marimo-dev-user-bo";
const others = "arn:aws:iam::123456789012:role/marimo-dev-two-user-bo";
const [mine, theirs] = ["marimo-dev-bo-x", "marimo-dev-two-bo-x"];

/** An account with one of each kind of bo's, and one of the environment dev-two. Nothing but deletions has an effect. */
function account() {
  const removed: string[] = [];
  const client = new SageMakerClient({ region: "us-east-1" });
  const named = (noun: string, key: string, status?: string) => ({
    [noun]: [mine, theirs]
      .filter((name) => !removed.some((one) => one.endsWith(`${key} ${name}`)))
      .map((name) => ({
        [`${key}Name`]: name,
        [`${key}Arn`]: `arn:${name}`,
        ...(status === undefined ? {} : { [`${key}Status`]: status }),
      })),
  });
  const roleOf = (name = "") => (name.startsWith("marimo-dev-two") ? others : own);
  const answers: Record<string, (input: Record<string, string>) => unknown> = {
    ListHyperParameterTuningJobs: () =>
      named("HyperParameterTuningJobSummaries", "HyperParameterTuningJob", "InProgress"),
    ListTrainingJobs: () => named("TrainingJobSummaries", "TrainingJob", "InProgress"),
    ListTransformJobs: () => named("TransformJobSummaries", "TransformJob", "Completed"),
    ListEndpoints: () => named("Endpoints", "Endpoint", "InService"),
    ListEndpointConfigs: () => named("EndpointConfigs", "EndpointConfig"),
    ListModels: () => named("Models", "Model"),
    ListFeatureGroups: () => named("FeatureGroupSummaries", "FeatureGroup", "Created"),
    ListModelPackageGroups: () => named("ModelPackageGroupSummaryList", "ModelPackageGroup"),
    ListTags: () => ({ Tags: [] }),
    ListModelPackages: () => ({ ModelPackageSummaryList: [{ ModelPackageArn: "arn:package/1" }] }),
    DescribeHyperParameterTuningJob: (input) => ({
      TrainingJobDefinition: { RoleArn: roleOf(input.HyperParameterTuningJobName) },
    }),
    DescribeTrainingJob: (input) => ({ RoleArn: roleOf(input.TrainingJobName) }),
    DescribeTransformJob: (input) => ({ ModelName: input.TransformJobName }),
    DescribeEndpoint: (input) => ({ EndpointConfigName: input.EndpointName }),
    DescribeEndpointConfig: (input) => ({ ProductionVariants: [{ ModelName: input.EndpointConfigName }] }),
    DescribeModel: (input) => ({ ExecutionRoleArn: roleOf(input.ModelName) }),
    DescribeFeatureGroup: (input) => ({ RoleArn: roleOf(input.FeatureGroupName) }),
    DescribeModelPackageGroup: (input) => ({
      CreatedBy: {
        IamIdentity: {
          Arn: `${roleOf(input.ModelPackageGroupName).replace(":role", ":assumed-role")}/SageMaker`,
        },
      },
    }),
  };
  client.middlewareStack.add(
    (_next, { commandName = "" }) =>
      async ({ input }) => {
        const operation = commandName.replace(/Command$/, "");
        const values = input as Record<string, string>;
        if (/^(Delete|Stop)/.test(operation)) {
          const [name] = Object.values(values);
          removed.push(`${operation.replace(/^(Delete|Stop)/, "")} ${name}`);
          return { output: { $metadata: {} }, response: {} };
        }
        const answer = answers[operation];
        if (answer === undefined) throw new Error(`unexpected ${operation}`);
        return { output: { ...(answer(values) as object), $metadata: {} }, response: {} };
      },
    { step: "initialize" },
  );
  return { answers, client, removed };
}

const names = { prefix: "marimo-dev" };

describe("what users made with SageMaker's services", () => {
  it("is found by the role that it runs as, and a job that has ended is left", async () => {
    const { client } = account();
    expect(await madeByServices(names, client)).toEqual(
      [
        ["tuning job", "InProgress"],
        ["training job", "InProgress"],
        ["endpoint", "InService"],
        ["endpoint configuration", undefined],
        ["model", undefined],
        ["feature group", "Created"],
        ["model package group", undefined],
      ].map(([kind, status]) => ({ kind, name: mine, status })),
    );
    // Control: the other environment, whose names begin with this one's prefix too.
    const two = await madeByServices({ prefix: "marimo-dev-two" }, client);
    expect(new Set(two.map(({ name }) => name))).toEqual(new Set([theirs]));
  });

  /** The endpoints and configurations that are found, with a tag on all of them. */
  const endpointsOf = async (of: JobNames, { client, answers }: ReturnType<typeof account>, tag?: string) => {
    answers.ListTags = () => ({ Tags: tag === undefined ? [] : [{ Key: "Environment", Value: tag }] });
    const made = await madeByServices(of, client);
    return made.filter(({ kind }) => kind.startsWith("endpoint")).map(({ name }) => name);
  };

  it("is found without its model only by its tag, because names of other environments begin with the prefix", async () => {
    const orphans = account();
    orphans.answers.DescribeModel = () => {
      throw new Error("Could not find model");
    };
    expect(await endpointsOf(names, orphans, "dev")).toEqual([mine, theirs, mine, theirs]);
    expect(await endpointsOf(names, orphans)).toEqual([]);
    expect(await endpointsOf(names, orphans, "dev-two")).toEqual([]);
  });

  it("is found with a role of several environments, unless its tag names another one", async () => {
    const shared = account();
    shared.answers.DescribeModel = () => ({ ExecutionRoleArn: "arn:aws:iam::123456789012:role/everybody" });
    const of = { ...names, existingRole: "everybody" };
    expect(await endpointsOf(of, shared)).toEqual([mine, theirs, mine, theirs]);
    expect(await endpointsOf(of, shared, "dev-two")).toEqual([]);
    // Control: the tag does not replace the role.
    expect(await endpointsOf(names, shared, "dev")).toEqual([]);
  });

  it("is removed in the order in which SageMaker allows it, and nothing of another environment", async () => {
    const { client, removed } = account();
    const said: string[] = [];
    const tools = { clients: { sagemaker: client }, log: said.push.bind(said), wait: async () => undefined };
    await removeMadeByServices(await madeByServices(names, client), names, tools as never);
    expect(removed).toEqual([
      `HyperParameterTuningJob ${mine}`,
      `TrainingJob ${mine}`,
      `Endpoint ${mine}`,
      `EndpointConfig ${mine}`,
      `Model ${mine}`,
      `FeatureGroup ${mine}`,
      "ModelPackage arn:package/1",
      `ModelPackageGroup ${mine}`,
    ]);
    expect(await madeByServices(names, client)).toEqual([]);
  });
});
