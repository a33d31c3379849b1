import { DataAwsIamRole } from "@cdktf/provider-aws/lib/data-aws-iam-role/index.js";
import { type ITerraformDependable, Op, TerraformSelf } from "cdktf";
import { Construct } from "constructs";
import { accountOf } from "../../settings/arns.ts";
import { type AttachedPoliciesProps, type EnvironmentRole, executionPolicies } from "./execution-role.ts";

export interface ExistingRoleProps
  extends Omit<AttachedPoliciesProps, "furtherRoles" | "rolesWithoutStudio"> {
  readonly arn: string;
}

/** Whether a statement of the trust lets a service assume the role. IAM's lists may be a single item, its actions in any case. */
const trusts = (service: string) =>
  `\${anytrue([
  for statement in flatten([jsondecode(self.assume_role_policy).Statement]) :
    statement.Effect == "Allow"
    && contains(flatten([try(statement.Principal.Service, [])]), ${service})
    && anytrue([
      for action in flatten([try(statement.Action, [])]) : contains(["sts:assumerole", "sts:*", "*"], lower(action))
    ])
])}`.replaceAll(/\n\s*/g, " ");

/** An existing role, instead of `ExecutionRole` and `UserRoles`. It gets the same policies, and nobody is isolated. */
export class ExistingRole extends Construct implements EnvironmentRole {
  readonly arn: string;
  readonly name: string;
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ExistingRoleProps) {
    super(scope, id);
    const { account, arn } = props;
    const owner = accountOf(arn);
    const service = account.servicePrincipal("sagemaker");
    const found = TerraformSelf.getString("arn");
    const role = new DataAwsIamRole(this, "role", {
      name: arn.slice(arn.lastIndexOf("/") + 1),
      lifecycle: {
        precondition: [
          {
            condition: Op.eq(account.id, owner),
            errorMessage: `existing.executionRoleArn: ${arn} belongs to account ${owner}, but the deployment goes to ${account.id}.`,
          },
        ],
        postcondition: [
          {
            // Role names are unique and looked up without their path.
            condition: Op.eq(found, arn),
            errorMessage: `existing.executionRoleArn: ${arn} does not exist. The role with that name is ${found}.`,
          },
          {
            condition: trusts(service),
            errorMessage:
              `existing.executionRoleArn: ${arn} cannot be assumed by SageMaker. Its trust policy must allow ` +
              `sts:AssumeRole to the service ${service} (SageMaker Developer Guide, "SageMaker execution roles").`,
          },
        ],
      },
    });
    this.arn = role.arn;
    this.name = role.name;
    this.policies = executionPolicies(this, role.name, { ...props, isOnlyRole: true });
  }
}
