import { DataAwsIamPolicy } from "@cdktf/provider-aws/lib/data-aws-iam-policy/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { Aspects, Op } from "cdktf";
import { Construct, type IConstruct } from "constructs";
import { accountOf } from "../../settings/arns.ts";
import type { AwsAccount } from "../support/aws-account.ts";

export interface PermissionsBoundaryProps {
  readonly account: AwsAccount;
  readonly arn: string;
}

/** Bounds every role of the scope that it is made in, whichever construct makes it and whenever. */
export class PermissionsBoundary extends Construct {
  constructor(scope: Construct, id: string, props: PermissionsBoundaryProps) {
    super(scope, id);
    const { account, arn } = props;
    const owner = accountOf(arn);
    const policy = new DataAwsIamPolicy(this, "policy", {
      arn,
      lifecycle: {
        precondition: [
          {
            condition: Op.or(owner === "aws", Op.eq(account.id, owner)),
            errorMessage:
              `permissionsBoundaryArn: ${arn} is a policy of account ${owner}, and these roles are of ${account.id}. ` +
              "IAM takes a boundary of the role's own account, or one of AWS's own policies.",
          },
        ],
      },
    });
    Aspects.of(scope).add({
      visit: (node: IConstruct) => {
        if (node instanceof IamRole) node.permissionsBoundary = policy.arn;
      },
    });
  }
}
