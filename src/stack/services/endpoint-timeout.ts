import type { Construct } from "constructs";
import { awsNames } from "../../settings/names.ts";
import { scheduledUserArn, userRoleArn } from "../identity/conditions.ts";
import type { AwsAccount } from "../support/aws-account.ts";
import { checkPrefix } from "../support/prefix.ts";
import { RuleMachine } from "../support/rule-machine.ts";

export interface EndpointTimeoutProps {
  /** Name prefix of every resource, and of the endpoints. Limit: see `checkPrefix`. */
  readonly prefix: string;
  readonly account: AwsAccount;
  /** Value of the tag `Environment`. */
  readonly environment: string;
  /** Age after which an endpoint on instances is deleted. */
  readonly hours: number;
  /** The role of all models, if it exists already. */
  readonly existingRoleArn: string | undefined;
}

/**
 * Looks each hour for endpoints on instances that are too old, and deletes them. Not an execution for each endpoint that
 * waits: it would keep the state machine in `DELETING` during a destroy (AWS re:Post, "Step Functions stuck in DELETING
 * status"). The configuration and the model stay, which cost nothing. An hour without such endpoints takes 5 steps, 0.09
 * US dollars a month (AWS Step Functions pricing).
 */
export class EndpointTimeout extends RuleMachine {
  constructor(scope: Construct, id: string, props: EndpointTimeoutProps) {
    const { account, environment, hours, prefix } = props;
    const own = (kind: string) => account.arn("sagemaker", `${kind}/${prefix}-*`);
    super(scope, id, {
      account,
      name: awsNames(prefix).endpointTimeout,
      roleDescription: "Deletes endpoints on instances after their time-out",
      statements: [
        {
          sid: "FindEndpoints",
          actions: ["sagemaker:ListEndpoints"],
          resources: ["*"],
          condition: [{ test: "StringEquals", variable: "aws:RequestedRegion", values: [account.region] }],
        },
        {
          sid: "DescribeEndpoints",
          actions: [
            ...["Endpoint", "EndpointConfig", "Model"].map((kind) => `sagemaker:Describe${kind}`),
            "sagemaker:ListTags",
          ],
          resources: ["endpoint", "endpoint-config", "model"].map(own),
        },
        {
          // A name of another environment can begin with this prefix. The definition decides on those without a tag.
          sid: "DeleteEndpoints",
          actions: ["sagemaker:DeleteEndpoint"],
          resources: [own("endpoint")],
          condition: [
            { test: "StringEqualsIfExists", variable: "aws:ResourceTag/Environment", values: [environment] },
          ],
        },
      ],
      definition: definition(props),
      rule: {
        description: `Endpoints on instances that are older than ${hours} hours`,
        scheduleExpression: "rate(1 hour)",
      },
    });
    checkPrefix(this, prefix);
  }
}

