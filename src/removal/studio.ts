/** Apps, spaces and user profiles of a Studio domain that Terraform does not manage, and their removal. */
import {
  type AppDetails,
  DeleteAppCommand,
  DeleteSpaceCommand,
  DeleteUserProfileCommand,
  paginateListApps,
  paginateListSpaces,
  paginateListUserProfiles,
  type SageMakerClient,
  type SpaceDetails,
  type UserProfileDetails,
} from "@aws-sdk/client-sagemaker";
import { type Tools, unlessGone, untilGone } from "./aws.ts";

export interface MadeInStudio {
  readonly apps: readonly AppDetails[];
  readonly spaces: readonly SpaceDetails[];
  /** The profiles that Terraform did not create. */
  readonly profiles: readonly UserProfileDetails[];
}

export interface DomainOfPeople {
  readonly domainId: string;
  /** Names of the user profiles that Terraform created and deletes itself. */
  readonly ownProfiles: readonly string[];
  /** Only the apps and spaces of this user profile, and no profiles. @default everybody's */
  readonly owner?: string | undefined;
}

export async function madeInStudio(domain: DomainOfPeople, client: SageMakerClient): Promise<MadeInStudio> {
  // At most 100 on a page (SageMaker API, MaxResults).
  const query = { DomainIdEquals: domain.domainId, MaxResults: 100 };
  const apps: AppDetails[] = [];
  // Deleted apps stay on the list for 24 hours and do not block a deletion (SageMaker API, DeleteApp).
  for await (const { Apps = [] } of paginateListApps({ client }, query)) {
    apps.push(...Apps.filter(({ Status }) => Status !== "Deleted"));
  }
  const spaces: SpaceDetails[] = [];
  for await (const { Spaces = [] } of paginateListSpaces({ client }, query)) spaces.push(...Spaces);
  const { owner } = domain;
  if (owner !== undefined) {
    // SageMaker does not distinguish the case of names (SageMaker API, CreateUserProfile).
    const isOwner = (name = "") => name.toLowerCase() === owner.toLowerCase();
    const own = spaces.filter(({ OwnershipSettingsSummary: of }) => isOwner(of?.OwnerUserProfileName));
    const isOwn = ({ SpaceName, UserProfileName }: AppDetails) =>
      SpaceName === undefined ? isOwner(UserProfileName) : own.some((space) => space.SpaceName === SpaceName);
    return { apps: apps.filter(isOwn), spaces: own, profiles: [] };
  }
  const profiles: UserProfileDetails[] = [];
  for await (const { UserProfiles = [] } of paginateListUserProfiles({ client }, query)) {
    profiles.push(
      ...UserProfiles.filter(({ UserProfileName = "" }) => !domain.ownProfiles.includes(UserProfileName)),
    );
  }
  return { apps, spaces, profiles };
}

/** Deletes apps, then spaces, then profiles, as SageMaker requires (SageMaker Developer Guide, "Remove user profiles"). */
export async function deleteMadeInStudio(
  domain: DomainOfPeople,
  tools: Tools<{ readonly sagemaker: SageMakerClient }>,
): Promise<void> {
  const { domainId: DomainId } = domain;
  const { sagemaker } = tools.clients;
  const left = () => madeInStudio(domain, sagemaker);
  const nameOfApp = ({ AppName, AppType, SpaceName, UserProfileName }: AppDetails) =>
    `${AppType}/${AppName} of ${SpaceName ?? UserProfileName}`;

  const { apps, spaces, profiles } = await left();
  for (const { AppType, AppName, SpaceName, Status, UserProfileName } of apps) {
    if (Status === "Deleting") continue;
    const owner = SpaceName === undefined ? { UserProfileName } : { SpaceName };
    await unlessGone(() => sagemaker.send(new DeleteAppCommand({ DomainId, AppType, AppName, ...owner })));
  }
  await untilGone("apps", async () => (await left()).apps.map(nameOfApp), tools);
  if (apps.length > 0) tools.log(`deleted ${apps.length} apps`);

  for (const { SpaceName, Status } of spaces) {
    if (Status === "Deleting") continue;
    await unlessGone(() => sagemaker.send(new DeleteSpaceCommand({ DomainId, SpaceName })));
  }
  await untilGone(
    "spaces",
    async () =>
      (await left()).spaces.map((space) =>
        unlessFailed(`space ${space.SpaceName}`, space.Status, space.SpaceName),
      ),
    tools,
  );
  if (spaces.length > 0) tools.log(`deleted ${spaces.length} spaces with their volumes`);

  for (const { UserProfileName, Status } of profiles) {
    if (Status === "Deleting") continue;
    await unlessGone(() => sagemaker.send(new DeleteUserProfileCommand({ DomainId, UserProfileName })));
  }
  await untilGone(
    "user profiles",
    async () =>
      (await left()).profiles.map((profile) =>
        unlessFailed(`user profile ${profile.UserProfileName}`, profile.Status, profile.UserProfileName),
      ),
    tools,
  );
  if (profiles.length > 0) tools.log(`deleted ${profiles.length} user profiles`);
}

/** Returns the name, or throws if AWS failed to delete the resource. */
function unlessFailed(what: string, status: string | undefined, name = ""): string {
  if (status !== "Delete_Failed") return name;
  throw new Error(
    `AWS could not delete ${what}. For the reason, run aws sagemaker describe-space or describe-user-profile ` +
      "(FailureReason). Then run the same command again to continue",
  );
}
