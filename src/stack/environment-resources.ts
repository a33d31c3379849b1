import { Fn, TerraformIterator, TerraformLocal, TerraformResource } from "cdktf";
import type { Construct } from "constructs";
import { athenaWorkgroups } from "../settings/athena.ts";
import { prefixOf } from "../settings/basics.ts";
import { codeArtifactRepository } from "../settings/code-artifact.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { awsNames } from "../settings/names.ts";
import { repositorySecrets } from "../settings/repositories.ts";
import { otherAccountsPolicies } from "./access/owner-statements.ts";
import { grantPrincipals } from "./access/principals.ts";
import { accessStatements } from "./access/statements.ts";
import { Workgroups } from "./access/workgroups.ts";
import { InferenceProfiles } from "./ai/inference-profiles.ts";
import { environmentTrail } from "./audit/index.ts";
import type { Trail } from "./audit/trail.ts";
import { budgetStopPolicy, environmentGuardRails } from "./guard-rails/index.ts";
import type { ExecutionPoliciesProps } from "./identity/execution-role.ts";
import { environmentRoles, permissionsBoundary } from "./identity/index.ts";
import { environmentJobs, environmentSchedules, scheduledJobRoles } from "./jobs/index.ts";
import { UserTopics } from "./jobs/user-topics.ts";
import { environmentNetwork } from "./network/index.ts";
import { homeFileSystemCleanup } from "./removal/index.ts";
import { RemovalGuard } from "./removal/removal-guard.ts";
import { RemovalScripts } from "./removal/removal-step.ts";
import { EndpointTimeout } from "./services/endpoint-timeout.ts";
import type { EnvironmentBucket } from "./storage/artifact-bucket.ts";
import { environmentBucket, environmentKey, environmentPayload } from "./storage/index.ts";
import type { Payload } from "./storage/payload.ts";
import { existingStudio } from "./studio/existing-studio.ts";
import { environmentDomain, environmentImages, environmentLifecycleConfiguration } from "./studio/index.ts";
import type { LifecycleConfiguration } from "./studio/lifecycle-configuration.ts";
import { studioOutputs } from "./studio/outputs.ts";
import { AwsAccount } from "./support/aws-account.ts";
import type { EnvironmentContext } from "./support/environment-context.ts";
import type { Outputs } from "./support/outputs.ts";
import { checkStateAccount } from "./support/state-account.ts";

/** What every domain needs, whether the stack creates it or it exists. */
interface CommonParts {
  readonly context: EnvironmentContext;
  readonly bucket: EnvironmentBucket;
  readonly payload: Payload;
  readonly lifecycleConfiguration: LifecycleConfiguration;
  readonly policies: ExecutionPoliciesProps;
  readonly trail: Trail | undefined;
}

/**
 * Creates an environment's resources in a scope: a Studio domain whose JupyterLab spaces have marimo, and everything that
 * the domain needs. Terraform itself is the caller's: its version, provider, backend and outputs.
 */
export function environmentResources(scope: Construct, environment: ResolvedEnvironment): Outputs {
  const account = new AwsAccount(scope, "account", { region: environment.region });
  checkStateAccount(scope, account);
  const context: EnvironmentContext = {
    environment,
    prefix: prefixOf(environment.name),
    account,
    scripts: new RemovalScripts(scope, "removal_scripts"),
    packages: codeArtifactRepository(environment.packageIndexUrl),
    workgroups: athenaWorkgroups(environment),
  };
  permissionsBoundary(scope, context);
  const key = environmentKey(scope, context);
  const bucket = environmentBucket(scope, context, key.arn);
  const payload = environmentPayload(scope, { context, bucket, encryptionKeyArn: key.arn });
  const { trail, outputs } = environmentTrail(scope, { context, bucket, encryptionKeyArn: key.arn });
  const lifecycleConfiguration = environmentLifecycleConfiguration(scope, context, bucket);
  const { packages } = context;
  const policies = {
    ...{ account, environment: environment.name, bucketArn: bucket.arn, encryptionKeyArn: key.arn, packages },
    secrets: repositorySecrets(environment.repositories),
    access: accessStatements({
      ...{ account, access: environment.access, bucketArn: bucket.arn, prefix: context.prefix },
      workgroup: awsNames(context.prefix).sharedWorkgroup,
    }),
    ai: environment.ai,
  };
  const parts = { context, bucket, payload, lifecycleConfiguration, policies, trail };
  new Workgroups(scope, "athena", {
    ...{ account, prefix: context.prefix, bucketName: bucket.name, encryptionKeyArn: key.arn },
    workgroups: context.workgroups,
  });

  const keyPolicy: Outputs =
    key.requiredPolicy === undefined
      ? {}
      : {
          encryption_key_policy: [
            "Statements that the policy of the existing key must have",
            key.requiredPolicy,
          ],
        };
  const { domainId } = environment.existing;
  return {
    artifact_bucket: ["Bucket for artifacts and sample data", bucket.name],
    ...outputs,
    ...keyPolicy,
    ...otherAccountsPolicies(context),
    ...(domainId === undefined ? ownStudio(scope, parts) : existingStudio(scope, { ...parts, domainId })),
  };
}