function definition({ account, environment, existingRoleArn, hours, prefix }: EndpointTimeoutProps): object {
  const ask = (operation: string, parameters: object, more: object) => ({
    Type: "Task",
    Resource: `arn:${account.partition}:states:::aws-sdk:sagemaker:${operation}`,
    Parameters: parameters,
    ...more,
  });
  const query = { NameContains: `${prefix}-`, MaxResults: 100, "CreationTimeBefore.$": "$.before" };
  const all = ["States.ALL"];
  const again = [{ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 2, MaxAttempts: 2 }];
  const roles =
    existingRoleArn === undefined
      ? [userRoleArn, scheduledUserArn].map((arn) => arn(account, prefix, "*"))
      : [existingRoleArn];
  return {
    StartAt: "Limit",
    States: {
      Limit: {
        Type: "Pass",
        // Only JSONata can calculate with times (AWS Step Functions Developer Guide, "Transforming data with JSONata").
        QueryLanguage: "JSONata",
        Output: { before: `{% $fromMillis($millis() - ${hours * 3_600_000}) %}` },
        Next: "Find",
      },
      Find: ask("listEndpoints", query, { ResultPath: "$.page", Next: "Each" }),
      FindMore: ask(
        "listEndpoints",
        { ...query, "NextToken.$": "$.page.NextToken" },
        { ResultPath: "$.page", Next: "Each" },
      ),
      Each: {
        Type: "Map",
        ItemsPath: "$.page.Endpoints",
        MaxConcurrency: 5,
        ResultPath: null,
        Next: "More",
        ItemProcessor: {
          StartAt: "Own name",
          States: {
            "Own name": {
              Type: "Choice",
              Choices: [{ Variable: "$.EndpointName", StringMatches: `${prefix}-*`, Next: "Endpoint" }],
              Default: "Left",
            },
            Endpoint: ask(
              "describeEndpoint",
              { "EndpointName.$": "$.EndpointName" },
              { Next: "On instances", Catch: [{ ErrorEquals: all, Next: "Left" }] },
            ),
            "On instances": {
              Type: "Choice",
              Choices: [
                {
                  And: [
                    { Variable: "$.ProductionVariants[0].VariantName", IsPresent: true },
                    { Variable: "$.ProductionVariants[0].CurrentServerlessConfig", IsPresent: false },
                  ],
                  Next: "Configuration",
                },
              ],
              Default: "Left",
            },
            // Another environment's endpoint has a model with another role. One whose model is gone costs as well: its
            // tag says whose it is, and one without the tag is left.
            Configuration: ask(
              "describeEndpointConfig",
              { "EndpointConfigName.$": "$.EndpointConfigName" },
              {
                ResultSelector: { "variant.$": "States.ArrayGetItem($.ProductionVariants, 0)" },
                ResultPath: "$.config",
                Next: "Model",
                Retry: again,
                Catch: [{ ErrorEquals: all, ResultPath: "$.error", Next: "Gone" }],
              },
            ),
            Model: ask(
              "describeModel",
              { "ModelName.$": "$.config.variant.ModelName" },
              {
                ResultPath: "$.model",
                Next: "Own role",
                Retry: again,
                Catch: [{ ErrorEquals: all, ResultPath: "$.error", Next: "Gone" }],
              },
            ),
            Gone: {
              Type: "Choice",
              // Only that: another error does not tell whose endpoint it is.
              Choices: [{ Variable: "$.error.Cause", StringMatches: "*ould not find*", Next: "Tags" }],
              Default: "Left",
            },
            "Own role": {
              Type: "Choice",
              Choices: roles.map((role) => ({
                Variable: "$.model.ExecutionRoleArn",
                StringMatches: role,
                // Other environments can have the same existing role.
                Next: existingRoleArn === undefined ? "Delete" : "Tags",
              })),
              Default: "Left",
            },
            Tags: {
              Type: "Task",
              Resource: `arn:${account.partition}:states:::aws-sdk:sagemaker:listTags`,
              QueryLanguage: "JSONata",
              Arguments: { ResourceArn: "{% $states.input.EndpointArn %}" },
              Output: {
                EndpointName: "{% $states.input.EndpointName %}",
                isOwn: `{% $exists($states.result.Tags[Key = 'Environment' and Value = '${environment}']) %}`,
              },
              Catch: [{ ErrorEquals: all, Next: "Left" }],
              Next: "Own tag",
            },
            "Own tag": {
              Type: "Choice",
              Choices: [{ Variable: "$.isOwn", BooleanEquals: true, Next: "Delete" }],
              Default: "Left",
            },
            // SageMaker deletes no endpoint that is being updated. The next hour tries again.
            Delete: ask(
              "deleteEndpoint",
              { "EndpointName.$": "$.EndpointName" },
              { End: true, Catch: [{ ErrorEquals: all, Next: "Left" }] },
            ),
            Left: { Type: "Pass", End: true },
          },
        },
      },
      More: {
        Type: "Choice",
        Choices: [{ Variable: "$.page.NextToken", IsPresent: true, Next: "FindMore" }],
        Default: "Done",
      },
      Done: { Type: "Succeed" },
    },
  };
}
