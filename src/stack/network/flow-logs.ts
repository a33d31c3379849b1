import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { FlowLog } from "@cdktf/provider-aws/lib/flow-log/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import { inRegion } from "../identity/conditions.ts";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { serviceTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "../support/aws-account.ts";

export interface FlowLogsProps {
  readonly prefix: string;
  readonly account: AwsAccount;
  readonly encryptionKeyArn: string;
  readonly vpcId: string;
}

/** A record of every connection in the VPC, accepted or refused. */
export class FlowLogs extends Construct {
  constructor(scope: Construct, id: string, props: FlowLogsProps) {
    super(scope, id);
    const { account, prefix } = props;
    const group = new CloudwatchLogGroup(this, "group", {
      // The key's policy lets CloudWatch Logs use it for groups whose name begins with the prefix.
      name: awsNames(prefix).flowLogGroup,
      retentionInDays: 365,
      kmsKeyId: props.encryptionKeyArn,
    });

    const trust = new DataAwsIamPolicyDocument(this, "trust", {
      statement: [
        serviceTrust({
          sid: "VpcFlowLogs",
          account,
          service: account.servicePrincipal("vpc-flow-logs"),
          sourceArn: account.arn("ec2", "vpc-flow-log/*"),
        }),
      ],
    });
    const role = new IamRole(this, "role", {
      name: awsNames(prefix).flowLogRole,
      description: "Writes the flow logs of the VPC",
      assumeRolePolicy: trust.json,
    });
    const write = new DataAwsIamPolicyDocument(this, "write_document", {
      statement: [
        {
          sid: "WriteToTheGroup",
          actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
          resources: [group.arn, `${group.arn}:*`],
        },
        {
          // A list of all groups (VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs", has `*`). That
          // one group's ARN would grant nothing is a guess.
          sid: "FindTheGroup",
          actions: ["logs:DescribeLogGroups"],
          resources: ["*"],
          condition: inRegion(account.region),
        },
      ],
    });
    const policy = new IamRolePolicy(this, "write", {
      name: "write",
      role: role.name,
      policy: write.json,
    });
    onlyInlinePolicies(role, [policy]);

    new FlowLog(this, "log", {
      vpcId: props.vpcId,
      trafficType: "ALL",
      // `log_group_name` is gone from provider 6.
      logDestinationType: "cloud-watch-logs",
      logDestination: group.arn,
      iamRoleArn: role.arn,
      tags: { Name: `${prefix}-vpc` },
      dependsOn: [policy],
    });
  }
}
