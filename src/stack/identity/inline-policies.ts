import type { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePoliciesExclusive } from "@cdktf/provider-aws/lib/iam-role-policies-exclusive/index.js";
import type { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";

/**
 * `inlinePolicy` of a role that has none: Terraform removes those that are added by hand. The argument is deprecated in
 * favor of `onlyInlinePolicies`, and is still in provider 6.71. That would be a resource and a request for each person, while
 * the provider lists a role's inline policies with the role anyway.
 */
export const noInlinePolicies = [{}];

/** Terraform removes other inline policies from the role. */
export function onlyInlinePolicies(role: IamRole, policies: readonly IamRolePolicy[]): void {
  new IamRolePoliciesExclusive(role, "only", {
    roleName: role.name,
    policyNames: policies.map(({ name }) => name),
  });
}
