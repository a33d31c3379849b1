import { prefixOf } from "../settings/basics.ts";
import { awsNames } from "../settings/names.ts";

/**
 * The name of the role whose sessions are a person's. All people of an environment share one role today, so this is the
 * only place that changes when each person has a role of their own.
 */
export const roleNameOf = (environment: string, _person: string): string =>
  awsNames(prefixOf(environment)).executionRole;

/** Whether a role is one person's only. If not, the table has everyone's requests. */
export const isOwnRole = (environment: string, person: string): boolean =>
  roleNameOf(environment, person) !== awsNames(prefixOf(environment)).executionRole;
