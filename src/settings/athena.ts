import type { ResolvedEnvironment } from "./environment.ts";
import { awsNames, bucketPrefixes } from "./names.ts";
import { type Check, type Checks, checkParts, isRecord, isWhole } from "./problems.ts";

/** Queries with Amazon Athena. */
export interface AthenaSettings {
  /**
   * GB that one query may scan, which is what Amazon Athena charges for. Athena stops a query that scans more. Of several
   * grants, a user has the largest.
   * Limit: 1-1000000.
   */
  readonly bytesScannedCutoffGb: number;
}

const rules = {
  athena: { allowed: "an object such as { bytesScannedCutoffGb: 100 }", source: "src/settings/athena.ts" },
  cutoff: { allowed: "a whole number of GB, 1 to 1000000", source: "src/settings/athena.ts" },
};

const checks: Checks<AthenaSettings> = {
  bytesScannedCutoffGb: (value, report) => {
    isWhole(value, report, rules.cutoff, 1, 1_000_000);
  },
};

export const checkAthena: Check = (value, report, settings) => {
  if (!isRecord(value)) return report(value, "is not an object with settings", rules.athena);
  if (value.bytesScannedCutoffGb === undefined)
    report(undefined, "is missing", rules.cutoff, ".bytesScannedCutoffGb");
  checkParts(value, checks, report, settings);
};

/** The workgroups of an environment, each with the GB that a query may scan. */
export interface AthenaWorkgroups {
  /** By user, in lower case. Empty if users have no roles of their own. */
  readonly users: Readonly<Record<string, number>>;
  /** Of roles that belong to no user: shared spaces, schedules, and the one role of everybody. */
  readonly shared: number | undefined;
  /** By team, of schedules that name it. */
  readonly teams: Readonly<Record<string, number>>;
}

type Granted = Pick<ResolvedEnvironment, "access" | "existing" | "schedules" | "teams" | "userProfiles">;

/** Only who has a grant gets a workgroup: Amazon Athena has 1,000 of them in an account and Region. */
export function athenaWorkgroups({
  access,
  existing,
  schedules,
  teams,
  userProfiles,
}: Granted): AthenaWorkgroups {
  const shared = access.athena?.bytesScannedCutoffGb;
  const largest = (some: readonly (number | undefined)[]) => {
    const known = some.filter((one) => one !== undefined);
    return known.length === 0 ? undefined : Math.max(...known);
  };
  const cutoffs = (names: readonly string[], teamsOf: (name: string) => typeof teams) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const granted = teamsOf(name).map((team) => team.access.athena?.bytesScannedCutoffGb);
        const cutoff = largest([shared, ...granted]);
        return cutoff === undefined ? [] : [[name, cutoff] as const];
      }),
    );
  const memberships = new Map<string, (typeof teams)[number][]>();
  for (const team of teams)
    for (const member of team.members) memberships.set(member, [...(memberships.get(member) ?? []), team]);
  const scheduled = new Set(schedules.map(({ team }) => team));
  const haveRoles = existing.executionRoleArn === undefined && existing.domainId === undefined;
  return {
    users: haveRoles
      ? cutoffs(
          userProfiles.map(({ name }) => name.toLowerCase()),
          (name) => memberships.get(name) ?? [],
        )
      : {},
    shared,
    teams: cutoffs(
      teams
        .filter((team) => team.access.athena !== undefined && scheduled.has(team.name))
        .map(({ name }) => name),
      (name) => teams.filter((team) => team.name === name),
    ),
  };
}

/** The workgroup of a schedule's jobs, which have the access of a user, of a team, or of everybody. */
export function workgroupOfSchedule(
  prefix: string,
  { shared, teams, users }: AthenaWorkgroups,
  { runAs, team }: { readonly runAs?: string | undefined; readonly team?: string | undefined },
): string | undefined {
  const names = awsNames(prefix);
  if (runAs !== undefined) return users[runAs] === undefined ? undefined : names.user(runAs);
  if (team !== undefined && teams[team] !== undefined) return names.scheduledTeam(team);
  return shared === undefined ? undefined : names.sharedWorkgroup;
}

/** Folder of query results, of a user or in `shared`. */
export const queryResults = "athena";
export const sharedQueryResults = `${bucketPrefixes.shared}/${queryResults}`;

/** Names of the users who have a workgroup, `*` for everybody: for `MARIMO_ATHENA_WORKGROUP` in spaces and jobs. */
export const athenaUsers = ({ shared, users }: AthenaWorkgroups): readonly string[] =>
  shared === undefined ? Object.keys(users) : ["*"];
