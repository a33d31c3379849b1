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
  ListUserProfilesCommand,
  paginateListDomains,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { prefixOf } from "../settings/names.ts";
import { Problem } from "./problem.ts";

export interface StudioUser {
  readonly domainId: string;
  readonly userProfileName: string;
}

/** What Studio's user interface does for a person, through the same API: a private JupyterLab space and its app. */
export class StudioClient {
  private readonly client: SageMakerClient;
  readonly user: StudioUser;
  /** Nobody is throttled by a local AWS; on AWS an app takes minutes. */
  private readonly pollMilliseconds: number;

  constructor(client: SageMakerClient, user: StudioUser, pollMilliseconds: number) {
    this.client = client;
    this.user = user;
    this.pollMilliseconds = pollMilliseconds;
  }

  /** The domain that an environment's stack names `marimo-<environment>`, and its first user profile. */
  static async find(
    client: SageMakerClient,
    environmentName: string,
    pollMilliseconds: number,
    userProfileName?: string,
  ): Promise<StudioClient> {
    const name = prefixOf(environmentName);
    const domains: string[] = [];
    for await (const page of paginateListDomains({ client }, {})) {
      for (const { DomainName, DomainId } of page.Domains ?? []) {
        if (DomainName === name && DomainId) domains.push(DomainId);
      }
    }
    const [domainId] = domains;
    if (domainId === undefined) {
      throw new Problem({
        message: `This account and region have no Studio domain "${name}".`,
        remedy: `deploy it with \`npx cdktf deploy ${environmentName}\`, or check AWS_PROFILE and AWS_REGION`,
      });
    }
    const profiles = await client.send(
      new ListUserProfilesCommand({ DomainIdEquals: domainId, MaxResults: 1 }),
    );
    const profile = userProfileName ?? profiles.UserProfiles?.[0]?.UserProfileName;
    if (profile === undefined) {
      throw new Problem({
        message: `The Studio domain "${name}" has no user profile.`,
        remedy: "add one to `userProfiles` in src/environments.ts and deploy",
      });
    }
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

  /** Resolves once the app is in service; says AWS's reason when it fails. */
  async createApp(spaceName: string, signal?: AbortSignal): Promise<void> {
    await this.client.send(new CreateAppCommand(this.app(spaceName)));
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
    if (!AuthorizedUrl) throw new Error("CreatePresignedDomainUrl answered without a URL");
    return AuthorizedUrl;
  }

  /** Deletes the apps of a space, waits until they are gone, then deletes the space. Nothing there is fine. */
  async delete(spaceName: string): Promise<void> {
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
    await ignoreMissing(
      this.client.send(new DeleteSpaceCommand({ DomainId: this.user.domainId, SpaceName: spaceName })),
    );
    await this.gone(async () => Boolean(await this.describeSpace(spaceName)));
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
        throw new Error(`The ${what} is ${Status}${FailureReason ? `: ${FailureReason}` : ""}`);
      }
      await sleep(this.pollMilliseconds);
    }
  }

  private async gone(exists: () => Promise<boolean>): Promise<void> {
    while ((await ignoreMissing(exists())) ?? false) await sleep(this.pollMilliseconds);
  }
}

async function ignoreMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && ["ResourceNotFound", "ResourceNotFoundException"].includes(error.name))
      return undefined;
    throw error;
  }
}
