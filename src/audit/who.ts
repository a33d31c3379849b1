import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { awsNames } from "../settings/names.ts";

/**
 * Names of the roles whose sessions are a person's: their own, and that of the schedules that run as them. Or
 * `existing.executionRoleArn`, which everybody has.
 */
export function roleNamesOf({ name, existing }: ResolvedEnvironment, person: string): readonly string[] {
  const common = existing.executionRoleArn?.split("/").at(-1);
  const { scheduledUser, user } = awsNames(prefixOf(name));
  const tag = person.toLowerCase();
  return common === undefined ? [user(tag), scheduledUser(tag)] : [common];
}
