import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { ManagedPolicy } from "../identity/managed-policy.ts";
import type { AwsAccount } from "../support/aws-account.ts";

export interface GuardRailsProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Lists of the names of the roles that Studio assumes for users. */
  readonly roles: readonly (readonly string[])[];
  /** @default every type */
  readonly allowedInstanceTypes?: readonly string[] | undefined;
  /** @default any number */
  readonly maximumSpacesPerUser?: number | undefined;
  /** Tags that spaces and apps inherit from the domain, jobs are created with, and whose values must not change. */
  readonly requiredTags: Readonly<Record<string, string>>;
}

/** What everybody is denied, each in a policy of its own. */
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
        const { json } = new DataAwsIamPolicyDocument(this, `${name}_document`, {
          statement: [...statement],
        });
        const policyName = `${props.prefix}-guard-rails-${name.replaceAll("_", "-")}`;
        return new ManagedPolicy(this, name, { name: policyName, json, roles: props.roles }).attachment;
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
    actions: ["AddTags", "CreateApp", "CreatePipeline", "CreateProcessingJob", "CreateSpace"].map(
      (action) => `sagemaker:${action}`,
    ),
    resources: [account.arn("sagemaker", "*")],
    condition: [
      { test: "Null", variable: `aws:RequestTag/${key}`, values: ["false"] },
      { test: "StringNotEquals", variable: `aws:RequestTag/${key}`, values: [value] },
    ],
  }));
}
