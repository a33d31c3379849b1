/** What users created with SageMaker's services: Terraform does not manage it, and names of other environments are similar. */
import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteFeatureGroupCommand,
  DeleteModelCommand,
  DeleteModelPackageCommand,
  DeleteModelPackageGroupCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeFeatureGroupCommand,
  DescribeHyperParameterTuningJobCommand,
  DescribeModelCommand,
  DescribeModelPackageGroupCommand,
  DescribeTrainingJobCommand,
  DescribeTransformJobCommand,
  ListTagsCommand,
  paginateListEndpointConfigs,
  paginateListEndpoints,
  paginateListFeatureGroups,
  paginateListHyperParameterTuningJobs,
  paginateListModelPackageGroups,
  paginateListModelPackages,
  paginateListModels,
  paginateListTrainingJobs,
  paginateListTransformJobs,
  type SageMakerClient,
  StopHyperParameterTuningJobCommand,
  StopTrainingJobCommand,
  StopTransformJobCommand,
} from "@aws-sdk/client-sagemaker";
import { type Tools, unlessGone, untilGone } from "./aws.ts";
import { isOwnRole, type JobNames } from "./jobs.ts";

export interface MadeByService {
  readonly kind: string;
  readonly name: string;
  readonly status?: string | undefined;
}

interface Kind {
  readonly kind: string;
  /** Those whose names contain the prefix. */
  readonly list: (client: SageMakerClient, prefix: string) => AsyncIterable<readonly Summary[]>;
  /** ARN of the role that it runs as, or that created it. */
  readonly role: (client: SageMakerClient, name: string) => Promise<string | undefined>;
  /** Deletes it, or stops it if it is a job, which SageMaker never deletes. */
  readonly remove: (client: SageMakerClient, name: string) => Promise<unknown>;
  readonly status?: readonly string[];
}
/** The ARN is of those that can lose the model with their role. */
type Summary = readonly [name: string | undefined, status?: string | undefined, arn?: string | undefined];

async function* pages<Page, Item>(
  all: AsyncIterable<Page>,
  items: (page: Page) => readonly Item[] | undefined,
  summary: (item: Item) => Summary,
): AsyncIterable<readonly Summary[]> {
  for await (const page of all) yield (items(page) ?? []).map(summary);
}
const query = (prefix: string) => ({ NameContains: `${prefix}-`, MaxResults: 100 });
const running = ["InProgress", "Stopping"];

const modelRole = async (client: SageMakerClient, ModelName: string | undefined) =>
  (await client.send(new DescribeModelCommand({ ModelName }))).ExecutionRoleArn;
const configurationRole = async (client: SageMakerClient, EndpointConfigName: string | undefined) => {
  const { ProductionVariants = [] } = await client.send(
    new DescribeEndpointConfigCommand({ EndpointConfigName }),
  );
  return modelRole(client, ProductionVariants[0]?.ModelName);
};

