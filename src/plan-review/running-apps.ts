/** An app that runs in Studio. For an app of a space, the user profile is the space's owner. */
export interface RunningApp {
  readonly domainId: string;
  readonly spaceName?: string | undefined;
  readonly userProfileName?: string | undefined;
  readonly appType: string;
}

/** The running apps, or the reason why they were not listed. */
export type RunningApps = { readonly running: readonly RunningApp[] } | { readonly notChecked: string };
