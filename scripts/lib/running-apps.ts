import { paginateListApps, paginateListSpaces, SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { RunningApp, RunningApps } from "../../src/plan-review/running-apps.ts";

export interface AskProps {
  readonly region: string;
  readonly domainIds: readonly string[];
  readonly signal: AbortSignal;
}

/** Longer than this, and the review says that it could not ask. */
const patience = 20_000;

/** The apps that run in these domains, with the caller's credentials. Whatever keeps Studio from answering is told. */
export async function askForRunningApps({ region, domainIds, signal }: AskProps): Promise<RunningApps> {
  const client = new SageMakerClient({ region, maxAttempts: 2 });
  const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
  // The SDK's paginators take no signal: each page asks whether there is still somebody who waits.
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
    return { running: running.flat() };
  } catch (error) {
    signal.throwIfAborted();
    return { notAsked: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  } finally {
    client.destroy();
  }
}

function rejectedOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

async function appsOf(client: SageMakerClient, domainId: string): Promise<readonly RunningApp[]> {
  const domain = { DomainIdEquals: domainId };
  // ListApps does not say whose a space is.
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
      running.push({
        domainId,
        appType: AppType,
        ...(SpaceName === undefined ? {} : { spaceName: SpaceName }),
        ...(owner === undefined ? {} : { userProfileName: owner }),
      });
    }
  }
  return running;
}
