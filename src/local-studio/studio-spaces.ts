import {
  type AppDetails,
  DescribeAppCommand,
  DescribeSpaceCommand,
  paginateListApps,
  paginateListSpaces,
  paginateListUserProfiles,
  type SageMakerClient,
  type SpaceDetails,
} from "@aws-sdk/client-sagemaker";
import { ignoreMissing, type StudioUser } from "./studio-client.ts";

/** A space with its app, as listed in Studio. */
export interface SpaceSummary {
  readonly name: string;
  readonly state: "starting" | "running" | "stopping" | "stopped" | "deleting" | "failed";
  /** The failure reason for the state `failed`. */
  readonly reason?: string | undefined;
  /** When the app was created. */
  readonly started?: Date | undefined;
  readonly instanceType?: string | undefined;
}

const appStates: Readonly<Record<string, SpaceSummary["state"]>> = {
  Pending: "starting",
  InService: "running",
  Deleting: "stopping",
  Failed: "failed",
};

/** Lists the user profile names of a domain. */
export async function listUserProfiles(client: SageMakerClient, domainId: string): Promise<string[]> {
  const names: string[] = [];
  for await (const page of paginateListUserProfiles({ client }, { DomainIdEquals: domainId })) {
    names.push(...(page.UserProfiles ?? []).map(({ UserProfileName = "" }) => UserProfileName));
  }
  return names.sort();
}

/** Lists the spaces that a user profile owns, sorted by name. */
export async function listSpaces(client: SageMakerClient, user: StudioUser): Promise<SpaceSummary[]> {
  const request = { DomainIdEquals: user.domainId };
  const own: SpaceDetails[] = [];
  for await (const page of paginateListSpaces({ client }, request)) {
    own.push(
      ...(page.Spaces ?? []).filter(
        (space) => space.OwnershipSettingsSummary?.OwnerUserProfileName === user.userProfileName,
      ),
    );
  }
  const apps = new Map<string, AppDetails>();
  for await (const page of paginateListApps({ client }, request)) {
    // AWS lists a deleted app for a day, next to a new app with the same name.
    for (const app of page.Apps ?? []) if (app.Status !== "Deleted") apps.set(app.SpaceName ?? "", app);
  }
  const summaries = own.map((space) => summaryOf(client, space, apps.get(space.SpaceName ?? "")));
  return (await Promise.all(summaries)).sort((a, b) => a.name.localeCompare(b.name));
}

async function summaryOf(
  client: SageMakerClient,
  { DomainId, SpaceName = "", Status }: SpaceDetails,
  app: AppDetails | undefined,
): Promise<SpaceSummary> {
  const name = SpaceName;
  if (app) {
    const { AppType, AppName, CreationTime, ResourceSpec } = app;
    const state = appStates[app.Status ?? ""] ?? "failed";
    const described =
      state === "failed" &&
      (await ignoreMissing(client.send(new DescribeAppCommand({ DomainId, SpaceName, AppType, AppName }))));
    return {
      name,
      state,
      reason: described ? described.FailureReason : undefined,
      started: CreationTime,
      instanceType: ResourceSpec?.InstanceType,
    };
  }
  if (Status?.endsWith("Failed")) {
    const described = await ignoreMissing(client.send(new DescribeSpaceCommand({ DomainId, SpaceName })));
    return { name, state: "failed", reason: described?.FailureReason };
  }
  return { name, state: Status === "Pending" ? "starting" : Status === "Deleting" ? "deleting" : "stopped" };
}
