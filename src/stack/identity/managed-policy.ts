import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy/index.js";
import { IamPolicyAttachment } from "@cdktf/provider-aws/lib/iam-policy-attachment/index.js";
import { Fn, type ITerraformDependable, Token } from "cdktf";
import { Construct } from "constructs";

export interface ManagedPolicyProps {
  /** Limit: 128 characters (IAM API, `policyNameType`). */
  readonly name: string;
  /** The document. Limit: 6,144 characters without white space (IAM User Guide, "IAM and AWS STS quotas"). */
  readonly json: string;
  /** Lists of the names of roles. */
  readonly roles: readonly (readonly string[])[];
  /** The roles that are listed by a name which does not refer to them. @default none */
  readonly dependsOn?: readonly ITerraformDependable[] | undefined;
}

/**
 * A managed policy of the stack's own with all roles that have it. Inline policies of a role share 10,240 characters,
 * while a role can have 10 managed policies with 6,144 each (IAM User Guide, "IAM and AWS STS quotas"). The attachment is
 * one resource however many roles there are, and detaches the policy from any role that is not listed.
 */
export class ManagedPolicy extends Construct {
  readonly attachment: ITerraformDependable;

  constructor(scope: Construct, id: string, props: ManagedPolicyProps) {
    super(scope, id);
    const policy = new IamPolicy(this, "policy", { name: props.name, policy: props.json });
    const [only, ...others] = props.roles.filter((roles) => roles.length > 0);
    this.attachment = new IamPolicyAttachment(this, "attachment", {
      name: props.name,
      policyArn: policy.arn,
      roles: others.length === 0 ? [...(only ?? [])] : Token.asList(Fn.concat([only, ...others])),
      ...(props.dependsOn === undefined ? {} : { dependsOn: [...props.dependsOn] }),
    });
  }
}
