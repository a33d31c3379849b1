import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic/index.js";
import { Fn, type MapTerraformIterator } from "cdktf";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";

export interface UserTopicsProps {
  /** Name prefix of the topics. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** The names of the user profiles are its keys. */
  readonly userProfiles: MapTerraformIterator;
  readonly encryptionKeyArn: string;
}

/**
 * A topic for each user, with the name of the user's role: their jobs publish to it, and they add their addresses with
 * `marimo-job notify`. No subscription is in Terraform's state.
 */
export class UserTopics extends Construct {
  constructor(scope: Construct, id: string, props: UserTopicsProps) {
    super(scope, id);
    const { account, prefix, userProfiles } = props;
    checkPrefix(this, prefix);
    const user = Fn.lower(userProfiles.key);
    const nameOf = (one: string) => awsNames(prefix).user(one);
    // No user is named so: names in lower case are put in its place.
    const placeholder = "USER";
    // Only IAM allows: SNS's own default policy allows everybody in the account (Amazon SNS API, CreateTopic, Policy).
    const policy = new DataAwsIamPolicyDocument(this, "policy", {
      statement: [
        {
          sid: "AccountAdministration",
          actions: ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:Publish", "sns:Subscribe"],
          resources: [account.arn("sns", nameOf(placeholder))],
          principals: [{ type: "AWS", identifiers: [account.rootArn] }],
        },
      ],
    });
    new SnsTopic(this, "topic", {
      forEach: userProfiles,
      name: nameOf(user),
      kmsMasterKeyId: props.encryptionKeyArn,
      policy: Fn.replace(policy.json, nameOf(placeholder), nameOf(user)),
    });
  }
}
