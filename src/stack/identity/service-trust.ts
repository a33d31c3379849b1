import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import type { Construct } from "constructs";
import type { AwsAccount } from "../support/aws-account.ts";

export interface ServiceTrustProps {
  readonly sid: string;
  readonly account: AwsAccount;
  /** The service's principal: `account.servicePrincipal("sagemaker")`. */
  readonly service: string;
  /** ARN pattern of what the service may act for. */
  readonly sourceArn: string;
}

/**
 * Lets a service assume a role, against the confused deputy only for what it does in this account (IAM User Guide, "The
 * confused deputy problem").
 */
export function serviceTrust(props: ServiceTrustProps): DataAwsIamPolicyDocumentStatement {
  return {
    sid: props.sid,
    actions: ["sts:AssumeRole"],
    principals: [{ type: "Service", identifiers: [props.service] }],
    condition: [
      { test: "StringEquals", variable: "aws:SourceAccount", values: [props.account.id] },
      { test: "ArnLike", variable: "aws:SourceArn", values: [props.sourceArn] },
    ],
  };
}

/** Lets SageMaker assume a role, for this account and Region only. */
export const sagemakerStatement = (account: AwsAccount): DataAwsIamPolicyDocumentStatement =>
  serviceTrust({
    sid: "SageMaker",
    account,
    service: account.servicePrincipal("sagemaker"),
    sourceArn: account.arn("sagemaker", "*"),
  });

/** Trust policy of a role that only SageMaker assumes. */
export const sagemakerTrust = (scope: Construct, id: string, account: AwsAccount): DataAwsIamPolicyDocument =>
  new DataAwsIamPolicyDocument(scope, id, { statement: [sagemakerStatement(account)] });
