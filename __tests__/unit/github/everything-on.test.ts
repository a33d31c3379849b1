import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import {
  boundaryOf,
  type PolicyDocument,
  policiesOf,
  type RoleName,
  roleDocument,
} from "../../../src/github/roles.ts";
import { inventory } from "../../../src/leftovers/inventory.ts";
import { kindOf } from "../../../src/plan-review/kinds.ts";
import type { ResourceChange } from "../../../src/plan-review/plan.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import { everyEnvironment, everything } from "../../support/every-environment.ts";
import { simulate } from "../../support/policy-simulator.ts";
import {
  accountId,
  type Block,
  partition,
  type Statement,
  type Synthesized,
  synthesize,
} from "../../support/synthesize.ts";

const account = "123456789012";
const { region } = everything;
/** The same settings without internet. */
const closed = {
  ...everything,
  name: "closed",
  egress: "endpoints-only" as const,
  vpcCidr: "10.1.0.0/16",
  services: { ...everything.services, serverlessEndpoints: false },
  // No route to a git server.
  repositories: [],
};
const stacks = () => [everything, closed].map((settings) => ({ settings, stack: synthesize(settings) }));

const arn = (service: string, rest: string) => `arn:aws:${service}:${region}:${account}:${rest}`;
const iam = (rest: string) => `arn:aws:iam::${account}:${rest}`;
const ec2 = (kind: string) => () => arn("ec2", `${kind}/${kind}-0123abcd`);
const bucketArn = (name: string) => `arn:aws:s3:::${name}`;
const named =
  (service: string, kind: string, attribute = "name") =>
  (block: Block) =>
    arn(service, `${kind}${block[attribute]}`);

interface Type {
  /** Actions of the plan role for a resource of the type. */
  readonly read: readonly string[];
  readonly create: readonly string[];
  /** Actions that another environment's resources must be safe from. */
  readonly destroy: readonly string[];
  readonly arn: (block: Block, stack: Synthesized) => string;
  /** Whether the role may destroy it by its name, which no other environment uses. @default by its tag */
  readonly exactName?: true;
}

const split = (service: string, words: string) =>
  words.split(" ").flatMap((word) => (word ? `${service}:${word}` : []));
const type = (service: string, read: string, create: string, destroy: string, of: Type["arn"]): Type => ({
  ...{ read: split(service, read), create: split(service, create), destroy: split(service, destroy) },
  arn: of,
});
const exact = (...props: Parameters<typeof type>): Type => ({ ...type(...props), exactName: true });

/** The bucket that an object or a part of a bucket's configuration belongs to, by its reference. */
const bucketOf = ({ bucket }: Block, stack: Synthesized) => {
  const found = /aws_s3_bucket\.(\w+)\.bucket/.exec(String(bucket))?.[1];
  return bucketArn(String(found === undefined ? bucket : stack.resource.aws_s3_bucket?.[found]?.bucket));
};
const bucket = (read: string, write: string) => exact("s3", read, write, write, bucketOf);
const roleOf = ({ role, role_name }: Block, stack: Synthesized) => {
  const found = /aws_iam_role\.(\w+)\.name/.exec(String(role ?? role_name))?.[1] ?? "";
  return iam(`role/${stack.resource.aws_iam_role?.[found]?.name}`);
};

