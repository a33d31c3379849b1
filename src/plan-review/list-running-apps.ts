import { paginateListApps, paginateListSpaces, SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { OwnedSpace, RunningApp, RunningApps } from "./running-apps.ts";

export interface ListProps {
  readonly region: string;
  readonly domainIds: readonly string[];
  readonly signal: AbortSignal;
}

/** Time limit, in milliseconds. After it, the review says that running apps were not checked. */
const timeoutMilliseconds = 20_000;

/**
 * Lists the apps that run in these domains, and the spaces, with the caller's credentials. A failed call is returned as `notChecked`.
 */
export async function listRunningApps({ region, domainIds, signal }: ListProps): Promise<RunningApps> {
  const client = new SageMakerClient({ region, maxAttempts: 2 });
  const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(timeoutMilliseconds)]);
  // The SDK's paginators accept no abort signal, so each request checks it.
  client.middlewareStack.add(
    (next) => async (args) => {
      abortSignal.throwIfAborted();
      return next(args);
    },
    { step: "initialize" },
  );
  try {
    const running = await Promise.race([
      Promise.all(domainIds.map((domainId) => appsOf(client, domainId))),
      rejectedOn(abortSignal),
    ]);
    return {
      running: running.flatMap(({ apps }) => apps),
      spaces: running.flatMap(({ spaces }) => spaces),
    };
  } catch (error) {
    signal.throwIfAborted();
    return { notChecked: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  } finally {
    client.destroy();
  }
}

function rejectedOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

async function appsOf(client: SageMakerClient, domainId: string) {
  const domain = { DomainIdEquals: domainId };
  // ListApps does not return the owner of a space.
  const owners = new Map<string, string>();
  for await (const page of paginateListSpaces({ client }, domain)) {
    for (const { SpaceName, OwnershipSettingsSummary } of page.Spaces ?? []) {
      const owner = OwnershipSettingsSummary?.OwnerUserProfileName;
      if (SpaceName && owner) owners.set(SpaceName, owner);
    }
  }
  const running: RunningApp[] = [];
  for await (const page of paginateListApps({ client }, domain)) {
    for (const { AppType = "app", SpaceName, Status, UserProfileName } of page.Apps ?? []) {
      if (Status === "Deleted" || Status === "Failed") continue;
      const owner = UserProfileName ?? owners.get(SpaceName ?? "");
      running.push({ domainId, appType: AppType, spaceName: SpaceName, userProfileName: owner });
    }
  }
  const spaces = [...owners].map(([spaceName, owner]): OwnedSpace => ({ domainId, spaceName, owner }));
  return { apps: running, spaces };
}
