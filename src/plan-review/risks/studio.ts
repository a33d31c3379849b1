import { differencesOf } from "../differences.ts";
import { code, codes, count, some } from "../markdown.ts";
import {
  after,
  before,
  changesOf,
  isDestroyed,
  isReplaced,
  isUpdated,
  type Plan,
  priorResources,
  type ResourceChange,
  text,
} from "../plan.ts";
import type { RunningApp } from "../running-apps.ts";
import type { Rule } from "./rule.ts";

/** `UpdateDomain` is not called for these: the provider has calls of their own for tags. */
const isTags = (path: string) => /^tags(_all)?(\.|$)/.test(path);

/**
 * Terraform provider issue 45528, open: for a change of a VpcOnly domain the provider sends `AppNetworkAccessType` without
 * VPC and subnets, and SageMaker refuses it.
 */
export const refusedUpdateRule: Rule = {
  name: "refused-domain-update",
  title: "An update of the domain that the AWS provider cannot do",
  find: (plan) =>
    changesOf(plan).flatMap((about) => {
      if (about.type !== "aws_sagemaker_domain" || !isUpdated(about)) return [];
      if (![before(about), after(about)].every((values) => values.app_network_access_type === "VpcOnly"))
        return [];
      const paths = updatedByCall(about);
      if (paths.length === 0) return [];
      const [id, region] = [text(before(about).id), text(before(about).arn)?.split(":")[3]];
      return [
        {
          about,
          reason:
            `In \`VpcOnly\` the apply ends with "VpcId and Subnet IDs are required for updating domains to VpcOnly mode" ` +
            `(terraform-provider-aws issue 45528, open), after other changes were made: ${codes(paths)}.`,
          instead:
            "put the setting on the user profiles, where updates pass; or make the same change with " +
            `${code(`aws sagemaker update-domain${region ? ` --region ${region}` : ""}${id ? ` --domain-id ${id}` : ""}`)} and the changed settings, ` +
            "without `--app-network-access-type`, and plan again: the plan is then clean",
        },
      ];
    }),
};

const updatedByCall = (one: ResourceChange) =>
  differencesOf(one)
    .filter(({ path, before, after }) => !isTags(path) && before !== after)
    .map(({ path }) => path);

/** Who takes a lifecycle configuration from their settings, and how. */
function usersOf(plan: Plan, arn: string | undefined) {
  const people: string[] = [];
  let sticky = false;
  for (const { values, address } of priorResources(plan, "aws_sagemaker_user_profile")) {
    const settings = JSON.stringify(values?.user_settings ?? null);
    if (arn === undefined || !settings.includes(JSON.stringify(arn))) continue;
    people.push(text(values?.user_profile_name) ?? address);
    sticky ||= new RegExp(
      `"lifecycle_config_arn":${JSON.stringify(arn).replace(/[.*+?^$()|[\]\\]/g, "\\$&")}`,
    ).test(settings);
  }
  return { people, sticky };
}

const whenStarted =
  "The new script runs when an app next starts; apps that run keep what the old one did until they are stopped and started.";
const whenChosen =
  " It is the one that spaces begin with (`lifecycle_config_arn`): a space keeps what was chosen for it, so spaces that are " +
  "there keep the old one until a person chooses anew.";
const tryFirst =
  "where the change can be in src/space/payload instead, put it there: that needs no new lifecycle configuration. Else try it " +
  "with `npm start` first, and apply when no app runs";

