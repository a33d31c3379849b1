import type { EnvironmentSettings } from "../settings/environment.ts";
import { studioDefaults } from "../settings/studio.ts";

/** What names a person in an environment's settings, and must be taken away with the profile. */
export function settingsLines(
  person: string,
  { schedules = [], teams = [], userProfiles }: EnvironmentSettings,
): readonly string[] {
  const is = (name: string | undefined) => name?.toLowerCase() === person.toLowerCase();
  const profiles = userProfiles ?? studioDefaults.userProfiles;
  const isDefault = userProfiles === undefined ? " (the default: set userProfiles without it)" : "";
  return [
    ...profiles.filter(({ name }) => is(name)).map((one) => `${source(one)} in userProfiles${isDefault}`),
    ...teams
      .filter(({ members }) => members.some(is))
      .map(({ members, name }) => `"${members.find(is)}" in the members of the team ${name}`),
    ...schedules
      .filter(({ runAs }) => is(runAs))
      .map(({ name, runAs }) => `runAs: "${runAs}" of the schedule ${name}, or the whole schedule`),
  ];
}

/** An object as it stands in src/environments.ts. */
const source = (value: object) =>
  `{ ${Object.entries(value)
    .map(([key, one]) => `${key}: ${JSON.stringify(one)}`)
    .join(", ")} }`;