function ownStudio(scope: Construct, parts: CommonParts): Outputs {
  const { bucket, context, lifecycleConfiguration, payload, policies, trail } = parts;
  const { account, environment, prefix, scripts } = context;
  const { homeFileSystemRetention } = environment;
  const { encryptionKeyArn } = policies;
  const network = environmentNetwork(scope, { context, bucket, encryptionKeyArn });
  const jobs = environmentJobs(scope, { context, network, bucket, encryptionKeyArn });
  const stopPolicy = budgetStopPolicy(scope, context);
  const attachedLater = stopPolicy === undefined ? [] : [stopPolicy.policy];
  // Written once; everything that a user has is made from it, so the JSON grows by one line for each user.
  const userProfiles = new TerraformLocal(
    scope,
    "user_profiles",
    Object.fromEntries(environment.userProfiles.map((user) => [user.name, user.defaultInstanceType])),
  );
  const { ai } = environment;
  if (ai?.costByUser)
    new InferenceProfiles(scope, "inference_profiles", {
      ...{ account, ai, bucket, encryptionKeyArn, prefix },
      userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
    });
  const jobRoles = scheduledJobRoles({ context, jobs, bucket, perimeter: network.perimeter });
  const roles = environmentRoles(scope, {
    context,
    policies: {
      ...policies,
      perimeter: network.perimeter,
      imagePrefix: environment.images.length > 0 ? prefix : undefined,
    },
    access: {
      ...jobs.access,
      bucketName: bucket.name,
      services: environment.services,
    },
    jobRoles,
    userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
    attachedLater,
  });
  const { role, users } = roles;
  if (environment.jobs.notifications !== undefined)
    new UserTopics(scope, "user_topics", {
      ...{ account, prefix, encryptionKeyArn },
      userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
    });
  if (environment.services.instanceEndpoints)
    new EndpointTimeout(scope, "endpoint_timeout", {
      ...{ account, prefix, environment: environment.name },
      hours: environment.services.instanceEndpoints.timeoutHours,
      existingRoleArn: environment.existing.executionRoleArn,
    });
  const { schedulerRole, outputs: scheduleOutputs } = environmentSchedules(scope, {
    ...{ context, jobs, jobRoles, bucket, encryptionKeyArn, payload, attachedLater },
    policies: roles.policies,
  });
  const guardRails = environmentGuardRails(scope, {
    ...{ context, role, schedulerRole, users, stopPolicy },
    userProfiles: TerraformIterator.fromMap(userProfiles.asAnyMap),
  });
  const cleanup = homeFileSystemCleanup(scope, context, network);
  const studio = environmentDomain(scope, {
    ...{ context, network, role, users, encryptionKeyArn, lifecycleConfiguration, userProfiles },
    customImages: environmentImages(scope, context),
    domainDependsOn: [...cleanup, ...roles.policies, ...guardRails],
    profilesDependOn: [payload.pointer],
  });
  // Last, because it depends on every other resource.
  new RemovalGuard(scope, "removal_guard", {
    ...{ account, scripts, prefix, bucket, trail, homeFileSystemRetention },
    existingRole: users === undefined ? role.name : undefined,
    domainId: studio.domain.id,
    userProfileNames: Fn.keys(userProfiles.asAnyMap),
    before: scope.node.findAll().filter((construct) => TerraformResource.isTerraformResource(construct)),
  });
  return {
    ...scheduleOutputs,
    ...grantPrincipals({ context, jobRoles, rolesWithAccess: roles.rolesWithAccess }),
    ...studioOutputs({
      ...{ studio, network, role, bucket, lifecycleConfiguration },
      region: environment.region,
      userProfiles: userProfiles.asAnyMap,
    }),
  };
}
