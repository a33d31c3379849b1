/** An app that runs in Studio, with the person whose it is: of a space, its owner. */
export interface RunningApp {
  readonly domainId: string;
  readonly spaceName?: string;
  readonly userProfileName?: string;
  readonly appType: string;
}

/** What Studio said, or why it was not asked. */
export type RunningApps = { readonly running: readonly RunningApp[] } | { readonly notAsked: string };
