import { after, before, configurationOf, type Plan, type ResourceChange, text, type Values } from "./plan.ts";

/**
 * Public prices of AWS's price pages (Amazon VPC, AWS PrivateLink, AWS KMS, Amazon CloudWatch) in us-east-1, US dollars, for a month of 730
 * hours; the same as in README.md. To plan with, not a quote.
 */
export const prices = {
  date: "2026",
  region: "us-east-1",
  natGateway: 0.045 * 730,
  publicAddress: 0.005 * 730,
  /** For each zone. */
  interfaceEndpoint: 0.01 * 730,
  key: 1,
  alarm: 0.1,
} as const;

/** What one resource costs each month whether it is used or not; nothing where there is no such price. */
export function monthly(one: ResourceChange, side: "before" | "after", plan: Plan): number | undefined {
  const values = side === "before" ? before(one) : after(one);
  switch (one.type) {
    case "aws_nat_gateway":
      return prices.natGateway;
    case "aws_eip":
      return prices.publicAddress;
    case "aws_kms_key":
    case "aws_kms_replica_key":
      return prices.key;
    case "aws_cloudwatch_metric_alarm":
      return prices.alarm;
    case "aws_vpc_endpoint":
      return text(values.vpc_endpoint_type) === "Interface"
        ? prices.interfaceEndpoint * zonesOf(one, values, plan)
        : undefined;
    default:
      return undefined;
  }
}

/** An interface endpoint has one network interface in each of its subnets, and each is in another zone. */
function zonesOf(one: ResourceChange, values: Values, plan: Plan): number {
  if (Array.isArray(values.subnet_ids) && values.subnet_ids.length > 0) return values.subnet_ids.length;
  // Subnets that this plan makes have no ids yet: the configuration names them.
  const configured = configurationOf(plan, one.address);
  const subnets = configured?.expressions?.subnet_ids as
    | { readonly references?: readonly string[] }
    | undefined;
  return new Set(subnets?.references?.filter((name) => /^aws_subnet\.[^.]+$/.test(name))).size || 1;
}

/** What of a resource is paid by use, so that no plan can tell it. */
export function usagePrice(one: ResourceChange): string | undefined {
  if (one.type !== "aws_vpc_endpoint") return usagePrices[one.type];
  const { vpc_endpoint_type: type } = { ...before(one), ...after(one) };
  // A gateway endpoint is free.
  return type === "Interface" ? "interface endpoints: 0.01 a GB" : undefined;
}

const usagePrices: Readonly<Record<string, string>> = {
  aws_nat_gateway: "NAT gateway: 0.045 a GB",
  aws_s3_bucket: "S3: 0.023 a GB",
  aws_cloudwatch_log_group: "CloudWatch logs: 0.50 a GB written",
  aws_efs_file_system: "EFS: 0.30 a GB",
  aws_scheduler_schedule: "a scheduled job: by the hour, such as 0.115 for ml.m5.large; its start is free",
  aws_sns_topic: "SNS: 2.00 for 100,000 e-mails, the first 1,000 a month free",
  aws_sqs_queue: "SQS: 0.40 for a million requests, the first million a month free",
  aws_sagemaker_domain: "the home file system (EFS): 0.30 a GB",
  aws_sagemaker_user_profile:
    "a running space: by the hour, such as 0.05 for ml.t3.medium, 0.115 for ml.m5.large; its volume by the GB",
};
