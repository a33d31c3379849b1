import { isRecord, type Untyped } from "./problems.ts";

/** What an environment can use instead of creating it: the members of `ExistingSettings`. */
export type ExistingResource = "encryptionKeyArn" | "bucket" | "executionRoleArn" | "network" | "domainId";

/** Whether the stack creates a network. An existing domain has one. */
export const hasOwnNetwork = (settings: Untyped): boolean =>
  !isExisting(settings, "network") && !isExisting(settings, "domainId");

export function existingBucketOf({ existing }: Untyped): string | undefined {
  return isRecord(existing) && typeof existing.bucket === "string" ? existing.bucket : undefined;
}

export const isExisting = ({ existing }: Untyped, resource: ExistingResource): boolean =>
  isRecord(existing) && existing[resource] !== undefined;
