import { prefixOf } from "../settings/basics.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { awsNames } from "../settings/names.ts";

/** Name of the role whose sessions are a person's: their own, or `existing.executionRoleArn`, which everybody has. */
export const roleNameOf = ({ name, existing }: ResolvedEnvironment, person: string): string =>
  existing.executionRoleArn?.split("/").at(-1) ?? awsNames(prefixOf(name)).user(person.toLowerCase());
