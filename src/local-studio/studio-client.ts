import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateAppCommand,
  CreatePresignedDomainUrlCommand,
  CreateSpaceCommand,
  DeleteAppCommand,
  DeleteSpaceCommand,
  DescribeAppCommand,
  DescribeSpaceCommand,
  ListAppsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { domainIdOf, noProfile, profileNamesOf } from "../people/domain.ts";

export interface StudioUser {
  readonly domainId: string;
  readonly userProfileName: string;
}

/** Manages private JupyterLab spaces and their apps through the API that Studio's user interface uses. */
export class StudioClient {
  private readonly client: SageMakerClient;
  readonly user: StudioUser;
  /** Can be short for a local AWS, which does not throttle. On AWS, an app takes minutes to start. */
  private readonly pollMilliseconds: number;

  constructor(client: SageMakerClient, user: StudioUser, pollMilliseconds: number) {
    this.client = client;
    this.user = user;
    this.pollMilliseconds = pollMilliseconds;
  }

  /** Finds the domain `marimo-<environment>` of an environment's stack, and its first user profile by name. */
  static async find(
    client: SageMakerClient,
    environmentName: string,
    pollMilliseconds: number,
    userProfileName?: string,
  ): Promise<StudioClient> {
    const domainId = await domainIdOf(client, environmentName);
    const profile = userProfileName ?? (await profileNamesOf(client, domainId))[0];
    if (profile === undefined) throw noProfile(environmentName);
    return new StudioClient(client, { domainId, userProfileName: profile }, pollMilliseconds);
  }

  async createSpace(spaceName: string, signal?: AbortSignal): Promise<void> {
    await this.client.send(
      new CreateSpaceCommand({
        DomainId: this.user.domainId,
        SpaceName: spaceName,
        OwnershipSettings: { OwnerUserProfileName: this.user.userProfileName },
        SpaceSharingSettings: { SharingType: "Private" },
        SpaceSettings: { AppType: "JupyterLab" },
      }),
    );
    await this.settled(`space "${spaceName}"`, () => this.describeSpace(spaceName), signal);
  }

  /** Resolves when AWS has accepted the start. */
  async startApp(spaceName: string): Promise<void> {
    await this.client.send(new CreateAppCommand(this.app(spaceName)));
  }

  /** Resolves when the app is in service; fails with AWS's reason. */
  async createApp(spaceName: string, signal?: AbortSignal): Promise<void> {
    await this.startApp(spaceName);
    await this.settled(
      `app of space "${spaceName}"`,
      () => this.client.send(new DescribeAppCommand(this.app(spaceName))),
      signal,
    );
  }

  async presignedUrl(spaceName: string | undefined, landingUri?: string): Promise<string> {
    const { AuthorizedUrl } = await this.client.send(
      new CreatePresignedDomainUrlCommand({
        DomainId: this.user.domainId,
        UserProfileName: this.user.userProfileName,
        SpaceName: spaceName,
        LandingUri: landingUri,
        ExpiresInSeconds: 300,
      }),
    );
    if (!AuthorizedUrl) throw new Error("The answer of CreatePresignedDomainUrl has no AuthorizedUrl.");
    return AuthorizedUrl;
  }

  async hasSpace(spaceName: string): Promise<boolean> {
    return (await ignoreMissing(this.describeSpace(spaceName))) !== undefined;
  }

  /** Deletes the apps of a space, waits until they are gone, then deletes the space. Missing ones are not an error. */
  async delete(spaceName: string): Promise<void> {
    await this.deleteApps(spaceName);
    await ignoreMissing(
      this.client.send(new DeleteSpaceCommand({ DomainId: this.user.domainId, SpaceName: spaceName })),
    );
    await this.gone(async () => Boolean(await this.describeSpace(spaceName)));
  }

  /** Deletes the apps of a space, and waits until they are gone. */
  async deleteApps(spaceName: string): Promise<void> {
    const apps = async () => {
      const found = await ignoreMissing(
        this.client.send(
          new ListAppsCommand({ DomainIdEquals: this.user.domainId, SpaceNameEquals: spaceName }),
        ),
      );
      return (found?.Apps ?? []).filter(({ Status }) => Status !== "Deleted");
    };
    for (const { AppType, AppName, Status } of await apps()) {
      if (Status === "Deleting") continue;
      const app = { DomainId: this.user.domainId, SpaceName: spaceName, AppType, AppName };
      await ignoreMissing(this.client.send(new DeleteAppCommand(app)));
    }
    await this.gone(async () => (await apps()).length > 0);
  }

  private describeSpace(spaceName: string) {
    return this.client.send(new DescribeSpaceCommand({ DomainId: this.user.domainId, SpaceName: spaceName }));
  }

  private app(spaceName: string) {
    return {
      DomainId: this.user.domainId,
      SpaceName: spaceName,
      AppType: "JupyterLab",
      AppName: "default",
    } as const;
  }

  private async settled(
    what: string,
    describe: () => Promise<{ Status?: string | undefined; FailureReason?: string | undefined }>,
    signal?: AbortSignal,
  ): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const { Status, FailureReason } = await describe();
      if (Status === "InService") return;
      if (Status !== "Pending" && Status !== "Updating") {
        throw new Error(`The status of the ${what} is ${Status}${FailureReason ? `: ${FailureReason}` : ""}`);
      }
      await sleep(this.pollMilliseconds);
    }
  }

  private async gone(exists: () => Promise<boolean>): Promise<void> {
    while ((await ignoreMissing(exists())) ?? false) await sleep(this.pollMilliseconds);
  }
}

/** Resolves to `undefined` if the resource does not exist. */
export async function ignoreMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && ["ResourceNotFound", "ResourceNotFoundException"].includes(error.name))
      return undefined;
    throw error;
  }
}
