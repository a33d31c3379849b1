import type { EnvironmentSettings } from "./settings/environment.ts";

/**
 * The file a team edits: one entry per environment, one stack per entry.
 * Every setting but `name` has a default; the files of `src/settings` document them.
 */
export const environments: readonly EnvironmentSettings[] = [
  {
    name: "dev",
    // A trial environment: its people's work goes with it. Leave this line out wherever work must stay.
    homeFileSystemRetention: "Delete",
  },
];
