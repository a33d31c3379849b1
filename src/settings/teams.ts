import {
  type AccessSettings,
  checkAccess,
  mostGrantedBuckets,
  type ResolvedAccess,
  resolveAccess,
} from "./access.ts";
import type { ResolvedJobs } from "./jobs.ts";
import {
  type Check,
  type Checks,
  checkList,
  checkParts,
  isRecord,
  isString,
  nearest,
  quote,
  type Report,
  type Untyped,
} from "./problems.ts";
import { studioDefaults } from "./studio.ts";
import { checkTeamTypes, checkTypesOfUsers, membersOf } from "./team-types.ts";
import { haveRoles, userNamesOf } from "./user-names.ts";

/** People who may use more than everybody. */
export interface TeamSettings {
  /** Limit: 1-20 lower-case letters, digits and inner hyphens, starting with a letter. */
  readonly name: string;
  /** Names of users in `userProfiles`. Limit: 1-1000, each in at most 10 teams. */
  readonly members: readonly string[];
  /** What the members may use in addition to `access`. */
  readonly access: AccessSettings;
  /**
   * Instance types that the members' jobs may use in addition to `jobs.allowedInstanceTypes`, and so may schedules that
   * name the team or run as a member. Not for apps.
   * Limit: 1-6, together 6 for a user (IAM User Guide, "IAM and AWS STS quotas": one policy names each).
   * @default none
   */
  readonly allowedInstanceTypes?: readonly string[];
}

export interface ResolvedTeam {
  readonly name: string;
  /** In lower case. */
  readonly members: readonly string[];
  readonly access: ResolvedAccess;
  /** Without those that everybody may use. */
  readonly allowedInstanceTypes: readonly string[];
}

export const resolveTeam = (
  { access, allowedInstanceTypes = [], members, name }: TeamSettings,
  jobs: ResolvedJobs,
): ResolvedTeam => ({
  name,
  members: members.map((member) => member.toLowerCase()),
  access: resolveAccess(access),
  allowedInstanceTypes: allowedInstanceTypes.filter(
    (type) => jobs.allowedInstanceTypes?.includes(type) === false,
  ),
});

const types = "src/settings/teams.ts";
/**
 * Each team is a managed policy of the roles of its members. The quota is 10 for a role and can be raised to 25 (IAM User
 * Guide, "IAM and AWS STS quotas"); up to 15 are the environment's own. `npm run plan` checks the account's.
 */
const mostTeamsOfOne = 10;
const rules = {
  teams: {
    allowed: '1 to 100 teams, such as [{ name: "forecasting", members: ["ana"], access: { … } }]',
    source: types,
  },
  name: {
    allowed: "1 to 20 lower-case letters, digits and inner hyphens, starting with a letter",
    source: "IAM API, roleNameType: 64 characters with the environment's name",
  },
  members: { allowed: "1 to 1000 names of users, each once", source: types },
  roles: {
    allowed: "no teams beside existing.executionRoleArn or existing.domainId",
    source: "src/settings/teams.ts: a team is a policy of its members' own roles",
  },
  buckets: {
    allowed: `at most ${mostGrantedBuckets} different buckets with egress: "endpoints-only"`,
    source: "AWS PrivateLink Guide: 20,480 characters in the policy of the S3 endpoint",
  },
  many: {
    allowed: `at most ${mostTeamsOfOne} teams for a user: merge some of them`,
    source: 'IAM User Guide, "IAM and AWS STS quotas": at most 25 managed policies for a role',
  },
};

const checks: Checks<TeamSettings> = {
  name: (value, report) => {
    if (!isString(value, report, rules.name)) return;
    if (value.length > 20 || !/^[a-z](-?[a-z0-9])*$/.test(value))
      report(value, "is not a valid team name", rules.name);
  },
  members: (value, report, settings) => {
    const users = userNamesOf(settings, studioDefaults.userProfiles);
    const known = new Set(users);
    const rule = {
      allowed:
        users.length > 20
          ? `one of the ${users.length} users`
          : users.map(quote).join(", ") || "nothing, because there are no users",
      source: "userProfiles",
    };
    const seen = new Set<string>();
    checkList(value, report, rules.members, 1, 1000, (member, at) => {
      if (!isString(member, at, rule)) return;
      const name = member.toLowerCase();
      if (!known.has(name)) at(member, `is not the name of a user${nearest(name, users)}`, rule);
      else if (seen.has(name)) at(member, "is listed twice", rules.members);
      seen.add(name);
    });
  },
  access: checkAccess,
  allowedInstanceTypes: checkTeamTypes,
};

export const checkTeams: Check = (value, report, settings) => {
  if (!haveRoles(settings)) report(value, "needs a role for each user", rules.roles);
  const names = new Set<unknown>();
  const teamsOf = new Map<string, number>();
  const teams = checkList(value, report, rules.teams, 1, 100, (team, at) => {
    if (!isRecord(team)) return at(team, "is not a team", rules.teams);
    // A missing part is reported by its own check.
    const required = { name: null, members: null, access: null };
    checkParts({ ...required, ...team }, checks, at, settings);
    if (names.has(team.name)) at(team.name, "is the name of two teams", rules.name, ".name");
    names.add(team.name);
    for (const member of membersOf(team)) teamsOf.set(member, (teamsOf.get(member) ?? 0) + 1);
  });
  if (teams === undefined) return;
  const buckets = new Set(
    [{ access: settings.access }, ...teams].flatMap((one) => (isRecord(one) ? bucketsOf(one) : [])),
  );
  if (settings.egress === "endpoints-only" && buckets.size > mostGrantedBuckets)
    report(value, `grant ${buckets.size} buckets, with access`, rules.buckets);
  for (const [member, count] of teamsOf)
    if (count > mostTeamsOfOne) report(member, `is in ${count} teams`, rules.many);
  checkTypesOfUsers(teams, report, settings);
};

const bucketsOf = ({ access }: Untyped): readonly unknown[] =>
  isRecord(access) && Array.isArray(access.buckets)
    ? access.buckets.map((bucket: unknown) => (isRecord(bucket) ? bucket.name : undefined))
    : [];

/** Reports a schedule's `team` that does not exist, or has no effect. */
export function checkScheduleTeam(
  value: unknown,
  report: Report,
  schedule: Untyped,
  { teams }: Untyped,
): void {
  if (schedule.runAs !== undefined) {
    report(value, "cannot be combined with runAs", {
      allowed: "one of the two: runAs has the access of all teams of the user",
      source: types,
    });
  }
  const names = (Array.isArray(teams) ? teams : []).flatMap((team) =>
    isRecord(team) && typeof team.name === "string" ? [team.name] : [],
  );
  const rule = {
    allowed:
      names.length === 0 ? "nothing, because there are no teams" : `one of ${names.map(quote).join(", ")}`,
    source: "teams",
  };
  if (isString(value, report, rule) && !names.includes(value))
    report(value, `is not the name of a team${nearest(value, names)}`, rule);
}
