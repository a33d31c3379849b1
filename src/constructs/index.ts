/**
 * The constructs, for another CDKTF app: `import { … } from "sagemaker-marimo/constructs"`. An example that is applied
 * and destroyed in the tests is `__tests__/example-app/main.ts`. `StudioStack` puts together the same ones.
 *
 * What the app brings: an `AwsProvider` of the region that `AwsAccount` is told, a backend, and a version of Terraform's
 * provider from 5.100.0 on (`terraform.required_providers.aws.version`; the bindings ask for exactly their own). Ids,
 * tags and the names in Terraform's state are the app's. Every construct may be there more than once in a stack, each
 * with a `prefix` of its own, a payload with a bucket of its own; wrong prefixes are all reported by `app.synth()`.
 *
 * The package is TypeScript: run the app with tsx, as ES modules or CommonJS (`"app": "node --import tsx main.ts"` in
 * cdktf.json), and check its types with `module` `NodeNext`, `noEmit` and `allowImportingTsExtensions`.
 *
 * A destroy runs scripts with Node.js, from the stack's folder: this package and what it depends on must be installed
 * in that folder or above it.
 */
export { type CodeArtifactRepository, codeArtifactRepository } from "../settings/code-artifact.ts";
export { lockFileOf, type Packages } from "../settings/locks.ts";
export type { Egress } from "../settings/types.ts";
export { ArtifactBucket, type ArtifactBucketProps, type EnvironmentBucket } from "./artifact-bucket.ts";
export { AwsAccount, type AwsAccountProps } from "./aws-account.ts";
export { Budget, type BudgetProps, BudgetStopPolicy } from "./budget.ts";
export { EncryptionKey, type EncryptionKeyProps } from "./encryption-key.ts";
export { type EnvironmentRole, ExecutionRole, type ExecutionRoleProps } from "./execution-role.ts";
export { ExistingBucket, type ExistingBucketProps } from "./existing-bucket.ts";
export { ExistingDomain, type ExistingDomainProps } from "./existing-domain.ts";
export { ExistingKey, type ExistingKeyProps } from "./existing-key.ts";
export { ExistingNetwork, type ExistingNetworkProps } from "./existing-network.ts";
export { ExistingRole, type ExistingRoleProps } from "./existing-role.ts";
export { GuardRails, type GuardRailsProps } from "./guard-rails.ts";
export { HomeFileSystemCleanup, type HomeFileSystemCleanupProps } from "./home-file-system-cleanup.ts";
export { HomeFileSystemKey, type HomeFileSystemKeyProps } from "./home-file-system-key.ts";
export { JobAlerts, type JobAlertsProps } from "./job-alerts.ts";
export type { JobRights } from "./job-rights.ts";
export { JobRole, type JobRoleProps } from "./job-role.ts";
export { Jobs, type JobsProps } from "./jobs.ts";
export { LifecycleConfiguration, type LifecycleConfigurationProps } from "./lifecycle-configuration.ts";
export { type EnvironmentNetwork, Network, type NetworkProps } from "./network.ts";
export { Payload, type PayloadProps, type PayloadSource } from "./payload.ts";
export { PermissionsBoundary, type PermissionsBoundaryProps } from "./permissions-boundary.ts";
export { RemovalGuard, type RemovalGuardProps } from "./removal-guard.ts";
export { RemovalScripts } from "./removal-step.ts";
export { Schedules, type SchedulesProps } from "./schedules.ts";
export { spaceFiles } from "./space-files.ts";
export { StudioDomain, type StudioDomainProps } from "./studio-domain.ts";
