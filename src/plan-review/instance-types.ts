import { teamTags, userTag } from "../settings/names.ts";
import type { AccessChange } from "./access.ts";
import { code, joinFirst } from "./markdown.ts";
import { after, before, changesOf, type Plan, text, valuesOf } from "./plan.ts";
import { dollars, prices } from "./prices.ts";

const typesOf = (tags: Readonly<Record<string, unknown>>) =>
  teamTags.instanceTypes.flatMap((tag) => text(tags[tag]) ?? []);

/** Which users' jobs may use more or fewer instance types, by the tags of their roles. Users with the same change are one. */
export function instanceTypeChanges(plan: Plan): readonly AccessChange[] {
  const groups = new Map<string, { readonly users: string[]; readonly change: Omit<AccessChange, "who"> }>();
  for (const about of changesOf(plan)) {
    // Nobody has the rights of a role that is deleted.
    if (about.type !== "aws_iam_role" || about.change.after === null) continue;
    const [old, now] = [valuesOf(before(about).tags), valuesOf(after(about).tags)];
    const [oldTypes, nowTypes] = [typesOf(old), typesOf(now)];
    const more = nowTypes.filter((type) => !oldTypes.includes(type));
    const less = oldTypes.filter((type) => !nowTypes.includes(type));
    if (more.length + less.length === 0) continue;
    const teams = text(now[teamTags.teams]) ?? text(old[teamTags.teams]) ?? "";
    const key = JSON.stringify([teams, more, less]);
    const words = (types: readonly string[]) => types.map((type) => `run jobs on ${priced(type)}`);
    const change = { about, more: words(more), less: words(less), risky: words(more) };
    const group = groups.get(key) ?? { users: [], change };
    group.users.push(text(now[userTag]) ?? about.address);
    groups.set(key, group);
  }
  return [...groups].map(([key, { change, users }]) => {
    const [teams] = JSON.parse(key) as [string];
    const names = teams.split(" ").map(code);
    return {
      ...change,
      who: `Team${names.length > 1 ? "s" : ""} ${names.join(" and ")} (${joinFirst(users, 10)})`,
    };
  });
}

/** A type with the price of a job for an hour. */
function priced(type: string): string {
  const hourly: number | undefined = (prices.instances as Readonly<Record<string, number>>)[type];
  return `${code(type)} (${hourly === undefined ? "price not known" : `${dollars(hourly)} US dollars an hour`})`;
}
