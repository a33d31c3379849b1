import { allowedJobTypes, type JobSettings } from "./jobs.ts";
import { mostTeamTypes } from "./names.ts";
import { type Check, checkList, isRecord, quote, type Report, type Untyped } from "./problems.ts";
import { checkProcessingInstanceType } from "./processing.ts";
import type { ResolvedTeam } from "./teams.ts";

const types = "src/settings/team-types.ts";
const policySource = 'IAM User Guide, "IAM and AWS STS quotas": 6,144 characters a policy, 50 tags a role';
const rules = {
  types: { allowed: `1 to ${mostTeamTypes} instance types, such as ["ml.g5.12xlarge"]`, source: types },
  any: { allowed: "a list in jobs.allowedInstanceTypes, or no types of teams", source: types },
  many: {
    allowed: `at most ${mostTeamTypes} for a user, in all of their teams: allow some of them to everybody`,
    source: policySource,
  },
  tags: {
    // Project, Environment, StudioUser and JobTeams are the other tags of a role.
    allowed: `at most ${50 - 4 - mostTeamTypes} tags beside teams with instance types`,
    source: policySource,
  },
};

/** Types that a team of untyped settings adds to everybody's. */
function addedBy(team: Untyped, { jobs }: Untyped): readonly unknown[] {
  const everybodys = allowedJobTypes((isRecord(jobs) ? jobs : {}) as JobSettings);
  const added: unknown = team.allowedInstanceTypes;
  if (!Array.isArray(added) || !Array.isArray(everybodys)) return [];
  return added.filter((type) => !everybodys.includes(type));
}

/** Checks one team's types. */
export const checkTeamTypes: Check = (value, report, settings) => {
  if (isRecord(settings.jobs) && settings.jobs.allowedInstanceTypes === "any")
    report(value, 'has no effect with jobs.allowedInstanceTypes: "any"', rules.any);
  checkList(value, report, rules.types, 1, mostTeamTypes, (type, at) =>
    checkProcessingInstanceType(type, at, settings),
  );
};

export const membersOf = ({ members }: Untyped): readonly string[] =>
  (Array.isArray(members) ? members : []).flatMap((one) =>
    typeof one === "string" ? [one.toLowerCase()] : [],
  );

/** Checks the types of all teams together. */
export function checkTypesOfUsers(teams: readonly unknown[], report: Report, settings: Untyped): void {
  const byUser = new Map<string, Set<unknown>>();
  for (const team of teams.filter(isRecord))
    for (const member of membersOf(team))
      byUser.set(member, new Set([...(byUser.get(member) ?? []), ...addedBy(team, settings)]));
  for (const [member, added] of byUser)
    if (added.size > mostTeamTypes) report(member, `may use ${added.size} more instance types`, rules.many);
  const tags = isRecord(settings.tags) ? Object.keys(settings.tags).length : 0;
  if (tags > 50 - 4 - mostTeamTypes && [...byUser.values()].some(({ size }) => size > 0))
    report(teams, `have instance types beside ${tags} tags`, rules.tags);
}

/** Checks a schedule's instance type: everybody's, or one of its team or of the teams of the user that it runs as. */
export function checkScheduleType(
  value: unknown,
  report: Report,
  schedule: Untyped,
  settings: Untyped,
): void {
  checkProcessingInstanceType(value, report, {});
  const everybodys = allowedJobTypes((isRecord(settings.jobs) ? settings.jobs : {}) as JobSettings);
  if (!Array.isArray(everybodys)) return;
  const { runAs, team } = schedule;
  const teams = (Array.isArray(settings.teams) ? settings.teams : []).filter(isRecord);
  const own = teams.filter((one) =>
    typeof runAs === "string" ? membersOf(one).includes(runAs.toLowerCase()) : one.name === team,
  );
  const allowed = [...everybodys, ...own.flatMap((one) => addedBy(one, settings))];
  if (allowed.includes(value)) return;
  report(value, "is not allowed", {
    allowed: allowed.map(quote).join(", "),
    source: "jobs.allowedInstanceTypes, and teams of the schedule",
  });
}

export interface UserTypes {
  /** Names of the teams that add types. */
  readonly teams: readonly string[];
  /** Types that the user's jobs may use beside everybody's. */
  readonly instanceTypes: readonly string[];
}

/** What teams add, by each user's name in lower case. */
export function userTypes(teams: readonly ResolvedTeam[]): ReadonlyMap<string, UserTypes> {
  const byUser = new Map<string, UserTypes>();
  for (const { allowedInstanceTypes, members, name } of teams) {
    if (allowedInstanceTypes.length === 0) continue;
    for (const member of members) {
      const earlier = byUser.get(member) ?? { teams: [], instanceTypes: [] };
      byUser.set(member, {
        teams: [...earlier.teams, name],
        instanceTypes: [...new Set([...earlier.instanceTypes, ...allowedInstanceTypes])],
      });
    }
  }
  return byUser;
}
