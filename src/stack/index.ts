/**
 * The constructs, for another CDKTF app: `import { … } from "sagemaker-marimo/constructs"`. An example that is applied
 * and destroyed in the tests is `__tests__/example-app/main.ts`.
 *
 * `StudioEnvironment` is a whole environment, from the settings of `src/settings`. Its names in AWS begin with
 * `marimo-<name>`. The other constructs stand alone, such as those that bring marimo to the app's own domain. They may be
 * there more than once in a stack, each with a `prefix` of its own, a payload with a bucket of its own; wrong prefixes
 * are all reported by `app.synth()`.
 *
 * The app provides an `AwsProvider`, a backend, and a version of Terraform's provider from 5.100.0 on
 * (`terraform.required_providers.aws.version`; the bindings ask for exactly their own). Ids, other tags and the names in
 * Terraform's state are the app's.
 *
 * The package is TypeScript: run the app with tsx, as ES modules or CommonJS (`"app": "node --import tsx main.ts"` in
 * cdktf.json), and check its types with `module` `NodeNext`, `noEmit` and `allowImportingTsExtensions`.
 *
 * A destroy runs scripts with Node.js, from the stack's folder: this package and what it depends on must be installed
 * in that folder or above it.
 */
export type { AthenaWorkgroups } from "../settings/athena.ts";
export { type CodeArtifactRepository, codeArtifactRepository } from "../settings/code-artifact.ts";
export { lockFileOf, type Packages } from "../settings/locks.ts";
export type { Egress } from "../settings/network.ts";
export { Workgroups, type WorkgroupsProps } from "./access/workgroups.ts";
export { AuditAlerts, type AuditAlertsProps } from "./audit/audit-alerts.ts";
export { Trail, type TrailProps } from "./audit/trail.ts";
export { Budget, type BudgetProps, BudgetStopPolicy } from "./guard-rails/budget.ts";
export { GuardRails, type GuardRailsProps } from "./guard-rails/guard-rails.ts";
export { type EnvironmentRole, ExecutionRole, type ExecutionRoleProps } from "./identity/execution-role.ts";
export { ExistingRole, type ExistingRoleProps } from "./identity/existing-role.ts";
export { ManagedPolicy, type ManagedPolicyProps } from "./identity/managed-policy.ts";
export { PermissionsBoundary, type PermissionsBoundaryProps } from "./identity/permissions-boundary.ts";
export { ScheduleRoles, type ScheduleRolesProps } from "./identity/schedule-roles.ts";
export { UserRoles, type UserRolesProps } from "./identity/user-roles.ts";
export { JobAlerts, type JobAlertsProps } from "./jobs/job-alerts.ts";
export { JobRole, type JobRoleProps } from "./jobs/job-role.ts";
export type { JobAccess } from "./jobs/job-user-statements.ts";
export { Jobs, type JobsProps } from "./jobs/jobs.ts";
export { Schedules, type SchedulesProps } from "./jobs/schedules.ts";
export { ExistingNetwork, type ExistingNetworkProps } from "./network/existing-network.ts";
export { type EnvironmentNetwork, Network, type NetworkProps } from "./network/network.ts";
export {
  ArtifactBucket,
  type ArtifactBucketProps,
  type EnvironmentBucket,
} from "./storage/artifact-bucket.ts";
export { EncryptionKey, type EncryptionKeyProps } from "./storage/encryption-key.ts";
export { ExistingBucket, type ExistingBucketProps } from "./storage/existing-bucket.ts";
export { ExistingKey, type ExistingKeyProps } from "./storage/existing-key.ts";
export { Payload, type PayloadProps } from "./storage/payload.ts";
export type { PayloadSource } from "./storage/payload-content.ts";
export { CustomImages, type CustomImagesProps } from "./studio/custom-images.ts";
export { ExistingDomain, type ExistingDomainProps } from "./studio/existing-domain.ts";
export {
  LifecycleConfiguration,
  type LifecycleConfigurationProps,
} from "./studio/lifecycle-configuration.ts";
export { spaceFiles } from "./studio/space-files.ts";
export { environmentTags, StudioEnvironment, type StudioEnvironmentSettings } from "./studio-environment.ts";
export { AwsAccount, type AwsAccountProps } from "./support/aws-account.ts";
