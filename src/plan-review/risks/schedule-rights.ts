import { awsNames, bucketPrefixes } from "../../settings/names.ts";
import { code } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  configurationOf,
  type Plan,
  type ResourceChange,
  text,
  type Values,
  valuesOf,
} from "../plan.ts";
import type { Rule } from "./rule.ts";

const inputOf = ({ target }: Values) => {
  const first = valuesOf(Array.isArray(target) ? target[0] : target).input;
  return text(first) ?? text(valuesOf(first).constant_value);
};

/** The user whose rights a schedule's jobs have, by the role in the request that it makes. */
function userOf(input: string | undefined, group: unknown): string | undefined {
  const role = /"RoleArn":"[^"]*:role\/([^"]+)"/.exec(input ?? "")?.[1];
  const own = awsNames(String(group)).scheduledUser("");
  // What a team's schedules get is in src/plan-review/access.ts.
  if (role?.startsWith(awsNames(String(group)).scheduledTeam("")) === true) return undefined;
  return role?.startsWith(own) === true ? role.slice(own.length) : undefined;
}

/** A request that is known only after the apply: its role is in the configuration. */
const inputAfter = (plan: Plan, about: ResourceChange) =>
  inputOf(after(about)) ?? inputOf(configurationOf(plan, about.address)?.expressions ?? {});

/** Schedules of the settings that get `runAs`. */
export const scheduleRightsRule: Rule = {
  name: "schedule-rights",
  title: "A schedule gets a user's rights",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => one.type === "aws_scheduler_schedule" && Object.keys(after(one)).length > 0)
      .flatMap((about) => {
        const user = userOf(inputAfter(plan, about), after(about).group_name);
        if (user === undefined || user === userOf(inputOf(before(about)), before(about).group_name))
          return [];
        return [
          {
            about,
            reason:
              `Its notebook can read, change and delete everything that ${code(user)} has in the bucket, below ` +
              `${code(`${bucketPrefixes.people}/${user}/`)}. So can anyone who changes the notebook in this project.`,
            instead: `leave out ${code("runAs")}: the schedule then writes only its results. Otherwise, ask ${code(user)} first`,
          },
        ];
      }),
};