export const lifecycleRule: Rule = {
  name: "lifecycle-change",
  title: "The script that runs at each start of an app changes",
  find: (plan) => {
    const going = changesOf(plan).filter(
      (one) => one.type === "aws_sagemaker_studio_lifecycle_config" && isDestroyed(one),
    );
    const replaced = going.map((about) => {
      const { people, sticky } = usersOf(plan, text(before(about).arn));
      const when = isReplaced(about) ? whenStarted : "Apps that start after the apply run without it.";
      return {
        about,
        reason:
          `${when}${sticky ? whenChosen : ""} It concerns ${count(people.length, "person", "people")}` +
          `${people.length > 0 ? ` (${some(people.map(code))})` : ""}. A script that fails keeps every app from starting, and ` +
          "SageMaker refuses to delete the old one while an app runs with it: the apply then ends with an error.",
        instead: tryFirst,
      };
    });
    // Settings that name another one, where the old one stays: else it is told above, once for all people.
    const told = going.flatMap((one) => text(before(one).arn) ?? []);
    const renamed = changesOf(plan)
      .filter((one) => isUpdated(one) && one.type.startsWith("aws_sagemaker_"))
      .flatMap((about) => {
        const paths = differencesOf(about)
          .filter(
            ({ path, before }) =>
              /lifecycle_config_arns?$/.test(path) && !told.some((arn) => before.includes(arn)),
          )
          .map(({ path }) => path);
        if (paths.length === 0) return [];
        const sticky = paths.some((path) => path.endsWith("default_resource_spec.lifecycle_config_arn"));
        return [
          {
            about,
            reason: `${whenStarted}${sticky ? whenChosen : ""} It is another in ${codes(paths)}.`,
            instead: tryFirst,
          },
        ];
      });
    return [...replaced, ...renamed];
  },
};

/** What SageMaker does not do while an app runs; tags it changes at any time. */
const mayBeBlocked = (one: ResourceChange): boolean =>
  one.type === "aws_sagemaker_studio_lifecycle_config"
    ? isDestroyed(one)
    : ["aws_sagemaker_domain", "aws_sagemaker_user_profile"].includes(one.type) &&
      (isDestroyed(one) || (isUpdated(one) && updatedByCall(one).length > 0));

/** Whether what runs matters to this plan at all. */
export const asksForApps = (plan: Plan): boolean => changesOf(plan).some(mayBeBlocked);

function blockedBy(one: ResourceChange, running: readonly RunningApp[], plan: Plan): readonly RunningApp[] {
  if (!mayBeBlocked(one)) return [];
  const { id, arn, domain_id: domainId, user_profile_name: person } = before(one);
  switch (one.type) {
    case "aws_sagemaker_domain":
      return running.filter((app) => app.domainId === id);
    case "aws_sagemaker_user_profile":
      return running.filter((app) => app.domainId === domainId && app.userProfileName === person);
    default: {
      const { people } = usersOf(plan, text(arn));
      return running.filter(({ userProfileName }) => people.includes(userProfileName ?? ""));
    }
  }
}

/**
 * SageMaker API, DeleteUserProfile, DeleteDomain, DeleteStudioLifecycleConfig; for some updates of a domain UpdateDomain
 * and terraform-provider-aws issue 31912. That it holds for a profile's updates is a guess.
 */
export const runningAppsRule: Rule = {
  name: "running-app",
  title: "An app that runs blocks the change",
  find: (plan, apps) =>
    changesOf(plan).flatMap((about) => {
      const blocking = "running" in apps ? blockedBy(about, apps.running, plan) : [];
      if (blocking.length === 0) return [];
      const told = blocking.map(({ appType, spaceName, userProfileName }) => {
        const where = spaceName === undefined ? "" : ` in space ${code(spaceName)}`;
        return `${code(appType)}${where}${userProfileName === undefined ? "" : ` of ${code(userProfileName)}`}`;
      });
      return [
        {
          about,
          reason:
            `SageMaker ${isDestroyed(about) ? "refuses" : "may refuse"} it while ${blocking.length === 1 ? "this app runs" : "these apps run"}: ${some(told)}. ` +
            "The apply stops there, with what came before it done.",
          instead:
            "ask these people to stop their spaces (their files stay), and plan again: `aws sagemaker delete-app` does the same",
        },
      ];
    }),
};
