import { BudgetsBudget } from "@cdktf/provider-aws/lib/budgets-budget/index.js";
import { BudgetsBudgetAction } from "@cdktf/provider-aws/lib/budgets-budget-action/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import type { ResolvedBudget } from "../../settings/guard-rails.ts";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { serviceTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "../support/aws-account.ts";

export interface BudgetProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Value of the tag `Environment`, which costs are filtered by. */
  readonly environment: string;
  readonly budget: ResolvedBudget;
  /** Roles that AWS Budgets prevents from starting apps and jobs. @default alerts only */
  readonly stop?:
    | {
        /** ARNs of the roles; `*` stands for any characters. */
        readonly roleArns: readonly string[];
        /** Lists of the names of the roles. Limit: 100 names (AWS Budgets API, IamActionDefinition, `Roles`). */
        readonly roleNames: readonly (readonly string[])[];
        readonly policy: BudgetStopPolicy;
        readonly atPercent: number;
      }
    | undefined;
}

/**
 * Policy that AWS Budgets attaches to everybody's roles, and to that of the scheduler, when the budget is spent. A sweep
 * that runs starts no further job: SageMaker Pipelines starts them as the user. The policy is separate from `Budget` because the
 * roles must be destroyed first: an attached policy cannot be deleted, and Terraform does not know of the attachment.
 */
export class BudgetStopPolicy extends Construct {
  readonly policy: IamPolicy;

  constructor(scope: Construct, id: string, props: Pick<BudgetProps, "prefix" | "account">) {
    super(scope, id);
    const document = new DataAwsIamPolicyDocument(this, "document", {
      statement: [
        {
          sid: "BudgetIsSpent",
          effect: "Deny",
          actions: [
            "athena:StartQueryExecution",
            "bedrock:InvokeModel*",
            "sagemaker:CreateApp",
            "sagemaker:CreateEndpoint",
            "sagemaker:CreateHyperParameterTuningJob",
            "sagemaker:CreateProcessingJob",
            "sagemaker:CreateTrainingJob",
            "sagemaker:CreateTransformJob",
            "sagemaker:RetryPipelineExecution",
            "sagemaker:StartPipelineExecution",
          ],
          resources: [
            props.account.arn("athena", "workgroup/*"),
            `arn:${props.account.partition}:bedrock:*:*:*`,
            ...[
              "app",
              "endpoint",
              "hyper-parameter-tuning-job",
              "pipeline",
              "processing-job",
              "training-job",
              "transform-job",
            ].map((kind) => props.account.arn("sagemaker", `${kind}/*`)),
          ],
        },
      ],
    });
    this.policy = new IamPolicy(this, "policy", {
      name: `${props.prefix}-budget-stop`,
      // A change would replace the policy, which cannot go while AWS Budgets has attached it.
      description: "AWS Budgets attaches this to the execution role when the budget is spent",
      policy: document.json,
    });
  }
}

/** A monthly budget for resources with the environment's tag, with alerts and an optional action. */
export class Budget extends Construct {
  constructor(scope: Construct, id: string, props: BudgetProps) {
    super(scope, id);
    const { account, budget, prefix, stop } = props;
    const { name } = new BudgetsBudget(this, "budget", {
      name: prefix,
      // A user's tag is written so (AWS Budgets API, `CostFilters`).
      ...monthlyCost(budget, `user:Environment$${props.environment}`),
    });
    if (stop === undefined) return;

    const { policy, roleArns } = stop;
    const { attachPolicy, role } = attachingRole(this, {
      account,
      name: `${prefix}-budget`,
      policy,
      roleArns,
    });
    new BudgetsBudgetAction(this, "stop", {
      budgetName: name,
      ...stopAction(budget, policy, stop.atPercent, Token.asList(Fn.concat([...stop.roleNames]))),
      executionRoleArn: role.arn,
      dependsOn: [attachPolicy],
    });
  }
}

/** The parts of a budget for what has a tag, which is written as in the class above. */
export const monthlyCost = (budget: ResolvedBudget, tag: string) => ({
  budgetType: "COST",
  limitAmount: String(budget.monthlyUsd),
  limitUnit: "USD",
  timeUnit: "MONTHLY",
  costFilter: [{ name: "TagKeyValue", values: [tag] }],
  notification: budget.alertPercents.map((threshold) => ({
    comparisonOperator: "GREATER_THAN",
    notificationType: "ACTUAL",
    threshold,
    thresholdType: "PERCENTAGE",
    subscriberEmailAddresses: [...budget.alertAddresses],
  })),
});

/** The parts of an action that attaches the policy to roles. */
export const stopAction = (
  budget: ResolvedBudget,
  { policy }: BudgetStopPolicy,
  atPercent: number,
  roles: string[],
) => ({
  actionType: "APPLY_IAM_POLICY",
  approvalModel: "AUTOMATIC",
  notificationType: "ACTUAL",
  actionThreshold: { actionThresholdType: "PERCENTAGE", actionThresholdValue: atPercent },
  definition: { iamActionDefinition: { policyArn: policy.arn, roles } },
  subscriber: budget.alertAddresses.map((address) => ({ address, subscriptionType: "EMAIL" })),
});

/** The role with which AWS Budgets attaches the policy to these roles. */
export function attachingRole(
  scope: Construct,
  props: {
    readonly account: AwsAccount;
    readonly name: string;
    readonly policy: BudgetStopPolicy;
    readonly roleArns: readonly string[];
  },
) {
  const { account, name, policy, roleArns } = props;
  const trust = new DataAwsIamPolicyDocument(scope, "trust", {
    statement: [
      serviceTrust({
        sid: "Budgets",
        account,
        service: account.servicePrincipal("budgets"),
        sourceArn: `arn:${account.partition}:budgets::${account.id}:budget/*`,
      }),
    ],
  });
  const role = new IamRole(scope, "role", {
    name,
    description: "Attaches the policy that keeps apps from starting, and takes it off again",
    assumeRolePolicy: trust.json,
  });
  const attach = new DataAwsIamPolicyDocument(scope, "attach_document", {
    statement: [
      {
        sid: "TheOnePolicyOnTheseRoles",
        actions: ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        resources: [...roleArns],
        condition: [{ test: "ArnEquals", variable: "iam:PolicyARN", values: [policy.policy.arn] }],
      },
    ],
  });
  const attachPolicy = new IamRolePolicy(scope, "attach", {
    name: "attach",
    role: role.name,
    policy: attach.json,
  });
  onlyInlinePolicies(role, [attachPolicy]);
  return { attachPolicy, role };
}
