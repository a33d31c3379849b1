import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy/index.js";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "../support/aws-account.ts";

export interface GuardRailsProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Role that Studio assumes for users. */
  readonly roleName: string;
  /** @default every type */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
  /** @default any number */
  readonly maximumSpacesPerUser?: number | undefined;
  /** Tags that spaces and apps inherit from the domain and whose values must not change. */
  readonly requiredTags: Readonly<Record<string, string>>;
}

/**
 * What the execution role is denied. Each is a managed policy: inline policies of a role share 10240 characters, while each
 * managed policy has 6144 (IAM User Guide, "IAM and AWS STS quotas").
 */
export class GuardRails extends Construct {
  /** A domain must depend on them. */
  readonly policies: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: GuardRailsProps) {
    super(scope, id);
    const documents: Readonly<Record<string, readonly DataAwsIamPolicyDocumentStatement[]>> = {
      instance_types: otherInstanceTypes(props),
      spaces: furtherSpaces(props),
      tags: otherTagValues(props),
    };
    this.policies = Object.entries(documents)
      .filter(([, statement]) => statement.length > 0)
      .map(([name, statement]) => {
        const document = new DataAwsIamPolicyDocument(this, `${name}_document`, {
          statement: [...statement],
        });
        const policy = new IamPolicy(this, `${name}_policy`, {
          name: `${props.prefix}-guard-rail-${name.replaceAll("_", "-")}`,
          policy: document.json,
        });
        return new IamRolePolicyAttachment(this, name, { role: props.roleName, policyArn: policy.arn });
      });
  }
}

/**
 * A request without a type gets its person's default, which is allowed. The key has several values (Service
 * Authorization Reference, "Amazon SageMaker"), so one other type is enough to refuse.
 */
function otherInstanceTypes({
  account,
  allowedInstanceTypes,
}: GuardRailsProps): DataAwsIamPolicyDocumentStatement[] {
  if (allowedInstanceTypes === undefined) return [];
  return [
    {
      sid: "OtherInstanceTypes",
      effect: "Deny",
      actions: ["sagemaker:CreateApp", "sagemaker:CreateSpace", "sagemaker:UpdateSpace"],
      resources: [account.arn("sagemaker", "app/*"), account.arn("sagemaker", "space/*")],
      condition: [
        {
          test: "ForAnyValue:StringNotEquals",
          variable: "sagemaker:InstanceTypes",
          values: [...allowedInstanceTypes],
        },
      ],
    },
  ];
}

/** IAM cannot count, but it can compare names: a user has as many names as spaces. Principals that are not Studio users are denied. */
function furtherSpaces({
  account,
  maximumSpacesPerUser,
}: GuardRailsProps): DataAwsIamPolicyDocumentStatement[] {
  if (maximumSpacesPerUser === undefined) return [];
  const numbers = Array.from({ length: maximumSpacesPerUser }, (_, index) => index + 1);
  return [
    {
      sid: "SpacesByOtherNames",
      effect: "Deny",
      actions: ["sagemaker:CreateSpace"],
      notResources: numbers.map((number) =>
        account.arn("sagemaker", `space/&{sagemaker:DomainId}/&{sagemaker:UserProfileName}-${number}`),
      ),
    },
  ];
}

/** Only where a request has the tag: what Studio creates has none of its own, and takes the domain's. */
function otherTagValues({ account, requiredTags }: GuardRailsProps): DataAwsIamPolicyDocumentStatement[] {
  return Object.entries(requiredTags).map(([key, value], index) => ({
    sid: `OtherTagValue${index + 1}`,
    effect: "Deny",
    actions: ["sagemaker:AddTags", "sagemaker:CreateApp", "sagemaker:CreateSpace"],
    resources: [account.arn("sagemaker", "app/*"), account.arn("sagemaker", "space/*")],
    condition: [
      { test: "Null", variable: `aws:RequestTag/${key}`, values: ["false"] },
      { test: "StringNotEquals", variable: `aws:RequestTag/${key}`, values: [value] },
    ],
  }));
}
