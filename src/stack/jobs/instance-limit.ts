import type { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { RuleMachine } from "../support/rule-machine.ts";

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
 * does. It costs 0.025 US dollars for 1,000 steps, of which each such job takes two.
 * (SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"; AWS Step Functions pricing.)
 */
export class InstanceLimit extends RuleMachine {
  constructor(scope: Construct, id: string, props: InstanceLimitProps) {
    const { account, maximum, prefix } = props;
    super(scope, id, {
      account,
      name: awsNames(prefix).instanceLimit,
      roleDescription: "Stops jobs that have more instances than allowed",
      statements: [
        {
          sid: "StopJobs",
          actions: Object.keys(kinds).map((kind) => `sagemaker:Stop${kind}Job`),
          resources: Object.keys(kinds).map((kind) =>
            account.arn("sagemaker", `${kind.toLowerCase()}-job/${prefix}-*`),
          ),
        },
      ],
      definition: definition(account),
      rule: {
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
      },
    });
    checkPrefix(this, prefix);
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
