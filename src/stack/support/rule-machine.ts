import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule/index.js";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target/index.js";
import type { DataAwsIamPolicyDocumentStatement } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { SfnStateMachine } from "@cdktf/provider-aws/lib/sfn-state-machine/index.js";
import { Construct } from "constructs";
import { onlyInlinePolicies } from "../identity/inline-policies.ts";
import { serviceTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "./aws-account.ts";

export interface RuleMachineProps {
  readonly account: AwsAccount;
  /** Of the rule, the state machine and their role. */
  readonly name: string;
  readonly roleDescription: string;
  /** What the state machine may do. */
  readonly statements: readonly DataAwsIamPolicyDocumentStatement[];
  readonly definition: object;
  readonly rule: {
    readonly description: string;
    readonly eventPattern?: string;
    readonly scheduleExpression?: string;
  };
}

/** A rule of EventBridge that starts a state machine of Step Functions. It needs no function to maintain. */
export class RuleMachine extends Construct {
  constructor(scope: Construct, id: string, props: RuleMachineProps) {
    super(scope, id);
    const { account, name } = props;
    const machineArn = account.arn("states", `stateMachine:${name}`);
    const trust = new DataAwsIamPolicyDocument(this, "trust", {
      statement: [
        serviceTrust({
          sid: "Rule",
          account,
          service: account.servicePrincipal("events"),
          sourceArn: account.arn("events", `rule/${name}`),
        }),
        serviceTrust({
          sid: "StateMachine",
          account,
          service: account.servicePrincipal("states"),
          sourceArn: machineArn,
        }),
      ],
    });
    const role = new IamRole(this, "role", {
      name,
      description: props.roleDescription,
      assumeRolePolicy: trust.json,
    });
    const document = new DataAwsIamPolicyDocument(this, "document", {
      statement: [
        { sid: "Start", actions: ["states:StartExecution"], resources: [machineArn] },
        ...props.statements,
      ],
    });
    const policy = new IamRolePolicy(this, "policy", {
      name: "stop",
      role: role.name,
      policy: document.json,
    });
    onlyInlinePolicies(role, [policy]);
    const machine = new SfnStateMachine(this, "machine", {
      name,
      roleArn: role.arn,
      definition: JSON.stringify(props.definition),
      dependsOn: [policy],
    });
    const rule = new CloudwatchEventRule(this, "rule", { name, ...props.rule });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      targetId: "stop",
      arn: machine.arn,
      roleArn: role.arn,
    });
  }
}