/** What Terraform's provider asks for, by type. `__tests__/aws/github-roles.test.ts` compares it with real requests. */
const types: Readonly<Record<string, Type>> = {
  aws_athena_workgroup: exact(
    "athena",
    "GetWorkGroup ListTagsForResource",
    "CreateWorkGroup TagResource",
    "DeleteWorkGroup UpdateWorkGroup",
    named("athena", "workgroup/"),
  ),
  aws_bedrock_inference_profile: type(
    "bedrock",
    "GetInferenceProfile ListTagsForResource",
    "CreateInferenceProfile TagResource",
    "DeleteInferenceProfile",
    () => arn("bedrock", "application-inference-profile/abcd1234efgh"),
  ),
  aws_budgets_budget: exact(
    "budgets",
    "ViewBudget ListTagsForResource",
    "ModifyBudget TagResource",
    "ModifyBudget",
    ({ name }) => `arn:aws:budgets::${account}:budget/${name}`,
  ),
  aws_budgets_budget_action: exact(
    "budgets",
    "DescribeBudgetAction ListTagsForResource",
    "CreateBudgetAction TagResource",
    "DeleteBudgetAction",
    ({ budget_name }, { resource }) => {
      const of = Object.entries(resource.aws_budgets_budget ?? {}).find(([id]) =>
        `${budget_name}`.includes(id),
      );
      return `arn:aws:budgets::${account}:budget/${of?.[1].name}/action/1`;
    },
  ),
  aws_cloudtrail: exact(
    "cloudtrail",
    "DescribeTrails GetTrailStatus GetEventSelectors ListTags",
    "CreateTrail AddTags PutEventSelectors StartLogging",
    "DeleteTrail StopLogging UpdateTrail",
    named("cloudtrail", "trail/"),
  ),
  aws_cloudwatch_event_rule: exact(
    "events",
    "DescribeRule ListTagsForResource",
    "PutRule TagResource",
    "DeleteRule",
    named("events", "rule/"),
  ),
  aws_cloudwatch_event_target: exact(
    "events",
    "ListTargetsByRule",
    "PutTargets",
    "RemoveTargets",
    (_, { resource }) =>
      arn("events", `rule/${Object.values(resource.aws_cloudwatch_event_rule ?? {})[0]?.name}`),
  ),
  aws_cloudwatch_log_group: exact(
    "logs",
    "ListTagsForResource",
    "CreateLogGroup PutRetentionPolicy TagResource",
    "DeleteLogGroup",
    named("logs", "log-group:"),
  ),
  aws_cloudwatch_metric_alarm: exact(
    "cloudwatch",
    "DescribeAlarms ListTagsForResource",
    "PutMetricAlarm TagResource",
    "DeleteAlarms",
    named("cloudwatch", "alarm:", "alarm_name"),
  ),
  aws_default_security_group: type(
    "ec2",
    "DescribeSecurityGroups",
    "CreateTags",
    "RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
    ec2("security-group"),
  ),
  aws_eip: type(
    "ec2",
    "DescribeAddresses",
    "AllocateAddress CreateTags",
    "ReleaseAddress",
    ec2("elastic-ip"),
  ),
  aws_flow_log: type(
    "ec2",
    "DescribeFlowLogs",
    "CreateFlowLogs CreateTags",
    "DeleteFlowLogs",
    ec2("vpc-flow-log"),
  ),
  aws_iam_policy: type(
    "iam",
    "GetPolicy GetPolicyVersion",
    "CreatePolicy TagPolicy",
    "DeletePolicy CreatePolicyVersion",
    ({ name }) => iam(`policy/${name}`),
  ),
  aws_iam_policy_attachment: type(
    "iam",
    "ListEntitiesForPolicy",
    "",
    "AttachRolePolicy DetachRolePolicy",
    (_, { resource }) => iam(`role/${Object.values(resource.aws_iam_role ?? {})[0]?.name}`),
  ),
  aws_iam_role: type(
    "iam",
    "GetRole ListRolePolicies ListAttachedRolePolicies",
    "CreateRole TagRole",
    "DeleteRole PutRolePolicy AttachRolePolicy UpdateAssumeRolePolicy PassRole",
    ({ name }) => iam(`role/${name}`),
  ),
  aws_iam_role_policy: type("iam", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy", roleOf),
  aws_iam_role_policies_exclusive: type("iam", "ListRolePolicies", "", "DeleteRolePolicy", roleOf),
  aws_internet_gateway: type(
    "ec2",
    "DescribeInternetGateways",
    "CreateInternetGateway AttachInternetGateway CreateTags",
    "DetachInternetGateway DeleteInternetGateway",
    ec2("internet-gateway"),
  ),
  aws_kms_alias: exact("kms", "", "CreateAlias", "DeleteAlias", named("kms", "")),
  aws_kms_key: type(
    "kms",
    "DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
    "TagResource EnableKeyRotation",
    "ScheduleKeyDeletion PutKeyPolicy",
    () => arn("kms", "key/1234abcd"),
  ),
  aws_nat_gateway: type(
    "ec2",
    "DescribeNatGateways",
    "CreateNatGateway CreateTags",
    "DeleteNatGateway",
    ec2("natgateway"),
  ),
  aws_route: type("ec2", "DescribeRouteTables", "CreateRoute", "DeleteRoute", ec2("route-table")),
  aws_route_table: type(
    "ec2",
    "DescribeRouteTables",
    "CreateRouteTable CreateTags",
    "DeleteRouteTable",
    ec2("route-table"),
  ),
  aws_route_table_association: type(
    "ec2",
    "DescribeRouteTables",
    "AssociateRouteTable",
    "DisassociateRouteTable",
    ec2("route-table"),
  ),
  aws_s3_bucket: bucket(
    "ListBucket GetBucketTagging GetBucketAcl",
    "CreateBucket DeleteBucket PutBucketTagging",
  ),
  aws_s3_bucket_lifecycle_configuration: bucket("GetLifecycleConfiguration", "PutLifecycleConfiguration"),
  aws_s3_bucket_logging: bucket("GetBucketLogging", "PutBucketLogging"),
  aws_s3_bucket_ownership_controls: bucket("GetBucketOwnershipControls", "PutBucketOwnershipControls"),
  aws_s3_bucket_policy: bucket("GetBucketPolicy", "PutBucketPolicy DeleteBucketPolicy"),
  aws_s3_bucket_public_access_block: bucket("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
  aws_s3_bucket_server_side_encryption_configuration: bucket(
    "GetEncryptionConfiguration",
    "PutEncryptionConfiguration",
  ),
  aws_s3_bucket_versioning: bucket("GetBucketVersioning", "PutBucketVersioning"),
  aws_s3_object: exact(
    "s3",
    "GetObject GetObjectTagging",
    "PutObject",
    "DeleteObject",
    (block, stack) =>
      `${bucketOf(block, stack)}/${String(block.key).replace(/^\$\{.*$/, "marimo/payload/file")}`,
  ),
  aws_sagemaker_app_image_config: type(
    "sagemaker",
    "DescribeAppImageConfig ListTags",
    "CreateAppImageConfig AddTags",
    "DeleteAppImageConfig",
    named("sagemaker", "app-image-config/", "app_image_config_name"),
  ),
  aws_sagemaker_domain: type(
    "sagemaker",
    "DescribeDomain ListTags",
    "CreateDomain AddTags",
    "DeleteDomain",
    () => arn("sagemaker", "domain/d-0123456789ab"),
  ),
  aws_sagemaker_image: type(
    "sagemaker",
    "DescribeImage ListTags",
    "CreateImage AddTags",
    "DeleteImage",
    named("sagemaker", "image/", "image_name"),
  ),
  aws_sagemaker_image_version: type(
    "sagemaker",
    "DescribeImageVersion",
    "CreateImageVersion UpdateImageVersion",
    "DeleteImageVersion",
    (_, { resource }) =>
      arn("sagemaker", `image-version/${Object.values(resource.aws_sagemaker_image ?? {})[0]?.image_name}/1`),
  ),
  aws_sagemaker_studio_lifecycle_config: type(
    "sagemaker",
    "DescribeStudioLifecycleConfig ListTags",
    "CreateStudioLifecycleConfig AddTags",
    "DeleteStudioLifecycleConfig",
    named("sagemaker", "studio-lifecycle-config/", "studio_lifecycle_config_name"),
  ),
  aws_sagemaker_user_profile: type(
    "sagemaker",
    "DescribeUserProfile ListTags",
    "CreateUserProfile AddTags",
    "DeleteUserProfile UpdateUserProfile",
    () => arn("sagemaker", "user-profile/d-0123456789ab/ana"),
  ),
  aws_scheduler_schedule: exact(
    "scheduler",
    "GetSchedule",
    "CreateSchedule UpdateSchedule",
    "DeleteSchedule",
    ({ name }, { resource }) =>
      arn(
        "scheduler",
        `schedule/${Object.values(resource.aws_scheduler_schedule_group ?? {})[0]?.name}/${name}`,
      ),
  ),
  aws_scheduler_schedule_group: exact(
    "scheduler",
    "GetScheduleGroup ListTagsForResource",
    "CreateScheduleGroup TagResource",
    "DeleteScheduleGroup",
    named("scheduler", "schedule-group/"),
  ),
  aws_security_group: type(
    "ec2",
    "DescribeSecurityGroups",
    "CreateSecurityGroup AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress CreateTags",
    "DeleteSecurityGroup RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
    ec2("security-group"),
  ),
  aws_sfn_state_machine: exact(
    "states",
    "DescribeStateMachine ListStateMachineVersions ListTagsForResource ValidateStateMachineDefinition",
    "CreateStateMachine TagResource",
    "DeleteStateMachine UpdateStateMachine",
    named("states", "stateMachine:"),
  ),
  aws_sns_topic: exact(
    "sns",
    "GetTopicAttributes ListTagsForResource",
    "CreateTopic SetTopicAttributes TagResource",
    "DeleteTopic",
    named("sns", ""),
  ),
  aws_sns_topic_subscription: exact("sns", "", "Subscribe", "", (_, { resource }) =>
    arn("sns", String(Object.values(resource.aws_sns_topic ?? {})[0]?.name)),
  ),
  aws_sqs_queue: exact(
    "sqs",
    "GetQueueAttributes ListQueueTags",
    "CreateQueue TagQueue",
    "DeleteQueue",
    named("sqs", ""),
  ),
  aws_subnet: type("ec2", "DescribeSubnets", "CreateSubnet CreateTags", "DeleteSubnet", ec2("subnet")),
  aws_vpc: type(
    "ec2",
    "DescribeVpcs DescribeVpcAttribute",
    "CreateVpc CreateTags",
    "DeleteVpc ModifyVpcAttribute",
    ec2("vpc"),
  ),
  aws_vpc_endpoint: type(
    "ec2",
    "DescribeVpcEndpoints DescribePrefixLists",
    "CreateVpcEndpoint CreateTags",
    "DeleteVpcEndpoints",
    ec2("vpc-endpoint"),
  ),
};

/** Terraform's references to the account, to a user's name and to other resources. */
const fill = (text: string) =>
  text
    .replaceAll(accountId, account)
    .replaceAll(partition, "aws")
    .replaceAll(/\$\{(lower\(each\.key\)|each\.key)\}/g, "ana");

type Settings = typeof everything;
const rolesProps = (settings: Settings) => ({
  ...{ environment: resolveEnvironment(settings), account, repository: "our/team" },
});
const documents = (role: RoleName, settings: Settings): readonly PolicyDocument[] =>
  policiesOf[role].map((name) => roleDocument(name, rolesProps(settings)));

/** Actions on a resource that a role is denied. Tags of the resource, and of the request, name the environment. */
function denied(
  policies: readonly PolicyDocument[],
  {
    actions,
    resource,
    tag,
    created = false,
  }: { actions: readonly string[]; resource: string; tag: string; created?: boolean },
): readonly string[] {
  const context = {
    "aws:RequestedRegion": region,
    "aws:RequestTag/Environment": tag,
    "iam:PermissionsBoundary": boundaryOf(rolesProps(everything)),
    "iam:PassedToService": "sagemaker.amazonaws.com",
  };
  const tagged = { ...context, "aws:ResourceTag/Environment": tag };
  return actions
    .filter((action) => {
      const resources = [resource, ...(/:(List|Describe|View)/.test(action) ? ["*"] : [])];
      // A resource that is created has no tags before.
      return !resources.some(
        (one) =>
          simulate({ identity: policies }, { action, resource: one, context: tagged }).allowed ||
          (created && simulate({ identity: policies }, { action, resource: one, context }).allowed),
      );
    })
    .map((action) => `${action} on ${resource}`);
}

interface Resource {
  readonly type: string;
  readonly id: string;
  readonly arn: string;
}

function resourcesOf(stack: Synthesized): readonly Resource[] {
  return Object.entries(stack.resource).flatMap(([name, blocks]) =>
    Object.entries(blocks).flatMap(([id, block]) => {
      const known = types[name];
      return known === undefined ? [] : [{ type: name, id, arn: fill(known.arn(block, stack)) }];
    }),
  );
}

/** Problems of a stack in one of the five places that must know each type. */
function problemsOf(stack: Synthesized, settings: Settings): readonly string[] {
  const own = Object.keys(stack.resource).filter((name) => name.startsWith("aws_"));
  const [plan, apply] = (["plan", "apply"] as const).map((role) => documents(role, settings)) as [
    readonly PolicyDocument[],
    readonly PolicyDocument[],
  ];
  return [
    ...own
      .filter((name) => types[name] === undefined)
      .map((name) => `${name} has no entry in this test: which actions?`),
    ...own
      .filter((name) => inventory[name] === undefined)
      .map((name) => `${name} is not in src/leftovers/inventory.ts`),
    ...own
      .filter(
        (name) =>
          kindOf({ type: name, address: `${name}.x`, change: {} } as unknown as ResourceChange).concern ===
          "Other",
      )
      .map((name) => `${name} is not in src/plan-review/kinds.ts`),
    ...resourcesOf(stack).flatMap(({ type: name, arn: resource }) => {
      const { read = [], create = [], destroy = [] } = types[name] ?? {};
      const tag = settings.name;
      // iam:PassRole and KMS's alias of a key are checked with their own resources.
      return [
        ...denied(plan, { actions: read, resource, tag }).map((one) => `the plan role cannot ${one}`),
        ...denied(apply, { actions: [...read, ...create], resource, tag, created: true }).map(
          (one) => `the apply role cannot ${one}`,
        ),
        ...denied(apply, { actions: name === "aws_s3_object" ? [] : destroy, resource, tag }).map(
          (one) => `the apply role cannot ${one}`,
        ),
        ...(denied(plan, { actions: [...create, ...destroy], resource, tag, created: true }).length ===
        create.length + destroy.length
          ? []
          : [`the plan role can change ${resource}`]),
      ];
    }),
  ];
}

describe("everything on", () => {
  it("is valid, and is scanned by checkov", () => {
    expect(validateEnvironments([everything, closed])).toEqual([]);
    expect(everyEnvironment).toContain(everything);
  });

  it("is known to both roles, to the leftovers' inventory and to plan reviews", () => {
    for (const { stack, settings } of stacks()) {
      expect(resourcesOf(stack).length).toBeGreaterThan(50);
      expect(problemsOf(stack, settings)).toEqual([]);
    }
  });

  it("reports a type that is forgotten, in each place, and a name that the roles do not know", () => {
    const { stack } = stacks()[0] ?? {};
    if (stack === undefined) throw new Error("no stack");
    const forgotten = {
      ...stack,
      resource: { ...stack.resource, aws_glue_catalog_database: { tables: { name: "marimo-x" } } },
    };
    expect(problemsOf(forgotten, everything)).toEqual([
      expect.stringContaining("aws_glue_catalog_database has no entry in this test"),
      expect.stringContaining("inventory.ts"),
      expect.stringContaining("kinds.ts"),
    ]);
    const renamed = { ...stack, resource: { aws_sqs_queue: { queue: { name: "marimo-all-other" } } } };
    expect(problemsOf(renamed, everything)).toContainEqual(
      `the apply role cannot sqs:CreateQueue on ${arn("sqs", "marimo-all-other")}`,
    );
  });

  it("is not touched by the apply role of another environment", () => {
    const apply = documents("apply", everything);
    const touched = resourcesOf(synthesize(closed)).flatMap(({ type: name, arn: resource }) => {
      const { destroy = [] } = types[name] ?? {};
      const refused = denied(apply, { actions: destroy, resource, tag: closed.name });
      return destroy
        .filter((action) => !refused.includes(`${action} on ${resource}`))
        .map((action) => `${action} ${resource}`);
    });
    expect(touched).toEqual([]);
    const control = resourcesOf(synthesize(everything)).find(({ type: name }) => name === "aws_vpc");
    expect(
      denied(apply, { actions: ["ec2:DeleteVpc"], resource: control?.arn ?? "", tag: everything.name }),
    ).toEqual([]);
  });
});

describe("the permissions boundary", () => {
  const boundary = () => [roleDocument("boundary", rolesProps(everything))];
  const allowedActions = ({ data }: Synthesized) =>
    Object.values(data.aws_iam_policy_document ?? {}).flatMap(({ statement = [] }) =>
      (statement as Statement[])
        .filter(({ effect, principals }) => effect !== "Deny" && principals === undefined)
        .flatMap(({ actions = [], condition = [] }) => actions.map((action) => ({ action, condition }))),
    );

  it("leaves each role of the stack every action that its policies allow", () => {
    const problems = stacks().flatMap(({ stack, settings }) =>
      allowedActions(stack).flatMap(({ action }) => {
        const resource = action.startsWith("iam:")
          ? iam("role/marimo-all-execution")
          : "arn:aws:x:us-east-1:1:x";
        const context = { "iam:PolicyARN": iam("policy/marimo-all-budget-stop") };
        return simulate({ identity: boundary() }, { action, resource, context }).allowed
          ? []
          : [`${settings.name}: ${action}`];
      }),
    );
    expect(problems).toEqual([]);
    expect(allowedActions(synthesize(everything)).length).toBeGreaterThan(40);
  });

  it.each([
    ["iam:CreateRole", iam("role/marimo-all-x"), {}],
    [
      "iam:AttachRolePolicy",
      iam("role/marimo-all-x"),
      { "iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess" },
    ],
    ["sts:AssumeRole", iam("role/admin"), {}],
    ["s3:GetObject", bucketArn("acme-terraform/sagemaker-marimo/prod.tfstate"), {}],
    [
      "sagemaker:DeleteDomain",
      arn("sagemaker", "domain/d-1"),
      { "aws:ResourceTag/Project": "sagemaker-marimo", "aws:ResourceTag/Environment": "prod" },
    ],
  ])("keeps a role from %s", (action, resource, context) => {
    expect(simulate({ identity: boundary() }, { action, resource, context }).allowed).toBe(false);
  });
});

describe("the leftovers' inventory", () => {
  const folder = join(projectFolder, "src/leftovers");
  const sources = readdirSync(folder)
    .filter((name) => name !== "inventory.ts")
    .map((name) => readFileSync(join(folder, name), "utf8"));

  it("has only kinds that the search lists, and types that exist in the stack", () => {
    const kinds = new Set(
      sources.flatMap((text) => [...text.matchAll(/\bkind: "([^"]+)"/g)].map(([, kind]) => kind)),
    );
    const used = new Set(stacks().flatMap(({ stack }) => Object.keys(stack.resource)));
    for (const [name, entry] of Object.entries(inventory)) {
      expect(used, name).toContain(name);
      if ("kind" in entry) expect(kinds, name).toContain(entry.kind);
      else expect(inventory[entry.with], name).toHaveProperty("kind");
    }
  });
});
