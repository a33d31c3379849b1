/** Terraform runs this script before it destroys any resource of an environment: ../stack/removal/removal-guard.ts. */
import { EFSClient } from "@aws-sdk/client-efs";
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { STSClient } from "@aws-sdk/client-sts";
import {
  checkAccount,
  clientSettings,
  retentionOf,
  runAsScript,
  sizeOf,
  summarize,
  type Tools,
  variable,
} from "./aws.ts";
import { backupAdvice, backupsOf } from "./backups.ts";
import { contentOf, describeContent } from "./buckets.ts";
import { domainExists, homeFileSystems } from "./home-file-systems.ts";
import { deleteMadeAsJobs, type MadeAsJobs, madeAsJobs } from "./jobs.ts";
import { deleteSchedules, describeSchedules, userSchedules } from "./schedules.ts";
import { type MadeByService, madeByServices, removeMadeByServices } from "./services.ts";
import { deleteMadeInStudio, type MadeInStudio, madeInStudio } from "./studio.ts";

/** Must be the domain's ID before users' work is deleted, so that it cannot be set permanently for all environments. */
export const consentVariable = "SAGEMAKER_MARIMO_DELETE_WORK_IN";

export interface GuardOptions {
  readonly account: string;
  readonly domainId: string;
  /** Prefix of the names of the environment's jobs, pipelines and roles. */
  readonly prefix: string;
  /** Name of an existing role that all jobs run as. */
  readonly existingRole?: string | undefined;
  /** Names of the user profiles that Terraform created. */
  readonly ownProfiles: readonly string[];
  readonly retention: "Retain" | "Delete";
  /** The environment's bucket, which notebooks write to. Undefined for an existing bucket, which is kept. */
  readonly bucket?: {
    readonly name: string;
    readonly accessLogsName: string;
    /** Whether Terraform deletes a bucket with all its objects (`force_destroy`). */
    readonly forceDestroy: boolean;
  };
  /** The bucket with the backups of spaces' homes: the environment's, also if it is kept. */
  readonly backupBucket?: string | undefined;
  /** The bucket with the trail's log files. Undefined without a trail. */
  readonly trail?: { readonly bucket: string; readonly forceDestroy: boolean };
  /** Prefixes of the objects that Terraform and `npm run wheelhouse` upload. These are not users' work. */
  readonly payloadPrefix: string;
  readonly schedulesPrefix: string;
  readonly wheelsPrefix: string;
  readonly consent: string | undefined;
}

export interface GuardClients {
  readonly efs: EFSClient;
  readonly s3: Pick<S3Client, "send">;
  readonly sagemaker: SageMakerClient;
  readonly scheduler: SchedulerClient;
  readonly sts: Pick<STSClient, "send">;
}

export async function guard(options: GuardOptions, tools: Tools<GuardClients>): Promise<void> {
  const { clients, log } = tools;
  const { domainId } = options;
  await checkAccount(options.account, clients.sts);
  const alive = await domainExists(domainId, clients.sagemaker);
  const made = alive
    ? await madeInStudio(options, clients.sagemaker)
    : { apps: [], spaces: [], profiles: [] };
  const schedules = await userSchedules(options, clients.scheduler);
  const asJobs = await madeAsJobs(options, clients.sagemaker);
  const byServices = await madeByServices(options, clients.sagemaker);
  const lost = [
    ...describeMade(made, await backupsIn(options, made, tools)),
    ...first(describeSchedules(schedules)),
    ...describeAsJobs(asJobs),
    ...describeByServices(byServices),
    ...(await homeFilesAtRisk(options, tools)),
    ...(await objectsAtRisk(options, tools)),
    ...(await evidenceAtRisk(options, tools)),
  ];
  const undeletable = await undeletableBuckets(options, tools);

  if (lost.length > 0)
    log([`Users' work in ${domainId}, which would be deleted with it:`, ...lost].join("\n  "));
  if (made.spaces.length > 0 && options.backupBucket !== undefined)
    log(backupAdvice(options.backupBucket, options.bucket !== undefined));
  const refusals = [...undeletable];
  if (lost.length > 0 && options.consent !== domainId) {
    const given = options.consent ? `, not "${options.consent}"` : "";
    refusals.push(`to delete users' work, set ${consentVariable}=${domainId}${given}, and destroy again`);
  }
  if (refusals.length > 0) throw new Error(["nothing was destroyed:", ...refusals].join("\n- "));

  // Apps first, because a running notebook can start jobs and make schedules.
  if (alive) await deleteMadeInStudio(options, tools);
  await deleteSchedules(await userSchedules(options, clients.scheduler), tools);
  await deleteMadeAsJobs(options, tools);
  // Listed again, because apps ran until now.
  await removeMadeByServices(await madeByServices(options, clients.sagemaker), options, tools);
  log(
    lost.length > 0 ? `deleted users' work, as ${consentVariable} allows` : `no users' work in ${domainId}`,
  );
}

