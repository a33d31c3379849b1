import type { EnvironmentSettings } from "./settings/types.ts";

/**
 * The file a team edits: one entry per environment, one stack per entry.
 * Every setting but `name` has a default; `src/settings/types.ts` documents them all.
 */
export const environments: readonly EnvironmentSettings[] = [
  {
    name: "dev",
    // A trial environment: its people's work goes with it. Leave this line out wherever work must stay.
    homeFileSystemRetention: "Delete",
  },
];
