import { bucketPrefixes, deployedPrefixes, folders } from "../settings/names.ts";

/** Where deployments kept everybody's results and sources before each user had a part of the bucket. */
export const formerPrefixes = { jobs: "marimo/jobs", jobSources: "marimo/job-sources" };

export interface Owners {
  /** Name prefix of the environment's jobs. */
  readonly prefix: string;
  /** Names of the users, in lower case. */
  readonly users: readonly string[];
  /** What the names of each sweep's jobs begin with, by the name of the sweep (`prefix` in its sweep.json). */
  readonly sweeps: ReadonlyMap<string, string>;
  /** Whether other objects than the environment's are in the bucket. They stay where they are. */
  readonly isExistingBucket: boolean;
}

/** Where an object of a former deployment belongs. Undefined: it stays. */
export function targetOf(key: string, owners: Owners): string | undefined {
  const jobs = below(key, formerPrefixes.jobs);
  if (jobs !== undefined) {
    const [name = "", ...rest] = jobs.split("/");
    if (rest.length === 0) return `${bucketPrefixes.shared}/${folders.jobs}/${name}`;
    const sweepPrefix = owners.sweeps.get(name);
    const folder = sweepPrefix === undefined ? folders.jobs : folders.sweeps;
    const owner = ownerOf(sweepPrefix === undefined ? name : `${sweepPrefix}-`, owners);
    return `${owner}/${folder}/${jobs}`;
  }
  const sources = below(key, formerPrefixes.jobSources);
  if (sources !== undefined) return `${bucketPrefixes.shared}/${folders.jobSources}/${sources}`;
  const stays = [...deployedPrefixes, bucketPrefixes.people, bucketPrefixes.shared];
  if (owners.isExistingBucket || stays.some((prefix) => below(key, prefix) !== undefined)) return undefined;
  return `${bucketPrefixes.shared}/${key}`;
}

const below = (key: string, prefix: string) =>
  key.startsWith(`${prefix}/`) ? key.slice(prefix.length + 1) : undefined;

/** No user's name extends another's by a hyphen (src/settings/user-names.ts). */
function ownerOf(job: string, { prefix, users }: Owners): string {
  const user = users.find((name) => job.startsWith(`${prefix}-${name}-`));
  return user === undefined ? bucketPrefixes.shared : `${bucketPrefixes.people}/${user}`;
}
