import instances from "../space/payload/python/sagemaker_marimo/jobs/prices.json" with { type: "json" };
import { after, before, configurationOf, type Plan, type ResourceChange, text, type Values } from "./plan.ts";
import table from "./prices.json" with { type: "json" };
import { homeBackupsOf } from "./risks/home-backup.ts";

/**
 * Public prices in US dollars. An estimate, not a quote. `instances` are of Processing jobs, and `spaces` Studio's own,
 * which differ for some types. A test holds README.md to these prices.
 */
export const prices = { ...table, instances: instances.hourly };

/** An amount with two decimals at least, and no more than it has. */
export const dollars = (amount: number): string =>
  amount.toLocaleString("en", { useGrouping: false, minimumFractionDigits: 2, maximumFractionDigits: 6 });

/** The fixed monthly price of one resource, or undefined if it has none. */
export function monthly(one: ResourceChange, side: "before" | "after", plan: Plan): number | undefined {
  const values = side === "before" ? before(one) : after(one);
  switch (one.type) {
    case "aws_nat_gateway":
      return prices.hourly.natGateway * prices.hoursOfMonth;
    case "aws_eip":
      return prices.hourly.publicAddress * prices.hoursOfMonth;
    case "aws_kms_key":
    case "aws_kms_replica_key":
      return prices.monthly.key;
    case "aws_cloudwatch_metric_alarm":
      return prices.monthly.alarm;
    case "aws_vpc_endpoint":
      return text(values.vpc_endpoint_type) === "Interface"
        ? prices.hourly.interfaceEndpointInOneZone * prices.hoursOfMonth * zonesOf(one, values, plan)
        : undefined;
    default:
      return undefined;
  }
}

/** An interface endpoint has one network interface in each of its subnets, and each subnet is in a different zone. */
function zonesOf(one: ResourceChange, values: Values, plan: Plan): number {
  if (Array.isArray(values.subnet_ids) && values.subnet_ids.length > 0) return values.subnet_ids.length;
  // Subnets that this plan creates have no IDs yet, so they are counted in the configuration.
  const configured = configurationOf(plan, one.address);
  const subnets = configured?.expressions?.subnet_ids as
    | { readonly references?: readonly string[] }
    | undefined;
  return new Set(subnets?.references?.filter((name) => /^aws_subnet\.[^.]+$/.test(name))).size || 1;
}

/** The price of a resource that depends on use or age, which a plan does not contain. */
export function usagePrice(one: ResourceChange): string | undefined {
  const values = { ...before(one), ...after(one) };
  switch (one.type) {
    case "aws_kms_key":
      return values.enable_key_rotation === true
        ? `KMS key: ${keyPrice("Once")} a month after its first rotation, ${keyPrice("Twice")} after its second`
        : undefined;
    case "aws_budgets_budget_action":
      // That of the environment is one of the two that are free, unless the account has others.
      return one.address.includes("user_budgets")
        ? `AWS Budgets: ${dollars(prices.daily.budgetWithAction)} a day for each budget with a stop, after the account's second`
        : undefined;
    case "aws_vpc_endpoint":
      // A gateway endpoint is free.
      return values.vpc_endpoint_type === "Interface"
        ? `interface endpoints: ${aGigabyte("interfaceEndpoint")}`
        : undefined;
    case "aws_iam_policy":
      return text(values.name)?.endsWith("-ai")
        ? "Amazon Bedrock: by the token, at each model's price"
        : undefined;
    case "aws_sfn_state_machine":
      // Guess: hosting has the prices of Processing, as in AWS's price list for these types.
      return text(values.name)?.endsWith("-endpoint-timeout")
        ? `endpoints on instances, each instance also while idle: ${byTheHour("ml.m5.large", "ml.g4dn.xlarge")}`
        : undefined;
    default:
      return usagePrices[one.type];
  }
}

/** The price of `homeBackup`, where it is turned on or off. The payload that has the setting is replaced, not added. */
export function backupPrice(one: ResourceChange): string | undefined {
  const { old, now } = homeBackupsOf(one);
  return (old === undefined) === (now === undefined)
    ? undefined
    : `backups of homes: ${aGigabyte("bucket")}; replaced and deleted versions count for 90 days`;
}

const keyPrice = (rotated: "Once" | "Twice") => dollars(prices.monthly[`keyRotated${rotated}`]);

const aGigabyte = (of: keyof typeof prices.perGigabyte) => `${dollars(prices.perGigabyte[of])} a GB`;

const byTheHour = (...types: readonly (keyof typeof prices.instances)[]) =>
  `by the hour, for example ${types.map((type) => `${dollars(prices.instances[type])} for ${type}`).join(" and ")}`;

const { hourly: ofSpaces } = prices.spaces;
const runningSpace =
  `by the hour, for example ${dollars(ofSpaces["ml.t3.medium"])} for ml.t3.medium and ` +
  `${dollars(ofSpaces["ml.m5.xlarge"])} for ml.m5.xlarge; its volume: ${aGigabyte("spaceVolume")}`;

const { per100000DataEvents, per100000Emails, perMillionRequests, perTerabyteScanned } = prices;

const usagePrices: Readonly<Record<string, string>> = {
  aws_athena_workgroup: `Amazon Athena: ${dollars(perTerabyteScanned)} a TB that queries scan`,
  aws_nat_gateway: `NAT gateway: ${aGigabyte("natGateway")}`,
  aws_s3_bucket: `S3: ${aGigabyte("bucket")}`,
  aws_cloudwatch_log_group: `CloudWatch logs: ${aGigabyte("logs")} written`,
  aws_cloudtrail: `CloudTrail: ${dollars(per100000DataEvents)} per 100,000 recorded writes`,
  aws_efs_file_system: `EFS: ${aGigabyte("homeFileSystem")}`,
  aws_scheduler_schedule: `scheduled job: ${byTheHour("ml.m5.large")}; the schedule itself is free`,
  aws_sns_topic: `SNS: ${dollars(per100000Emails)} per 100,000 e-mails, the first 1,000 a month are free`,
  aws_sqs_queue: `SQS: ${dollars(perMillionRequests)} per million requests, the first million a month is free`,
  aws_sagemaker_domain: `home file system (EFS): ${aGigabyte("homeFileSystem")}`,
  aws_sagemaker_user_profile: `running space: ${runningSpace}`,
};
