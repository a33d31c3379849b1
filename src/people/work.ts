/** What a person made in an environment, which keeps SageMaker from deleting the user profile, or goes on to cost. */
import type { S3Client } from "@aws-sdk/client-s3";
import { DescribeUserProfileCommand, type SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SchedulerClient } from "@aws-sdk/client-scheduler";
import { type Tools, unlessGone } from "../removal/aws.ts";
import { backupsOf } from "../removal/backups.ts";
import { contentOf, describeContent } from "../removal/buckets.ts";
import { describeAsJobs, describeByServices, describeMade } from "../removal/guard.ts";
import { deleteMadeAsJobs, type JobNames, type MadeAsJobs, madeAsJobs } from "../removal/jobs.ts";
import {
  deleteSchedules,
  describeSchedules,
  type UserSchedule,
  userSchedules,
} from "../removal/schedules.ts";
import { type MadeByService, madeByServices, removeMadeByServices } from "../removal/services.ts";
import { deleteMadeInStudio, type MadeInStudio, madeInStudio } from "../removal/studio.ts";
import { bucketPrefixes } from "../settings/names.ts";

export interface Person {
  readonly domainId: string;
  /** Name of the user profile. */
  readonly profile: string;
  /** Prefix of the environment's names. */
  readonly prefix: string;
  /** Whether the person has a role. With `existing.executionRoleArn`, nothing tells whose a job is. */
  readonly hasRole: boolean;
  readonly bucket: string;
}

export interface PersonClients {
  readonly s3: S3Client;
  readonly sagemaker: SageMakerClient;
  readonly scheduler: SchedulerClient;
}

export interface Work {
  readonly made: MadeInStudio;
  /** The latest backup of each of its spaces in words, or undefined where there is none. */
  readonly backups: readonly (string | undefined)[];
  readonly schedules: readonly UserSchedule[];
  readonly asJobs: MadeAsJobs;
  readonly byServices: readonly MadeByService[];
}

const jobNamesOf = ({ prefix, profile }: Person): JobNames => ({ prefix, user: profile.toLowerCase() });
const studioOf = ({ domainId, profile }: Person) => ({ domainId, ownProfiles: [], owner: profile });

export async function workOf(person: Person, tools: Tools<PersonClients>): Promise<Work> {
  const { sagemaker } = tools.clients;
  const made = await madeInStudio(studioOf(person), sagemaker);
  const backups = await backupsOf(made.spaces, person.bucket, tools.clients.s3);
  if (!person.hasRole)
    return { made, backups, schedules: [], asJobs: { jobs: [], pipelines: [] }, byServices: [] };
  const names = jobNamesOf(person);
  return {
    made,
    backups,
    schedules: await userSchedules(names, tools.clients.scheduler),
    asJobs: await madeAsJobs(names, sagemaker),
    byServices: await madeByServices(names, sagemaker),
  };
}

/** One line for each. */
export const describeWork = ({ asJobs, backups, byServices, made, schedules }: Work): readonly string[] => [
  ...describeMade(made, backups),
  ...describeSchedules(schedules),
  ...describeAsJobs(asJobs),
  ...describeByServices(byServices),
];

/** Deletes apps and spaces first, because a running notebook can start anything, then what starts jobs, then jobs. */
export const removalSteps = (person: Person, tools: Tools<PersonClients>) =>
  [
    ["delete apps and spaces", () => deleteMadeInStudio(studioOf(person), tools)],
    ...(person.hasRole
      ? ([
          ["delete schedules", () => deleteOwnSchedules(person, tools)],
          ["delete sweeps and stop jobs", () => deleteMadeAsJobs(jobNamesOf(person), tools)],
          ["delete what services made", () => deleteMadeByServices(person, tools)],
        ] as const)
      : []),
  ] as const;

async function deleteOwnSchedules(person: Person, tools: Tools<PersonClients>): Promise<void> {
  await deleteSchedules(await userSchedules(jobNamesOf(person), tools.clients.scheduler), tools);
}

async function deleteMadeByServices(person: Person, tools: Tools<PersonClients>): Promise<void> {
  const names = jobNamesOf(person);
  await removeMadeByServices(await madeByServices(names, tools.clients.sagemaker), names, tools);
}

/** What stays: the person's part of the bucket and the home directory. */
export async function describeKept(
  { bucket, domainId, profile }: Person,
  { s3, sagemaker }: PersonClients,
): Promise<readonly string[]> {
  const prefix = `${bucketPrefixes.people}/${profile.toLowerCase()}/`;
  const content = describeContent(await contentOf(bucket, [], s3, prefix));
  const query = { DomainId: domainId, UserProfileName: profile };
  const described = await unlessGone(() => sagemaker.send(new DescribeUserProfileCommand(query)));
  const home = described?.HomeEfsFileSystemUid;
  return [
    `s3://${bucket}/${prefix}, ${content}`,
    ...(home === undefined ? [] : [`the folder ${home} of the domain's home file system`]),
  ];
}
