import type { AthenaWorkgroups } from "../../settings/athena.ts";
import type { CodeArtifactRepository } from "../../settings/code-artifact.ts";
import type { EnvironmentSettings, ResolvedEnvironment } from "../../settings/environment.ts";
import type { RemovalScripts } from "../removal/removal-step.ts";
import type { AwsAccount } from "./aws-account.ts";

/** What every part of an environment's stack may need. */
export interface EnvironmentContext {
  readonly environment: ResolvedEnvironment;
  /** Prefix of all names in AWS. */
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly scripts: RemovalScripts;
  /** CodeArtifact repository that packages come from. */
  readonly packages: CodeArtifactRepository | undefined;
  /** Athena workgroups of the users and roles with a grant. */
  readonly workgroups: AthenaWorkgroups;
}

/** Tags of every resource that supports tags, and of every job. */
export const tagsOf = ({ name, tags }: Pick<EnvironmentSettings, "name" | "tags">) => ({
  ...tags,
  Project: "sagemaker-marimo",
  Environment: name,
});