/** In the order of their removal: tuning jobs start training jobs, and endpoints use their configurations and models. */
const kinds: readonly Kind[] = [
  {
    kind: "tuning job",
    status: running,
    list: (client, prefix) =>
      pages(
        paginateListHyperParameterTuningJobs({ client }, query(prefix)),
        (page) => page.HyperParameterTuningJobSummaries,
        (one) => [one.HyperParameterTuningJobName, one.HyperParameterTuningJobStatus],
      ),
    role: async (client, HyperParameterTuningJobName) => {
      const described = await client.send(
        new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName }),
      );
      return (described.TrainingJobDefinition ?? described.TrainingJobDefinitions?.[0])?.RoleArn;
    },
    remove: (client, HyperParameterTuningJobName) =>
      client.send(new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName })),
  },
  {
    kind: "training job",
    status: running,
    list: (client, prefix) =>
      pages(
        paginateListTrainingJobs({ client }, query(prefix)),
        (page) => page.TrainingJobSummaries,
        (one) => [one.TrainingJobName, one.TrainingJobStatus],
      ),
    role: async (client, TrainingJobName) =>
      (await client.send(new DescribeTrainingJobCommand({ TrainingJobName }))).RoleArn,
    remove: (client, TrainingJobName) => client.send(new StopTrainingJobCommand({ TrainingJobName })),
  },
  {
    kind: "transform job",
    status: running,
    list: (client, prefix) =>
      pages(
        paginateListTransformJobs({ client }, query(prefix)),
        (page) => page.TransformJobSummaries,
        (one) => [one.TransformJobName, one.TransformJobStatus],
      ),
    role: async (client, TransformJobName) =>
      modelRole(client, (await client.send(new DescribeTransformJobCommand({ TransformJobName }))).ModelName),
    remove: (client, TransformJobName) => client.send(new StopTransformJobCommand({ TransformJobName })),
  },
  {
    kind: "endpoint",
    list: (client, prefix) =>
      pages(
        paginateListEndpoints({ client }, query(prefix)),
        (page) => page.Endpoints,
        (one) => [one.EndpointName, one.EndpointStatus, one.EndpointArn],
      ),
    role: async (client, EndpointName) =>
      configurationRole(
        client,
        (await client.send(new DescribeEndpointCommand({ EndpointName }))).EndpointConfigName,
      ),
    remove: (client, EndpointName) => client.send(new DeleteEndpointCommand({ EndpointName })),
  },
  {
    kind: "endpoint configuration",
    list: (client, prefix) =>
      pages(
        paginateListEndpointConfigs({ client }, query(prefix)),
        (page) => page.EndpointConfigs,
        (one) => [one.EndpointConfigName, undefined, one.EndpointConfigArn],
      ),
    role: configurationRole,
    remove: (client, EndpointConfigName) =>
      client.send(new DeleteEndpointConfigCommand({ EndpointConfigName })),
  },
  {
    kind: "model",
    list: (client, prefix) =>
      pages(
        paginateListModels({ client }, query(prefix)),
        (page) => page.Models,
        (one) => [one.ModelName],
      ),
    role: modelRole,
    remove: (client, ModelName) => client.send(new DeleteModelCommand({ ModelName })),
  },
  {
    kind: "feature group",
    list: (client, prefix) =>
      pages(
        paginateListFeatureGroups({ client }, query(prefix)),
        (page) => page.FeatureGroupSummaries,
        (one) => [one.FeatureGroupName, one.FeatureGroupStatus],
      ),
    role: async (client, FeatureGroupName) =>
      (await client.send(new DescribeFeatureGroupCommand({ FeatureGroupName }))).RoleArn,
    remove: (client, FeatureGroupName) => client.send(new DeleteFeatureGroupCommand({ FeatureGroupName })),
  },
  {
    kind: "model package group",
    list: (client, prefix) =>
      pages(
        paginateListModelPackageGroups({ client }, query(prefix)),
        (page) => page.ModelPackageGroupSummaryList,
        (one) => [one.ModelPackageGroupName],
      ),
    role: async (client, ModelPackageGroupName) => {
      const { CreatedBy } = await client.send(
        new DescribeModelPackageGroupCommand({ ModelPackageGroupName }),
      );
      // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION (SageMaker API, IamIdentity).
      return CreatedBy?.IamIdentity?.Arn?.split("/").slice(0, 2).join("/");
    },
    // SageMaker deletes only an empty group (SageMaker API, DeleteModelPackageGroup).
    remove: async (client, ModelPackageGroupName) => {
      for await (const page of paginateListModelPackages({ client }, { ModelPackageGroupName }))
        for (const { ModelPackageArn } of page.ModelPackageSummaryList ?? [])
          await client.send(new DeleteModelPackageCommand({ ModelPackageName: ModelPackageArn }));
      await client.send(new DeleteModelPackageGroupCommand({ ModelPackageGroupName }));
    },
  },
];

async function madeAs(one: Kind, names: JobNames, client: SageMakerClient): Promise<MadeByService[]> {
  const { kind, list, role, status: statuses } = one;
  const found: MadeByService[] = [];
  for await (const page of list(client, names.prefix)) {
    for (const [name = "", status, ResourceArn] of page) {
      if (!name.startsWith(`${names.prefix}-`)) continue;
      if (statuses !== undefined && !statuses.includes(status ?? "")) continue;
      const arn = await unlessMissing(() => role(client, name));
      const environment = await environmentOf(ResourceArn, client);
      // The tag of an endpoint says whose it is. Without the tag its model's role does, and without both nothing.
      const isOwn =
        environment === undefined
          ? isOwnRole(arn, names)
          : `marimo-${environment}` === names.prefix &&
            ((arn === undefined && names.user === undefined) || isOwnRole(arn, names));
      if (isOwn) found.push({ kind, name, status });
    }
  }
  return found;
}

async function environmentOf(ResourceArn: string | undefined, client: SageMakerClient) {
  if (ResourceArn === undefined) return undefined;
  const answer = await unlessMissing(() => client.send(new ListTagsCommand({ ResourceArn })));
  return answer?.Tags?.find(({ Key }) => Key === "Environment")?.Value;
}

/** SageMaker answers ValidationException with "Could not find" for models and endpoints (SageMaker API, common errors). */
async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await unlessGone(call);
  } catch (error) {
    if (error instanceof Error && /could not find|does not exist/i.test(error.message)) return undefined;
    throw error;
  }
}

export async function madeByServices(names: JobNames, client: SageMakerClient): Promise<MadeByService[]> {
  const found: MadeByService[] = [];
  for (const kind of kinds) found.push(...(await madeAs(kind, names, client)));
  return found;
}

/** Removes these in the order of `kinds`, and waits for each kind. */
export async function removeMadeByServices(
  made: readonly MadeByService[],
  names: JobNames,
  tools: Tools<{ readonly sagemaker: SageMakerClient }>,
): Promise<void> {
  const { sagemaker } = tools.clients;
  for (const kind of kinds) {
    const ofKind = made.filter((one) => one.kind === kind.kind);
    if (ofKind.length === 0) continue;
    for (const { name, status } of ofKind)
      if (status !== "Stopping" && status !== "Deleting")
        await unlessMissing(() => kind.remove(sagemaker, name));
    const left = async () => {
      const still = (await madeAs(kind, names, sagemaker)).map(({ name }) => name);
      return still.filter((name) => ofKind.some((one) => one.name === name));
    };
    await untilGone(`${kind.kind}s`, left, tools);
    tools.log(`removed ${ofKind.length} ${kind.kind}s`);
  }
}