/** Most lines of a list. A domain can have thousands of spaces. */
const mostLines = 30;

const backupsIn = async (
  { backupBucket }: GuardOptions,
  { spaces }: MadeInStudio,
  { clients }: Tools<GuardClients>,
) => (backupBucket === undefined ? undefined : await backupsOf(spaces, backupBucket, clients.s3));

export function describeMade(
  { apps, spaces, profiles }: MadeInStudio,
  backups?: readonly (string | undefined)[] | undefined,
): string[] {
  const lines = spaces.map((space, index) => {
    const { EbsVolumeSizeInGb } = space.SpaceSettingsSummary?.SpaceStorageSettings?.EbsStorageSettings ?? {};
    const owner = space.OwnershipSettingsSummary?.OwnerUserProfileName;
    const running = apps.filter(({ SpaceName }) => SpaceName === space.SpaceName);
    return [
      `space ${space.SpaceName}`,
      owner === undefined ? "without an owner" : `of ${owner}`,
      space.SpaceSharingSettingsSummary?.SharingType?.toLowerCase() ?? "shared",
      EbsVolumeSizeInGb === undefined ? "no volume" : `volume of ${EbsVolumeSizeInGb} GB`,
      ...running.map(({ AppType, Status }) => `${AppType} ${Status}`),
      ...(backups === undefined ? [] : [backups[index] ?? "NO BACKUP"]),
    ].join(", ");
  });
  const others = apps.filter(({ SpaceName }) => SpaceName === undefined);
  lines.push(
    ...others.map((app) => `app ${app.AppType}/${app.AppName} of ${app.UserProfileName}, ${app.Status}`),
    ...profiles.map(({ UserProfileName }) => `user profile ${UserProfileName}, not created by Terraform`),
  );
  const without = backups?.filter((one) => one === undefined).length ?? 0;
  return [
    ...first(lines),
    ...(without === 0 ? [] : [`${without} of ${spaces.length} spaces have no backup`]),
  ];
}

export const describeAsJobs = ({ jobs, pipelines }: MadeAsJobs): string[] =>
  first([
    ...jobs.map(({ instanceType, name, status }) => `job ${name}, ${status}, on ${instanceType}`),
    ...pipelines.map(({ PipelineName }) => `pipeline ${PipelineName}`),
  ]);

export const describeByServices = (made: readonly MadeByService[]): string[] =>
  first(made.map(({ kind, name, status }) => [`${kind} ${name}`, status ?? []].flat().join(", ")));

function first(lines: readonly string[]): string[] {
  const more = lines.length - mostLines;
  return more > 0 ? [...lines.slice(0, mostLines), `and ${more} more`] : [...lines];
}

/**
 * EFS meters 2 KiB for each file or folder and its content in units of 4 KiB (Amazon EFS User Guide, "How Amazon EFS
 * reports file system and object sizes"). An empty file system has 6 KiB for its root and for each user's empty folder.
 * EFS reports only bytes, not the number of files, and updates them every few hours.
 */
const emptyFolder = 6 * 1024;

async function homeFilesAtRisk(
  options: GuardOptions,
  { clients, log }: Tools<GuardClients>,
): Promise<string[]> {
  const lost: string[] = [];
  for (const { domainId, fileSystem } of await homeFileSystems(clients.efs)) {
    if (domainId !== options.domainId) continue;
    const bytes = fileSystem.SizeInBytes?.Value ?? 0;
    const size = `home file system ${fileSystem.FileSystemId}, ${sizeOf(bytes)} as last reported by EFS`;
    if (options.retention === "Retain") log(`kept: ${size}. Notebooks in spaces are not on it`);
    else if (bytes > emptyFolder * (1 + options.ownProfiles.length)) lost.push(size);
  }
  return lost;
}

