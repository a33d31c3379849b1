import {
  type AppDetails,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeProcessingJobCommand,
  DescribeTrainingJobCommand,
  ListTagsCommand,
  paginateListApps,
  paginateListEndpoints,
  paginateListProcessingJobs,
  paginateListSpaces,
  paginateListTrainingJobs,
  type SageMakerClient,
  type SpaceDetails,
} from "@aws-sdk/client-sagemaker";
import { prices } from "../plan-review/prices.ts";
import { scheduleTag, userTag } from "../settings/names.ts";
import { type Cost, type CostKind, dayOf } from "./cost.ts";

export interface RunningProps {
  readonly client: SageMakerClient;
  /** Name prefix of the environment's jobs and endpoints. */
  readonly prefix: string;
  readonly domainId: string;
  /** The end of the bill. */
  readonly from: Date;
  readonly now: Date;
}

export interface Running {
  readonly costs: readonly Cost[];
  /** Instance types without a known price, which are not counted. */
  readonly unknownTypes: readonly string[];
}

/** Something that runs, or has run since the bill ended. */
interface Use {
  readonly kind: CostKind;
  readonly person: string | undefined;
  readonly instanceType: string | undefined;
  readonly count: number;
  readonly start: Date | undefined;
  /** @default it still runs */
  readonly end?: Date | undefined;
}

const hour = 3_600_000;
/** SageMaker API, StoppingCondition: a job runs 28 days at most, so an older one is not running any more. */
const longestJob = 28 * 24 * hour;

/** What SageMaker's apps, volumes, jobs and endpoints have cost since the bill ended, at the prices of `prices`. */
export async function runningCosts(props: RunningProps): Promise<Running> {
  const uses = [
    ...(await appUses(props)),
    ...(await processingUses(props)),
    ...(await trainingUses(props)),
    ...(await endpointUses(props)),
  ];
  const unknown = new Set<string>();
  const costs = uses.flatMap(({ count, end, instanceType = "", kind, person, start }) => {
    const hours = hoursIn(props, start, end);
    const own: Readonly<Record<string, number>> = kind === "apps" ? prices.spaces.hourly : prices.instances;
    // Guess: training and hosting have the prices of Processing, as in AWS's price list for the types that it has.
    const price = own[instanceType] ?? (prices.instances as Readonly<Record<string, number>>)[instanceType];
    if (price === undefined && hours > 0) unknown.add(instanceType);
    return costOf(props, kind, person, hours * count * (price ?? 0));
  });
  return { costs: [...costs, ...(await volumeCosts(props))], unknownTypes: [...unknown].sort() };
}

/** Hours between the end of the bill and now. */
export function hoursIn({ from, now }: Pick<RunningProps, "from" | "now">, start?: Date, end = now): number {
  if (start === undefined) return 0;
  return (
    Math.max(0, Math.min(end.getTime(), now.getTime()) - Math.max(start.getTime(), from.getTime())) / hour
  );
}

export const costOf = (
  { now }: Pick<RunningProps, "now">,
  kind: CostKind,
  person: string | undefined,
  usd: number,
): Cost[] => (usd === 0 ? [] : [{ day: dayOf(now), person, kind, usd, estimated: true }]);

async function spacesOf({ client, domainId }: RunningProps): Promise<readonly SpaceDetails[]> {
  const spaces: SpaceDetails[] = [];
  for await (const page of paginateListSpaces({ client }, { DomainIdEquals: domainId }))
    spaces.push(...(page.Spaces ?? []));
  return spaces;
}

/** A shared space is nobody's. */
const ownerOf = (space: SpaceDetails | undefined) =>
  space?.SpaceSharingSettingsSummary?.SharingType === "Shared"
    ? undefined
    : space?.OwnershipSettingsSummary?.OwnerUserProfileName?.toLowerCase();

async function appUses(props: RunningProps): Promise<Use[]> {
  const apps: AppDetails[] = [];
  const pages = paginateListApps({ client: props.client }, { DomainIdEquals: props.domainId });
  for await (const { Apps = [] } of pages) apps.push(...Apps.filter(({ Status }) => Status === "InService"));
  if (apps.length === 0) return [];
  const spaces = new Map((await spacesOf(props)).map((space) => [space.SpaceName, space]));
  return apps.map(({ CreationTime, ResourceSpec, SpaceName, UserProfileName }) => ({
    kind: "apps",
    person: SpaceName === undefined ? UserProfileName?.toLowerCase() : ownerOf(spaces.get(SpaceName)),
    instanceType: ResourceSpec?.InstanceType,
    count: 1,
    start: CreationTime,
  }));
}

