import type { ITerraformDependable } from "cdktf";
import type { Construct } from "constructs";
import type { EnvironmentContext } from "../support/environment-context.ts";
import { type EnvironmentRole, type ExecutionPoliciesProps, ExecutionRole } from "./execution-role.ts";
import { ExistingRole } from "./existing-role.ts";
import { PermissionsBoundary } from "./permissions-boundary.ts";

/** Gives every role of the stack the permissions boundary of the settings, if there is one. */
export function permissionsBoundary(scope: Construct, { account, environment }: EnvironmentContext): void {
  const arn = environment.permissionsBoundaryArn;
  if (arn !== undefined) new PermissionsBoundary(scope, "permissions_boundary", { account, arn });
}

export interface EnvironmentRoleProps {
  readonly context: EnvironmentContext;
  readonly policies: ExecutionPoliciesProps;
  /** Policies that AWS may attach to the role later, and that must outlive it in a destroy. */
  readonly attachedLater: readonly ITerraformDependable[];
}

/** Creates the execution role, or adds the policies to the role that `existing.executionRoleArn` names. */
export function executionRole(scope: Construct, props: EnvironmentRoleProps): EnvironmentRole {
  const { attachedLater, context, policies } = props;
  const { environment, prefix } = context;
  const arn = environment.existing.executionRoleArn;
  return arn === undefined
    ? new ExecutionRole(scope, "execution", { ...policies, prefix, attachedByOthers: attachedLater })
    : new ExistingRole(scope, "execution", { ...policies, prefix, arn });
}
