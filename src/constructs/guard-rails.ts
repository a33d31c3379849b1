import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy/index.js";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { AwsAccount } from "./aws-account.ts";

export interface GuardRailsProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Role that Studio acts as for people. */
  readonly roleName: string;
  /** @default every type */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
  /** @default any number */
  readonly maximumSpacesPerUser?: number | undefined;
  /** Tags that spaces and apps have by their domain, and that must keep their values. */
  readonly requiredTags: Readonly<Record<string, string>>;
}

/**
 * What the execution role may not do, whatever else allows it. A managed policy for each: a role's inline policies have
 * 10240 characters together, a managed one 6144 of its own (IAM User Guide, "IAM and AWS STS quotas").
 */
export class GuardRails extends Construct {
  /** What a domain has to wait for. */
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

/** IAM cannot count, but it can name: as many names a person as spaces. Whoever is no person of Studio gets none. */
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