/** A space's volume costs as long as the space exists. */
async function volumeCosts(props: RunningProps): Promise<Cost[]> {
  return (await spacesOf(props)).flatMap((space) => {
    const gb = space.SpaceSettingsSummary?.SpaceStorageSettings?.EbsStorageSettings?.EbsVolumeSizeInGb ?? 0;
    const months = hoursIn(props, space.CreationTime) / prices.hoursOfMonth;
    return costOf(props, "apps", ownerOf(space), gb * months * prices.perGigabyte.spaceVolume);
  });
}

/** The person and the kind of a job, by the tags that the bill has as well. */
async function byTags({ client }: RunningProps, ResourceArn: string | undefined) {
  const { Tags = [] } = await client.send(new ListTagsCommand({ ResourceArn }));
  const value = (key: string) => Tags.find(({ Key }) => Key === key)?.Value;
  return { person: value(userTag), isScheduled: value(scheduleTag) !== undefined };
}

const jobsSince = ({ from, prefix }: RunningProps) => ({
  NameContains: `${prefix}-`,
  CreationTimeAfter: new Date(from.getTime() - longestJob),
});

async function processingUses(props: RunningProps): Promise<Use[]> {
  const { client, from, prefix } = props;
  const uses: Use[] = [];
  for await (const page of paginateListProcessingJobs({ client }, jobsSince(props))) {
    for (const job of page.ProcessingJobSummaries ?? []) {
      const { ProcessingEndTime = props.now, ProcessingJobArn, ProcessingJobName = "" } = job;
      if (!ProcessingJobName.startsWith(`${prefix}-`) || ProcessingEndTime < from) continue;
      const described = await client.send(new DescribeProcessingJobCommand({ ProcessingJobName }));
      const { InstanceCount = 1, InstanceType } = described.ProcessingResources?.ClusterConfig ?? {};
      const { isScheduled, person } = await byTags(props, ProcessingJobArn);
      uses.push({
        ...{ person, instanceType: InstanceType, count: InstanceCount },
        kind: isScheduled ? "schedules" : "jobs",
        start: described.ProcessingStartTime,
        end: described.ProcessingEndTime,
      });
    }
  }
  return uses;
}

async function trainingUses(props: RunningProps): Promise<Use[]> {
  const { client, from, prefix } = props;
  const uses: Use[] = [];
  for await (const page of paginateListTrainingJobs({ client }, jobsSince(props))) {
    for (const job of page.TrainingJobSummaries ?? []) {
      const { TrainingEndTime = props.now, TrainingJobArn, TrainingJobName = "" } = job;
      if (!TrainingJobName.startsWith(`${prefix}-`) || TrainingEndTime < from) continue;
      const described = await client.send(new DescribeTrainingJobCommand({ TrainingJobName }));
      const { InstanceCount = 1, InstanceType } = described.ResourceConfig ?? {};
      const { isScheduled, person } = await byTags(props, TrainingJobArn);
      const {
        BillableTimeInSeconds: billable,
        TrainingStartTime: start,
        TrainingTimeInSeconds: ran,
      } = described;
      // Spot bills a part of the time. While it runs, nobody knows which part.
      const share = billable === undefined || !ran ? 1 : billable / ran;
      uses.push({
        ...{ person, start, instanceType: InstanceType, count: InstanceCount * share },
        kind: isScheduled ? "schedules" : "jobs",
        end: described.TrainingEndTime,
      });
    }
  }
  return uses;
}

/** Endpoints on instances. A serverless one costs by its requests. */
async function endpointUses(props: RunningProps): Promise<Use[]> {
  const { client, prefix } = props;
  const uses: Use[] = [];
  const query = { NameContains: `${prefix}-`, StatusEquals: "InService" as const };
  for await (const { Endpoints = [] } of paginateListEndpoints({ client }, query)) {
    for (const { CreationTime, EndpointArn, EndpointName = "" } of Endpoints) {
      if (!EndpointName.startsWith(`${prefix}-`)) continue;
      const { EndpointConfigName, ProductionVariants: variants = [] } = await client.send(
        new DescribeEndpointCommand({ EndpointName }),
      );
      const { ProductionVariants = [] } = await client.send(
        new DescribeEndpointConfigCommand({ EndpointConfigName }),
      );
      const { person } = await byTags(props, EndpointArn);
      for (const { InitialInstanceCount, InstanceType, VariantName } of ProductionVariants) {
        if (InstanceType === undefined) continue;
        const now = variants.find((variant) => variant.VariantName === VariantName)?.CurrentInstanceCount;
        const count = now ?? InitialInstanceCount ?? 1;
        uses.push({ kind: "endpoints", person, instanceType: InstanceType, count, start: CreationTime });
      }
    }
  }
  return uses;
}
