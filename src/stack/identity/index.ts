import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { ITerraformDependable, MapTerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { userTypes } from "../../settings/team-types.ts";
import { teamPolicies } from "../access/index.ts";
import type { ScheduledJobRoles } from "../jobs/index.ts";
import { jobRuntimeStatements, jobSecretStatements } from "../jobs/job-role.ts";
import { jobFollowStatements, jobUserStatements, senderOf } from "../jobs/job-user-statements.ts";
import {
  type ServiceAccess,
  serviceRuntimeStatements,
  serviceStatements,
} from "../services/service-statements.ts";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { otherUsersTagStatement } from "./common-statements.ts";
import { type EnvironmentRole, type ExecutionPoliciesProps, ExecutionRole } from "./execution-role.ts";
import { ExistingRole } from "./existing-role.ts";
import { ManagedPolicy } from "./managed-policy.ts";
import { PermissionsBoundary } from "./permissions-boundary.ts";
import { ScheduleRoles } from "./schedule-roles.ts";
import { UserRoles } from "./user-roles.ts";

/** Gives every role of the stack the permissions boundary of the settings, if there is one. */
export function permissionsBoundary(scope: Construct, { account, environment }: EnvironmentContext): void {
  const arn = environment.permissionsBoundaryArn;
  if (arn !== undefined) new PermissionsBoundary(scope, "permissions_boundary", { account, arn });
}

export interface EnvironmentRolesProps {
  readonly context: EnvironmentContext;
  readonly policies: ExecutionPoliciesProps;
  /** What users can do with jobs and SageMaker's other services. */
  readonly access: ServiceAccess;
  readonly userProfiles: MapTerraformIterator;
  /** Policies that AWS may attach to the roles later, and that must outlive them in a destroy. */
  readonly attachedLater: readonly ITerraformDependable[];
  /** Of schedules without a user's rights. */
  readonly jobRoles: ScheduledJobRoles;
}

export interface EnvironmentRoles {
  /** Of the domain and its shared spaces. */
  readonly role: EnvironmentRole;
  /** Of the users' private spaces. Undefined: everybody has `role`. */
  readonly users: UserRoles | undefined;
  /** The policies of all roles. */
  readonly policies: readonly ITerraformDependable[];
  /** Lists of the names of the roles with what the settings grant to everybody. */
  readonly rolesWithAccess: readonly (readonly string[])[];
}

/**
 * Creates the execution role and a role for each user, or adds the policies to the role that `existing.executionRoleArn`
 * names. Jobs are for users: the execution role, which is nobody's, has only what is common.
 */
export function environmentRoles(scope: Construct, props: EnvironmentRolesProps): EnvironmentRoles {
  const { access, attachedLater, context, jobRoles, policies, userProfiles } = props;
  const { account, environment, prefix } = context;
  const arn = environment.existing.executionRoleArn;
  const users =
    arn === undefined
      ? new UserRoles(scope, "users", {
          ...{ account, prefix, userProfiles, attachedByOthers: attachedLater },
          userTypes: userTypes(environment.teams),
        })
      : undefined;
  const schedulesRunAs = [...new Set(environment.schedules.flatMap(({ runAs }) => runAs ?? []))];
  const scheduled =
    schedulesRunAs.length === 0
      ? undefined
      : new ScheduleRoles(scope, "schedule_roles", { account, prefix, users: schedulesRunAs });
  const scheduleRoles = scheduled?.names ?? [];
  const rolesWithAccess = [...jobRoles.values()].map(({ name }) => name);
  const follow = [
    ...jobFollowStatements(account, prefix, senderOf(account, prefix, arn), access),
    // With one role for everybody, the tag is of users that IAM cannot tell apart.
    ...(arn === undefined ? [otherUsersTagStatement(account)] : []),
  ];
  const role =
    arn === undefined
      ? new ExecutionRole(scope, "execution", {
          ...{ ...policies, follow, prefix, rolesWithAccess, attachedByOthers: attachedLater },
          furtherRoles: users?.names,
          rolesWithoutStudio: scheduleRoles,
        })
      : new ExistingRole(scope, "execution", { ...policies, follow, prefix, rolesWithAccess, arn });
  const forJobs = new Construct(scope, "job_users");
  const sender = senderOf(account, prefix, users === undefined ? role.arn : undefined);
  const documents = {
    jobs: jobUserStatements(account, access, sender),
    job_runtime: [
      ...jobRuntimeStatements(account, access, sender),
      ...serviceRuntimeStatements(account, access, sender),
    ],
    job_secrets: jobSecretStatements(access),
    services: serviceStatements(account, access, sender),
  };
  // The provider refuses an attachment to nobody.
  const nobody = users !== undefined && environment.userProfiles.length === 0;
  const jobPolicies = Object.entries(documents).flatMap(([name, statement]) => {
    if (nobody || statement.length === 0) return [];
    const { json } = new DataAwsIamPolicyDocument(forJobs, `${name}_document`, { statement });
    const policyName = `${prefix}-${name.replaceAll("_", "-")}`;
    const forSchedules = ["job_runtime", "job_secrets"].includes(name) ? scheduleRoles : [];
    const roles = [users?.names ?? [role.name], forSchedules];
    return new ManagedPolicy(forJobs, name, { name: policyName, json, roles }).attachment;
  });
  const roles = [users?.role ?? [], scheduled?.role ?? []].flat();
  const teams = teamPolicies(scope, { context, jobRoles, roles, bucketArn: policies.bucketArn });
  return {
    ...{ role, users },
    policies: [...role.policies, ...jobPolicies, ...teams],
    rolesWithAccess: [[role.name, ...rolesWithAccess], users?.names ?? [], scheduleRoles],
  };
}
