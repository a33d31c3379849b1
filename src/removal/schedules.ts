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
  const NamePrefix = `${prefix}-user-${user ?? ""}`;
  const found: UserSchedule[] = [];
  for await (const { ScheduleGroups = [] } of paginateListScheduleGroups({ client }, { NamePrefix })) {
    for (const { Name: GroupName = "" } of ScheduleGroups) {
      if (user !== undefined && GroupName !== NamePrefix) continue;
      for await (const { Schedules = [] } of paginateListSchedules({ client }, { GroupName }))
        for (const { Name: name = "", State: state = "" } of Schedules)
          found.push({ group: GroupName, name, state });
    }
  }
  return found;
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
