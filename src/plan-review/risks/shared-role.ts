import { code } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isDestroyed,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
  type Values,
  valuesOf,
} from "../plan.ts";
import type { Rule } from "./rule.ts";

const first = (value: unknown): Values => valuesOf(Array.isArray(value) ? value[0] : value);
const roleOf = (values: Values, settings: string) => text(first(values[settings]).execution_role);

/** Roles of the users' profiles after the plan, by address. */
function rolesAfter(plan: Plan): ReadonlyMap<string, string | undefined> {
  const type = "aws_sagemaker_user_profile";
  const roles = new Map<string, string | undefined>();
  for (const { address, values } of priorResources(plan, type))
    roles.set(address, roleOf(values ?? {}, "user_settings"));
  for (const one of changesOf(plan).filter((change) => change.type === type)) {
    if (isDestroyed(one) && !Object.keys(after(one)).length) roles.delete(one.address);
    else roles.set(one.address, roleOf(after(one), "user_settings"));
  }
  return roles;
}

const isNewHere = (one: ResourceChange) =>
  one.type === "aws_sagemaker_user_profile" &&
  roleOf(after(one), "user_settings") !== undefined &&
  roleOf(after(one), "user_settings") !== roleOf(before(one), "user_settings");

/** Profiles that come to a role which another profile has too, such as `existing.executionRoleArn`. */
export const sharedRoleRule: Rule = {
  name: "shared-role",
  title: "Users share a role, so nothing isolates them from one another",
  find: (plan) => {
    const roles = [...rolesAfter(plan)];
    const found = changesOf(plan).filter(isNewHere);
    return found.flatMap((about) => {
      const role = roleOf(after(about), "user_settings");
      const others = roles.filter(([address, other]) => other === role && address !== about.address).length;
      // One finding for each role: all its users are in the same position.
      const earlier = found.find((one) => roleOf(after(one), "user_settings") === role);
      if (role === undefined || others === 0 || earlier !== about) return [];
      return [
        {
          about,
          reason:
            `${others + 1} user profiles have the role ${code(role)}. Each of them can read and change the others' data, ` +
            "jobs and results, and CloudTrail names only the role.",
          instead: "leave out `existing.executionRoleArn`: the stack then creates a role for each user",
        },
      ];
    });
  },
};
