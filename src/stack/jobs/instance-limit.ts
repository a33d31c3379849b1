import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule/index.js";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target/index.js";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document/index.js";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role/index.js";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy/index.js";
import { SfnStateMachine } from "@cdktf/provider-aws/lib/sfn-state-machine/index.js";
import { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import { serviceTrust } from "../identity/service-trust.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { skipChecks } from "../support/skip-checks.ts";

export interface InstanceLimitProps {
  /** Name prefix of every resource, and of the jobs. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Instances of a job. A job with more is stopped. */
  readonly maximum: number;
}

/** By the kind of job, where its event has the number of instances: the event has what Describe…Job answers. */
const kinds = {
  Processing: ["ProcessingResources", "ClusterConfig", "InstanceCount"],
  Training: ["ResourceConfig", "InstanceCount"],
  Transform: ["TransformResources", "InstanceCount"],
} as const;

/**
 * Stops a job of the environment that has more instances than allowed, as soon as SageMaker reports it. IAM cannot refuse
 * it: it has no condition key for the number (Service Authorization Reference, Amazon SageMaker AI). The instances start
 * for some minutes, which are billed. EventBridge has no target that stops a job, so a state machine of Step Functions
 * does. It needs no function to maintain, and costs 0.025 US dollars for 1,000 steps, of which each such job takes two.
 * (SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"; AWS Step Functions pricing.)
 */
export class InstanceLimit extends Construct {
  constructor(scope: Construct, id: string, props: InstanceLimitProps) {
    super(scope, id);
    const { account, maximum, prefix } = props;
    checkPrefix(this, prefix);
    const name = awsNames(prefix).instanceLimit;
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
          sourceArn: account.arn("states", `stateMachine:${name}`),
        }),
      ],
    });
    const role = new IamRole(this, "role", {
      name,
      description: "Stops jobs that have more instances than allowed",
      assumeRolePolicy: trust.json,
    });
    const document = new DataAwsIamPolicyDocument(this, "document", {
      statement: [
        {
          sid: "Start",
          actions: ["states:StartExecution"],
          resources: [account.arn("states", `stateMachine:${name}`)],
        },
        {
          sid: "StopJobs",
          actions: Object.keys(kinds).map((kind) => `sagemaker:Stop${kind}Job`),
          resources: Object.keys(kinds).map((kind) =>
            account.arn("sagemaker", `${kind.toLowerCase()}-job/${prefix}-*`),
          ),
        },
      ],
    });
    const policy = new IamRolePolicy(this, "policy", {
      name: "stop",
      role: role.name,
      policy: document.json,
    });
    const machine = new SfnStateMachine(this, "machine", {
      name,
      roleArn: role.arn,
      definition: JSON.stringify(definition(account)),
      dependsOn: [policy],
    });
    skipChecks(machine, {
      CKV_AWS_284: "Its history has each execution, and no trace would say more: it makes one call",
      CKV_AWS_285: "Its history keeps each execution for 90 days, with its event and what SageMaker answered",
    });
    const rule = new CloudwatchEventRule(this, "rule", {
      name,
      description: `Jobs with more than ${maximum} instance${maximum === 1 ? "" : "s"}`,
      eventPattern: JSON.stringify({
        source: ["aws.sagemaker"],
        "detail-type": Object.keys(kinds).map((kind) => `SageMaker ${kind} Job State Change`),
        detail: {
          $or: Object.entries(kinds).map(([kind, path]) => ({
            [`${kind}JobName`]: [{ prefix: `${prefix}-` }],
            [`${kind}JobStatus`]: ["InProgress"],
            ...path.reduceRight<object>((inner, key) => ({ [key]: inner }), [{ numeric: [">", maximum] }]),
          })),
        },
      }),
    });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      targetId: "stop",
      arn: machine.arn,
      roleArn: role.arn,
    });
  }
}

/** Calls the action that stops this kind of job. A job that has ended meanwhile is left as it is. */
function definition(account: AwsAccount): object {
  const names = Object.keys(kinds);
  return {
    StartAt: "Kind",
    States: {
      Kind: {
        Type: "Choice",
        Choices: names.map((kind) => ({
          Variable: `$.detail.${kind}JobName`,
          IsPresent: true,
          Next: kind,
        })),
      },
      ...Object.fromEntries(
        names.map((kind) => [
          kind,
          {
            Type: "Task",
            Resource: `arn:${account.partition}:states:::aws-sdk:sagemaker:stop${kind}Job`,
            Parameters: { [`${kind}JobName.$`]: `$.detail.${kind}JobName` },
            Retry: [{ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 5, MaxAttempts: 3 }],
            End: true,
          },
        ]),
      ),
    },
  };
}
