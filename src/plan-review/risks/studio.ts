import { differencesOf } from "../differences.ts";
import { code, codes, count, joinFirst } from "../markdown.ts";
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
  valuesOf,
} from "../plan.ts";
import type { RunningApp } from "../running-apps.ts";
import type { Rule } from "./rule.ts";

/** The provider changes tags with separate calls, not with `UpdateDomain`. */
const isTags = (path: string) => /^tags(_all)?(\.|$)/.test(path);

/**
 * terraform-provider-aws issue 45528 (open): to update a VpcOnly domain, the provider sends `AppNetworkAccessType`
 * without the VPC and the subnets, and SageMaker rejects the call.
 */
export const refusedUpdateRule: Rule = {
  name: "refused-domain-update",
  title: "The AWS provider cannot make this update of the domain",
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
            `For a \`VpcOnly\` domain, the update of ${codes(paths)} fails with "VpcId and Subnet IDs are required for updating ` +
            `domains to VpcOnly mode" (terraform-provider-aws issue 45528, open), after other changes were applied.`,
          instead: paths.some((path) => path.startsWith("retention_policy"))
            ? "undo the change of `retention_policy`: no call of SageMaker changes it. Only `DeleteDomain` has it (SageMaker " +
              "API), so it cannot change after the first apply"
            : "put the setting on the user profiles, which can be updated, or make the same change with " +
              `${code(`aws sagemaker update-domain${region ? ` --region ${region}` : ""}${id ? ` --domain-id ${id}` : ""}`)} and the changed settings, ` +
              "without `--app-network-access-type`. The next plan then no longer contains the update",
        },
      ];
    }),
};

const updatedByCall = (one: ResourceChange) =>
  differencesOf(one)
    .filter(({ path, before, after }) => !isTags(path) && before !== after)
    .map(({ path }) => path);

/** The people whose profiles use a lifecycle configuration, and whether spaces keep it after the profile changes. */
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
  "The new script runs when an app next starts. Running apps are not affected until they are restarted.";
const whenChosen =
  " This is the default for new spaces (`lifecycle_config_arn`): an existing space keeps its lifecycle configuration until " +
  "its owner selects another one.";
const tryFirst =
  "make the change in src/space/payload if possible, because that needs no new lifecycle configuration. Otherwise test it " +
  "with `npm start` first, and apply it when no app is running";

export const lifecycleRule: Rule = {
  name: "lifecycle-change",
  title: "The lifecycle configuration of apps changes",
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
          `${when}${sticky ? whenChosen : ""} It affects ${count(people.length, "person", "people")}` +
          `${people.length > 0 ? ` (${joinFirst(people.map(code))})` : ""}. If the script fails, no app can start. ` +
          "SageMaker cannot delete the old one while a running app uses it, and the apply would then fail.",
        instead: tryFirst,
      };
    });
    // Settings that change to another one, unless the old one is deleted: then the risk above covers them.
    const deleted = going.flatMap((one) => text(before(one).arn) ?? []);
    const renamed = changesOf(plan)
      .filter((one) => isUpdated(one) && one.type.startsWith("aws_sagemaker_"))
      .flatMap((about) => {
        const paths = differencesOf(about)
          .filter(
            ({ path, before }) =>
              /lifecycle_config_arns?$/.test(path) && !deleted.some((arn) => before.includes(arn)),
          )
          .map(({ path }) => path);
        if (paths.length === 0) return [];
        const sticky = paths.some((path) => path.endsWith("default_resource_spec.lifecycle_config_arn"));
        return [
          {
            about,
            reason: `${whenStarted}${sticky ? whenChosen : ""}It changes ${codes(paths)}.`,
            instead: tryFirst,
          },
        ];
      });
    return [...replaced, ...renamed];
  },
};

/** Source: aws/amazon-sagemaker-feedback issue 134, where a space looks for the removed image's configuration. */
export const removedImageRule: Rule = {
  name: "removed-image",
  title: "A custom image is removed or replaced",
  find: (plan) =>
    changesOf(plan)
      .filter((one) => one.type === "aws_sagemaker_image" && isDestroyed(one))
      .map((about) => ({
        about,
        reason:
          "A space keeps the image that its owner chose. A space with this image does not start until its owner " +
          "chooses another one. Its files are kept.",
        instead:
          "keep the image and its `imageUri` in `images` until no space has it, or tell its users first",
      })),
};

