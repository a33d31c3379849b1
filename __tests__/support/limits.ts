import { type Cidr, contains, overlap, parseCidr } from "../../src/settings/cidr.ts";
import { type Block, type Instance, isBlock, type KnownValues } from "./known-values.ts";

/**
 * Limits of AWS that cannot be increased. The limits of SageMaker are checked with botocore's service model
 * (`sagemaker-requests.ts`).
 */

/** The scope in which a name must be unique. Bucket names are globally unique. */
type Scope = "account" | "region" | "environment";

interface TextLimit {
  readonly attribute: string;
  readonly max: number;
  readonly pattern: RegExp;
  /** @default not unique */
  readonly unique?: Scope;
}

const iamName = /^[\w+=,.@-]+$/;
/** Also required by IAM API, `policyDocumentType`, and AWS KMS API, `PolicyType`. */
const latin1 = /^[\t\n\r\u0020-\u007e\u00a0-\u00ff]*$/;
/** Amazon EC2 API, CreateSecurityGroup, IpRange. */
const securityGroupText = /^[a-zA-Z0-9 ._\-:/()#,@[\]+=&;{}!$*]*$/;

/** Limits of names and descriptions, by Terraform resource type. */
const texts: Readonly<Record<string, readonly TextLimit[]>> = {
  // Amazon Bedrock API, InferenceProfileName.
  aws_bedrock_inference_profile: [
    { attribute: "name", max: 64, pattern: /^([0-9a-zA-Z][ _-]?)+$/, unique: "region" },
  ],
  // AWS Budgets API, BudgetName.
  aws_budgets_budget: [
    { attribute: "name", max: 100, pattern: /^(?!.*\/action\/)[^:\\]+$/, unique: "account" },
  ],
  // CloudWatch Logs API, CreateLogGroup.
  aws_cloudwatch_log_group: [
    { attribute: "name", max: 512, pattern: /^[.\-_/#A-Za-z0-9]+$/, unique: "region" },
  ],
  // IAM User Guide, "IAM and AWS STS quotas"; IAM API, roleDescriptionType, policyDescriptionType.
  aws_iam_policy: [
    { attribute: "name", max: 128, pattern: iamName, unique: "account" },
    { attribute: "description", max: 1000, pattern: latin1 },
  ],
  aws_iam_role: [
    { attribute: "name", max: 64, pattern: iamName, unique: "account" },
    { attribute: "description", max: 1000, pattern: latin1 },
  ],
  aws_iam_role_policy: [{ attribute: "name", max: 128, pattern: iamName }],
  // AWS KMS API, CreateAlias, CreateKey.
  aws_kms_alias: [
    { attribute: "name", max: 256, pattern: /^alias\/(?!aws\/)[a-zA-Z0-9/_-]+$/, unique: "region" },
  ],
  aws_kms_key: [{ attribute: "description", max: 8192, pattern: /^/ }],
  // Amazon S3 User Guide, "General purpose bucket naming rules", "Naming Amazon S3 objects".
  aws_s3_bucket: [
    {
      attribute: "bucket",
      max: 63,
      pattern: /^(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?!.*\.\.)[a-z0-9.-]+[a-z0-9](?<!-s3alias|--ol-s3)$/,
      unique: "account",
    },
  ],
  aws_s3_object: [{ attribute: "key", max: 1024, pattern: /^(?!\/)/, unique: "environment" }],
  // Amazon EC2 API, CreateSecurityGroup: a part of the allowed characters, sufficient for the stack.
  aws_security_group: [
    { attribute: "name", max: 255, pattern: /^(?!sg-)[a-zA-Z0-9 ._-]+$/, unique: "environment" },
    { attribute: "description", max: 255, pattern: securityGroupText },
  ],
  aws_vpc_security_group_egress_rule: [{ attribute: "description", max: 255, pattern: securityGroupText }],
  aws_vpc_security_group_ingress_rule: [{ attribute: "description", max: 255, pattern: securityGroupText }],
  // EventBridge Scheduler API, CreateSchedule; Amazon SQS API, CreateQueue; Amazon SNS API, CreateTopic.
  aws_scheduler_schedule: [
    { attribute: "name", max: 64, pattern: /^[\w.-]+$/, unique: "environment" },
    { attribute: "description", max: 512, pattern: /^/ },
  ],
  aws_scheduler_schedule_group: [{ attribute: "name", max: 64, pattern: /^[\w.-]+$/, unique: "region" }],
  aws_sqs_queue: [{ attribute: "name", max: 80, pattern: /^[\w-]+$/, unique: "region" }],
  aws_sns_topic: [{ attribute: "name", max: 256, pattern: /^[\w-]+$/, unique: "region" }],
  // Amazon EventBridge API, PutRule; CloudWatch API, PutMetricAlarm.
  aws_cloudwatch_event_rule: [{ attribute: "name", max: 64, pattern: /^[\w.-]+$/, unique: "region" }],
  // AWS Step Functions API, CreateStateMachine.
  aws_sfn_state_machine: [{ attribute: "name", max: 80, pattern: /^[\w-]+$/, unique: "region" }],
  // AWS CloudTrail API Reference, CreateTrail.
  aws_cloudtrail: [
    {
      attribute: "name",
      max: 128,
      pattern: /^[A-Za-z0-9](?!.*[._-]{2})[\w.-]+[A-Za-z0-9]$/,
      unique: "region",
    },
  ],
  aws_cloudwatch_metric_alarm: [{ attribute: "alarm_name", max: 255, pattern: /^/, unique: "region" }],
  // SageMaker API; the patterns are in the service model.
  aws_sagemaker_domain: [{ attribute: "domain_name", max: 63, pattern: /^/, unique: "region" }],
  aws_sagemaker_user_profile: [
    { attribute: "user_profile_name", max: 63, pattern: /^/, unique: "environment" },
  ],
  aws_sagemaker_image: [{ attribute: "image_name", max: 63, pattern: /^/, unique: "region" }],
  aws_sagemaker_app_image_config: [
    { attribute: "app_image_config_name", max: 63, pattern: /^/, unique: "region" },
  ],
  aws_sagemaker_studio_lifecycle_config: [
    { attribute: "studio_lifecycle_config_name", max: 63, pattern: /^/, unique: "region" },
  ],
};

interface DocumentLimit {
  readonly attribute: string;
  readonly max: number;
  readonly withSpace: boolean;
}

/** Size limits of policies, by Terraform resource type. IAM does not count white space. */
const documents: Readonly<Record<string, DocumentLimit>> = {
  // IAM User Guide, "IAM and AWS STS quotas".
  aws_iam_policy: { attribute: "policy", max: 6144, withSpace: false },
  aws_iam_role: { attribute: "assume_role_policy", max: 2048, withSpace: false },
  // AWS KMS Developer Guide, "Resource quotas".
  aws_kms_key: { attribute: "policy", max: 32_768, withSpace: true },
  // Amazon S3 User Guide, "Bucket policies".
  aws_s3_bucket_policy: { attribute: "policy", max: 20_480, withSpace: true },
  // AWS PrivateLink Guide, "AWS PrivateLink quotas".
  aws_vpc_endpoint: { attribute: "policy", max: 20_480, withSpace: true },
};
/**
 * Total size of a role's inline policies, and number of attached policies (IAM User Guide, the same page). That is 10 unless
 * it is raised, up to 25: `npm run plan` compares it with the account's.
 */
const inlinePolicies = 10_240;
const attachedPolicies = 25;
/** Amazon VPC User Guide, "Amazon VPC quotas": rules per security group and direction. */
const groupRules = 60;
/** AWS Budgets API, `NotificationWithSubscribersList`; AWS Budgets User Guide, "Creating a cost budget". */
const [notifications, addresses] = [10, 10];

/** Returns everything in a stack that exceeds a limit of AWS for length, characters or number. */
export function limitProblems(values: KnownValues): readonly string[] {
  return [
    ...eachText(values).flatMap(({ at, value, limit }) => {
      if (value.length > limit.max)
        return [`${at}: "${value}" has ${value.length} characters (limit: ${limit.max})`];
      return limit.pattern.test(value) ? [] : [`${at}: "${value}" contains characters that AWS refuses`];
    }),
    ...tagProblems(values),
    ...documentProblems(values),
    ...countProblems(values),
  ];
}

export interface UniqueName {
  /** The unique key: a name with its type and scope. */
  readonly name: string;
  readonly at: string;
}

/** Returns the names that must be unique among environments and among the resources of one environment. */
export function uniqueNames(values: KnownValues, environment: string): readonly UniqueName[] {
  const scopes: Readonly<Record<string, string>> = { account: "", region: values.region, environment };
  return eachText(values).flatMap(({ type, at, value, limit: { unique } }) =>
    unique === undefined
      ? []
      : [{ name: `${type} ${scopes[unique]} ${value.toLowerCase()}`, at: `${environment}: ${at}` }],
  );
}

/** Returns the names that are not unique. */
export function nameClashes(names: readonly UniqueName[]): readonly string[] {
  const first = new Map<string, string>();
  return names.flatMap(({ name, at }) => {
    const other = first.get(name);
    first.set(name, other ?? at);
    return other === undefined ? [] : [`${name}: ${other} and ${at}`];
  });
}

/** Returns invalid subnets (outside their VPC, overlapping, or of an invalid size) and overlapping VPCs of a Region. */
export function overlaps(stacks: readonly KnownValues[]): readonly string[] {
  const blocksOf = ({ stack, region }: KnownValues, type: string) =>
    Object.entries(stack.resource[type] ?? {}).map(([id, { cidr_block }]) => {
      const cidr = parseCidr(String(cidr_block));
      if (cidr === undefined) throw new Error(`${type}.${id}: ${cidr_block} is not a CIDR block`);
      return { id: `${region}: ${id} ${cidr_block}`, region, cidr };
    });
  const vpcs = stacks.flatMap((stack) => blocksOf(stack, "aws_vpc"));
  return [
    ...pairsOf(vpcs).filter(([one, other]) => one.region === other.region && overlap(one.cidr, other.cidr)),
    ...stacks.flatMap((stack) =>
      pairsOf(blocksOf(stack, "aws_subnet")).filter(([one, other]) => overlap(one.cidr, other.cidr)),
    ),
    ...stacks.flatMap((stack) => {
      const [vpc] = blocksOf(stack, "aws_vpc");
      return blocksOf(stack, "aws_subnet").flatMap((subnet) =>
        vpc !== undefined && contains(vpc.cidr, subnet.cidr) && isSubnetSize(subnet.cidr)
          ? []
          : [[subnet, vpc ?? subnet] as const],
      );
    }),
  ].map(([one, other]) => `${one.id} is not compatible with ${other.id}`);
}

/** Amazon VPC User Guide, "Subnet sizing". */
const isSubnetSize = ({ prefix }: Cidr) => prefix >= 16 && prefix <= 28;

const pairsOf = <T>(all: readonly T[]) =>
  all.flatMap((one, index) => all.slice(index + 1).map((other) => [one, other] as const));

interface Text {
  readonly type: string;
  readonly at: string;
  readonly value: string;
  readonly limit: TextLimit;
}

function eachText(values: KnownValues): readonly Text[] {
  return Object.entries(texts).flatMap(([type, limits]) =>
    values.instances(type).flatMap(({ address, block, each }) =>
      limits
        .filter(({ attribute }) => block[attribute] !== undefined)
        .map((limit) => ({
          type,
          at: `${address}.${limit.attribute}`,
          value: String(values.valueOf(block[limit.attribute], each)),
          limit,
        })),
    ),
  );
}

/**
 * AWS General Reference, "Tag naming limits and requirements", and the same limits in the SageMaker API (`TagKey`,
 * `TagValue`). An S3 object can have ten tags (Amazon S3 User Guide, "Categorizing your objects by using tags").
 */
function tagProblems({ stack }: KnownValues): readonly string[] {
  const everywhere = stack.provider.aws[0]?.default_tags[0]?.tags ?? {};
  const wrong = Object.entries(everywhere).filter(
    ([key, value]) =>
      !/^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu.test(key) ||
      !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value),
  );
  const counts = Object.entries(stack.resource).flatMap(([type, blocks]) =>
    Object.entries(blocks).flatMap(([id, block]) => {
      const own = isBlock(block.tags) ? Object.keys(block.tags) : [];
      const { size } = new Set([
        ...(block.override_provider === undefined ? Object.keys(everywhere) : []),
        ...own,
      ]);
      const max = type === "aws_s3_object" ? 10 : 50;
      return size > max ? [`${type}.${id}: ${size} tags (limit: ${max})`] : [];
    }),
  );
  return [...wrong.map(([key, value]) => `tag "${key}": "${value}" is not allowed`), ...counts];
}

function documentProblems(values: KnownValues): readonly string[] {
  const documentOf = ({ block, each }: Instance, attribute: string) =>
    String(values.valueOf(block[attribute], each));
  const characters = (document: string, address: string) =>
    latin1.test(document) ? [] : [`${address}: the policy contains characters that are not allowed`];
  const single = Object.entries(documents).flatMap(([type, { attribute, max, withSpace }]) =>
    values
      .instances(type)
      .filter(({ block }) => block[attribute] !== undefined)
      .flatMap((instance) => {
        const document = documentOf(instance, attribute);
        const bytes = Buffer.byteLength(withSpace ? indented(document) : document);
        const tooLong =
          bytes > max ? [`${instance.address}: the policy has ${bytes} bytes (limit: ${max})`] : [];
        return [...tooLong, ...characters(document, instance.address)];
      }),
  );
  const inline = new Map<string, number>();
  const all = values.instances("aws_iam_role_policy").flatMap((instance) => {
    const document = documentOf(instance, "policy");
    const role = String(values.valueOf(instance.block.role, instance.each));
    inline.set(role, (inline.get(role) ?? 0) + Buffer.byteLength(document));
    return characters(document, instance.address);
  });
  const sums = [...inline].filter(([, bytes]) => bytes > inlinePolicies);
  return [
    ...single,
    ...all,
    ...sums.map(([role, bytes]) => `${role}: inline policies have ${bytes} bytes (limit: ${inlinePolicies})`),
  ];
}

/** Formats a document like the data source, with two spaces per level. */
const indented = (document: string) => JSON.stringify(JSON.parse(document), undefined, 2);

function countProblems({ stack }: KnownValues): readonly string[] {
  const exceeding = (what: string, limit: number, keys: readonly unknown[]) => {
    const counts = new Map<string, number>();
    for (const key of keys) counts.set(String(key), (counts.get(String(key)) ?? 0) + 1);
    return [...counts]
      .filter(([, count]) => count > limit)
      .map(([key, count]) => `${key}: ${count} ${what} (limit: ${limit})`);
  };
  const blocks = (type: string) => Object.values(stack.resource[type] ?? {});
  const budgets = blocks("aws_budgets_budget").flatMap(({ name, notification }) =>
    ([notification ?? []].flat() as Block[]).map((one): Block => ({ ...one, budget: name })),
  );
  return [
    ...(["ingress", "egress"] as const).flatMap((way) =>
      exceeding(
        `${way} rules`,
        groupRules,
        blocks(`aws_vpc_security_group_${way}_rule`).map((rule) => rule.security_group_id),
      ),
    ),
    ...exceeding(
      "policies",
      attachedPolicies,
      blocks("aws_iam_policy_attachment").map(() => "a user's role"),
    ),
    ...exceeding(
      "notifications",
      notifications,
      budgets.map(({ budget }) => `budget ${budget}`),
    ),
    ...budgets.flatMap(({ budget, threshold, subscriber_email_addresses }) =>
      exceeding(
        "addresses",
        addresses,
        [subscriber_email_addresses].flat().map(() => `notification of ${budget} at ${threshold}`),
      ),
    ),
  ];
}
