/** An app that runs in Studio. For an app of a space, the user profile is the space's owner. */
export interface RunningApp {
  readonly domainId: string;
  readonly spaceName?: string | undefined;
  readonly userProfileName?: string | undefined;
  readonly appType: string;
}

/** A space of a user profile, whether its app runs or not. */
export interface OwnedSpace {
  readonly domainId: string;
  readonly spaceName: string;
  readonly owner: string;
}

/** The running apps and the spaces, or the reason why they were not listed. */
export type RunningApps =
  | { readonly running: readonly RunningApp[]; readonly spaces?: readonly OwnedSpace[] | undefined }
  | { readonly notChecked: string };
