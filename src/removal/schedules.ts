/** Schedules that users make in their own groups, which Terraform creates. `marimo-job schedule` makes them. */
import {
  DeleteScheduleCommand,
  paginateListScheduleGroups,
  paginateListSchedules,
  type SchedulerClient,
} from "@aws-sdk/client-scheduler";
import { type Tools, unlessGone } from "./aws.ts";

export interface UserSchedule {
  readonly group: string;
  readonly name: string;
  /** `ENABLED`, or `DISABLED` for one that is paused. */
  readonly state: string;
}

/** src/settings/names.ts has the same names. A user's name begins with no other's and a hyphen. */
export async function userSchedules(
  { prefix, user }: { readonly prefix: string; readonly user?: string | undefined },
  client: SchedulerClient,
): Promise<UserSchedule[]> {
  const found: UserSchedule[] = [];
  const groups = user === undefined ? await groupsOf(prefix, client) : [`${prefix}-user-${user}`];
  for (const GroupName of groups) {
    await unlessGone(async () => {
      for await (const { Schedules = [] } of paginateListSchedules({ client }, { GroupName }))
        for (const { Name: name = "", State: state = "" } of Schedules)
          found.push({ group: GroupName, name, state });
    });
  }
  return found;
}

async function groupsOf(prefix: string, client: SchedulerClient): Promise<string[]> {
  const groups: string[] = [];
  const query = { NamePrefix: `${prefix}-user-` };
  for await (const { ScheduleGroups = [] } of paginateListScheduleGroups({ client }, query))
    groups.push(...ScheduleGroups.map(({ Name = "" }) => Name));
  return groups;
}

export const describeSchedules = (schedules: readonly UserSchedule[]): string[] =>
  schedules.map(
    ({ group, name, state }) => `schedule ${group}/${name}${state === "DISABLED" ? ", paused" : ""}`,
  );

/** They start jobs, so they go before jobs and pipelines do. */
export async function deleteSchedules(
  schedules: readonly UserSchedule[],
  { clients, log }: Pick<Tools<{ readonly scheduler: SchedulerClient }>, "clients" | "log">,
): Promise<void> {
  for (const { group: GroupName, name: Name } of schedules)
    await unlessGone(() => clients.scheduler.send(new DeleteScheduleCommand({ GroupName, Name })));
  if (schedules.length > 0) log(`deleted ${schedules.length} schedules`);
}