/** Whether a running app can block the change. Tags can always be changed. */
const mayBeBlocked = (one: ResourceChange): boolean =>
  one.type === "aws_sagemaker_studio_lifecycle_config"
    ? isDestroyed(one)
    : ["aws_sagemaker_domain", "aws_sagemaker_user_profile"].includes(one.type) &&
      (isDestroyed(one) || (isUpdated(one) && updatedByCall(one).length > 0));

/** Whether a running app can block a change of this plan. */
export const canBeBlockedByApps = (plan: Plan): boolean => changesOf(plan).some(mayBeBlocked);

function blockedBy(one: ResourceChange, running: readonly RunningApp[], plan: Plan): readonly RunningApp[] {
  // `profileInUseRule` has the apps of a profile that is deleted.
  if (!mayBeBlocked(one) || isDestroyedProfile(one)) return [];
  const { id, arn, domain_id: domainId, user_profile_name: person } = before(one);
  const appType = text(before(one).studio_lifecycle_config_app_type);
  switch (one.type) {
    case "aws_sagemaker_domain":
      return running.filter((app) => app.domainId === id);
    case "aws_sagemaker_user_profile":
      return running.filter((app) => app.domainId === domainId && app.userProfileName === person);
    default: {
      const { people } = usersOf(plan, text(arn));
      return running.filter((app) => app.appType === appType && people.includes(app.userProfileName ?? ""));
    }
  }
}

const isDestroyedProfile = (one: ResourceChange) =>
  one.type === "aws_sagemaker_user_profile" && isDestroyed(one);

/** Source: SageMaker Developer Guide, "Remove user profiles". */
export const profileInUseRule: Rule = {
  name: "profile-in-use",
  title: "A user profile with apps or spaces is deleted",
  find: (plan, apps) =>
    changesOf(plan).flatMap((about) => {
      if (!isDestroyedProfile(about) || !("running" in apps)) return [];
      const { domain_id: domainId, user_profile_name: person } = before(about);
      const running = apps.running.filter(
        (app) => app.domainId === domainId && app.userProfileName === person,
      );
      const spaces = (apps.spaces ?? []).filter((one) => one.domainId === domainId && one.owner === person);
      const left = [
        ...spaces.map(({ spaceName }) => `space ${code(spaceName)}`),
        ...running.map(
          ({ appType, spaceName }) => `${code(appType)}${spaceName ? ` in ${code(spaceName)}` : ""}`,
        ),
      ];
      if (left.length === 0) return [];
      return [
        {
          about,
          reason:
            `SageMaker deletes a profile only without apps and spaces, and ${code(String(person))} has: ${joinFirst(left)}. ` +
            "The apply would end with `ResourceInUse`, after the changes before it were made.",
          instead: `run ${code(removePerson(about))}, which lists these with sizes and backups, and deletes them after you confirm`,
        },
      ];
    }),
};

/** The command that deletes what keeps a profile from being deleted. */
export function removePerson(profile: ResourceChange): string {
  const { tags_all, user_profile_name: person } = before(profile);
  const environment = text(valuesOf(tags_all).Environment);
  return `npm run people -- remove ${person}${environment === undefined ? "" : ` --environment ${environment}`}`;
}

/**
 * Sources: SageMaker API Reference, DeleteUserProfile, DeleteDomain and DeleteStudioLifecycleConfig; for updates of a
 * domain, UpdateDomain and terraform-provider-aws issue 31912. For updates of a profile this is an assumption.
 */
export const runningAppsRule: Rule = {
  name: "running-app",
  title: "A running app blocks the change",
  find: (plan, apps) =>
    changesOf(plan).flatMap((about) => {
      const blocking = "running" in apps ? blockedBy(about, apps.running, plan) : [];
      if (blocking.length === 0) return [];
      const blockingApps = blocking.map(({ appType, spaceName, userProfileName }) => {
        const where = spaceName === undefined ? "" : ` in space ${code(spaceName)}`;
        return `${code(appType)}${where}${userProfileName === undefined ? "" : ` of ${code(userProfileName)}`}`;
      });
      return [
        {
          about,
          reason:
            `SageMaker ${isDestroyed(about) ? "rejects" : "may reject"} the change while ${blocking.length === 1 ? "this app is" : "these apps are"} running: ${joinFirst(blockingApps)}. ` +
            "The apply would stop there, after the changes before it were made.",
          instead:
            "ask the owners to stop their spaces (files are kept), or run `aws sagemaker delete-app`, and plan again. In a rehearsal, stop them on the Studio page",
        },
      ];
    }),
};