async function objectsAtRisk(options: GuardOptions, { clients }: Tools<GuardClients>): Promise<string[]> {
  const { bucket, payloadPrefix, schedulesPrefix, wheelsPrefix } = options;
  if (bucket === undefined) return [];
  const content = await contentOf(bucket.name, [payloadPrefix, schedulesPrefix, wheelsPrefix], clients.s3);
  return content.versions === 0 ? [] : [`bucket ${bucket.name}, ${describeContent(content)}`];
}

/**
 * An environment for trials (`Delete`) has no evidence that anyone must consent to lose, but says what goes. Everywhere
 * else it is deleted with consent only.
 */
async function evidenceAtRisk(
  { retention, trail }: GuardOptions,
  { clients, log }: Tools<GuardClients>,
): Promise<string[]> {
  if (trail === undefined) return [];
  const content = await contentOf(trail.bucket, [], clients.s3);
  if (content.versions === 0) return [];
  const evidence = `audit trail in ${trail.bucket}, ${describeContent(content)}. To keep a copy: aws s3 sync s3://${trail.bucket} FOLDER`;
  if (retention === "Retain") return [evidence];
  log(`deleted with the environment: ${evidence}`);
  return [];
}

/** S3 cannot delete a bucket that contains objects. Terraform would only find out after it deleted other resources. */
async function undeletableBuckets(
  { bucket: own, payloadPrefix, schedulesPrefix, trail }: GuardOptions,
  { clients }: Tools<GuardClients>,
): Promise<string[]> {
  const kept: (readonly [bucket: string, except: readonly string[]])[] = [];
  if (own?.forceDestroy === false)
    kept.push([own.name, [payloadPrefix, schedulesPrefix]], [own.accessLogsName, []]);
  if (trail?.forceDestroy === false) kept.push([trail.bucket, []]);
  const full: string[] = [];
  for (const [bucket, except] of kept) {
    const content = await contentOf(bucket, except, clients.s3);
    if (content.versions > 0) full.push(`${bucket} (${describeContent(content)})`);
  }
  if (full.length === 0) return [];
  return [
    `S3 cannot delete buckets with objects: ${summarize(full)}. Set bucketForceDestroy to true and deploy, or empty them, and destroy again`,
  ];
}

await runAsScript(import.meta.url, "removal guard", async (env, tools) => {
  const settings = clientSettings(variable(env, "GUARD_REGION"));
  await guard(
    {
      account: variable(env, "GUARD_ACCOUNT"),
      domainId: variable(env, "GUARD_DOMAIN_ID"),
      prefix: variable(env, "GUARD_PREFIX"),
      existingRole: env.GUARD_EXISTING_ROLE,
      ownProfiles: JSON.parse(variable(env, "GUARD_OWN_PROFILES")) as string[],
      retention: retentionOf(env, "GUARD_RETENTION"),
      ...(env.GUARD_BUCKET === undefined
        ? {}
        : {
            bucket: {
              name: variable(env, "GUARD_BUCKET"),
              accessLogsName: variable(env, "GUARD_ACCESS_LOGS_BUCKET"),
              forceDestroy: variable(env, "GUARD_BUCKET_FORCE_DESTROY") === "true",
            },
          }),
      backupBucket: env.GUARD_BACKUP_BUCKET,
      ...(env.GUARD_TRAIL_BUCKET === undefined
        ? {}
        : {
            trail: {
              bucket: variable(env, "GUARD_TRAIL_BUCKET"),
              forceDestroy: variable(env, "GUARD_TRAIL_FORCE_DESTROY") === "true",
            },
          }),
      payloadPrefix: `${variable(env, "GUARD_PAYLOAD_PREFIX")}/`,
      schedulesPrefix: `${variable(env, "GUARD_SCHEDULES_PREFIX")}/`,
      wheelsPrefix: `${variable(env, "GUARD_WHEELS_PREFIX")}/`,
      consent: env[consentVariable],
    },
    {
      ...tools,
      clients: {
        efs: new EFSClient(settings),
        s3: new S3Client(settings),
        sagemaker: new SageMakerClient(settings),
        scheduler: new SchedulerClient(settings),
        sts: new STSClient(settings),
      },
    },
  );
});
