import type { EnvironmentSettings } from "./settings/environment.ts";

/**
 * The file a team edits: one entry per environment, one stack per entry.
 * Every setting but `name` has a default; the files of `src/settings` document them.
 */
export const environments: readonly EnvironmentSettings[] = [
  {
    name: "dev",
    // A trial environment: without this line, Terraform refuses to destroy it until `removalProtection` is false.
    // "Retain" keeps only the home file system: notebooks are on the volumes of spaces, which a destroy deletes.
    homeFileSystemRetention: "Delete",
  },
];
