import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import {
  CreateStateMachineCommand,
  SFNClient,
  ValidateStateMachineDefinitionCommand,
} from "@aws-sdk/client-sfn";
import type { LocalAws } from "../../src/local-studio/local-aws.ts";
import {
  accountId,
  asIam,
  dnsSuffix,
  partition,
  resource,
  type Synthesized,
  statements,
} from "./synthesize.ts";

export interface RuleMachineProps {
  readonly stack: Synthesized;
  /** Beginning of the addresses of the construct's resources. */
  readonly id: string;
  /** Of the rule, the state machine and the role. */
  readonly name: string;
  /** Changes the definition, such as its waiting time. @default the stack's own */
  readonly edit?: (definition: string) => string;
}

/** A rule and its state machine, as a stack has them, on a local AWS. */
export class RuleMachine {
  readonly definition: string;
  private readonly props: RuleMachineProps;
  private readonly iam: IAMClient;
  private readonly sfn: SFNClient;
  private readonly events: EventBridgeClient;

  constructor(localAws: LocalAws, props: RuleMachineProps) {
    const settings = localAws.clientSettings();
    this.props = props;
    this.iam = new IAMClient(settings);
    this.sfn = new SFNClient(settings);
    this.events = new EventBridgeClient(settings);
    const { definition } = resource(props.stack, "aws_sfn_state_machine", `${props.id}_machine`);
    this.definition = (props.edit ?? ((text) => text))(known(definition));
  }

  /** Creates all but the policy of the role. */
  async create(): Promise<void> {
    const { id, name, stack } = this.props;
    const roleArn = `arn:aws:iam::123456789012:role/${name}`;
    await this.iam.send(
      new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: this.policy("trust") }),
    );
    const { stateMachineArn } = await this.sfn.send(
      new CreateStateMachineCommand({ name, roleArn, definition: this.definition }),
    );
    const rule = resource(stack, "aws_cloudwatch_event_rule", `${id}_rule`);
    const { event_pattern: pattern, schedule_expression: expression } = rule;
    await this.events.send(
      new PutRuleCommand({
        Name: name,
        EventPattern: pattern === undefined ? undefined : known(pattern),
        ScheduleExpression: expression === undefined ? undefined : String(expression),
      }),
    );
    const target = { Id: "stop", Arn: stateMachineArn, RoleArn: roleArn };
    await this.events.send(new PutTargetsCommand({ Rule: name, Targets: [target] }));
  }

  async allow(): Promise<void> {
    const { name } = this.props;
    const document = { RoleName: name, PolicyName: "stop", PolicyDocument: this.policy("document") };
    await this.iam.send(new PutRolePolicyCommand(document));
  }

  /** What Step Functions says of a definition. */
  async check(definition: string): Promise<string | undefined> {
    return (await this.sfn.send(new ValidateStateMachineDefinitionCommand({ definition }))).result;
  }

  private policy(document: string): string {
    const { id, stack } = this.props;
    return known(asIam(Object.values(statements(stack, `${id}_${document}`))));
  }
}

const known = (text: unknown) =>
  String(text)
    .replaceAll(partition, "aws")
    .replaceAll(dnsSuffix, "amazonaws.com")
    .replaceAll(accountId, "123456789012")
    .replaceAll(/\$\{data\.aws_service_principal\.account_service_(\w+)\.name\}/g, "$1.amazonaws.com");
