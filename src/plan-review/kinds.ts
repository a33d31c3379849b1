import { bucketPrefixes, inferenceProfilesJson, jobsJson, payloadPointer } from "../settings/names.ts";
import { after, before, type ResourceChange, text, valuesOf } from "./plan.ts";

/** In the order in which a review lists them. */
export const concerns = [
  "Studio",
  "Space runtime",
  "Jobs",
  "Network",
  "Permissions",
  "Encryption",
  "Storage",
  "Monitoring",
  "Other",
] as const;

export type Concern = (typeof concerns)[number];

interface Kind {
  readonly concern: Concern;
  /** The word for it in a review. */
  readonly noun: string;
}

const kind = (concern: Concern, noun: string): Kind => ({ concern, noun });

/** By Terraform resource type. A key that ends with `_` is a prefix, and the longest match applies. */
const kinds: Readonly<Record<string, Kind>> = {
  aws_sagemaker_domain: kind("Studio", "Studio domain"),
  aws_sagemaker_user_profile: kind("Studio", "user profile"),
  aws_sagemaker_space: kind("Studio", "space"),
  aws_sagemaker_app: kind("Studio", "app"),
  aws_sagemaker_image: kind("Studio", "custom image"),
  aws_sagemaker_image_version: kind("Studio", "version of a custom image"),
  aws_sagemaker_app_image_config: kind("Studio", "app image configuration"),
  aws_sagemaker_studio_lifecycle_config: kind("Space runtime", "lifecycle configuration"),
  aws_sagemaker_: kind("Studio", ""),
  aws_scheduler_schedule: kind("Jobs", "schedule"),
  aws_scheduler_schedule_group: kind("Jobs", "schedule group"),
  aws_scheduler_: kind("Jobs", ""),
  aws_sfn_state_machine: kind("Jobs", "state machine"),
  aws_sqs_queue: kind("Jobs", "queue"),
  aws_sqs_: kind("Jobs", ""),
  aws_athena_workgroup: kind("Storage", "Athena workgroup"),
  aws_vpc: kind("Network", "VPC"),
  aws_subnet: kind("Network", "subnet"),
  aws_nat_gateway: kind("Network", "NAT gateway"),
  aws_eip: kind("Network", "Elastic IP address"),
  aws_internet_gateway: kind("Network", "internet gateway"),
  aws_route: kind("Network", "route"),
  aws_route_table: kind("Network", "route table"),
  aws_route_table_association: kind("Network", "route table association"),
  aws_vpc_endpoint: kind("Network", "VPC endpoint"),
  aws_security_group: kind("Network", "security group"),
  aws_default_security_group: kind("Network", "default security group"),
  aws_security_group_rule: kind("Network", "security group rule"),
  aws_vpc_security_group_ingress_rule: kind("Network", "inbound security group rule"),
  aws_vpc_security_group_egress_rule: kind("Network", "outbound security group rule"),
  aws_flow_log: kind("Monitoring", "flow log"),
  aws_cloudwatch_log_group: kind("Monitoring", "log group"),
  aws_cloudwatch_event_rule: kind("Monitoring", "event rule"),
  aws_cloudwatch_event_target: kind("Monitoring", "target of an event rule"),
  aws_cloudwatch_metric_alarm: kind("Monitoring", "alarm"),
  aws_cloudwatch_: kind("Monitoring", ""),
  aws_sns_topic: kind("Monitoring", "topic"),
  aws_sns_topic_policy: kind("Permissions", "topic policy"),
  aws_sns_topic_subscription: kind("Monitoring", "subscription"),
  aws_sns_: kind("Monitoring", ""),
  aws_cloudtrail: kind("Monitoring", "trail"),
  aws_budgets_: kind("Monitoring", ""),
  aws_bedrock_inference_profile: kind("Space runtime", "inference profile"),
  aws_iam_role: kind("Permissions", "role"),
  aws_iam_role_policy: kind("Permissions", "role policy"),
  aws_iam_role_policies_exclusive: kind("Permissions", "list of a role's inline policies"),
  aws_iam_policy: kind("Permissions", "policy"),
  aws_iam_policy_attachment: kind("Permissions", "attachment of a policy"),
  aws_iam_: kind("Permissions", ""),
  aws_kms_key: kind("Encryption", "KMS key"),
  aws_kms_alias: kind("Encryption", "alias of a KMS key"),
  aws_kms_: kind("Encryption", ""),
  aws_s3_bucket: kind("Storage", "bucket"),
  aws_s3_bucket_policy: kind("Permissions", "bucket policy"),
  aws_s3_bucket_public_access_block: kind("Permissions", "public access block"),
  aws_s3_bucket_: kind("Storage", ""),
  aws_s3_object: kind("Storage", "object"),
  aws_efs_: kind("Storage", ""),
  terraform_state: kind("Other", "state"),
};

/** Longest first. */
const names = Object.keys(kinds).toSorted((a, b) => b.length - a.length);

/** Keys of the objects that src/stack/storage/payload.ts uploads. */
export const payloadKey = new RegExp(`^(?:${payloadPointer}$|${bucketPrefixes.payload}/([0-9a-f]{16})/)`);

export function kindOf(one: ResourceChange): Kind {
  if (one.type === "aws_s3_object") {
    const key = text({ ...before(one), ...after(one) }.key) ?? "";
    if (payloadKey.test(key)) return kind("Space runtime", "payload");
    if (key === jobsJson) return kind("Jobs", "settings of jobs");
    if (key === inferenceProfilesJson) return kind("Space runtime", "list of inference profiles");
    if (key.startsWith(`${bucketPrefixes.schedules}/`)) return kind("Jobs", "notebook of a schedule");
  }
  const name = names.find((name) => (name.endsWith("_") ? one.type.startsWith(name) : one.type === name));
  const found = name === undefined ? kind("Other", "") : (kinds[name] ?? kind("Other", ""));
  return found.noun === ""
    ? { ...found, noun: one.type.replace(/^aws_/, "").replace(/^s3_/, "S3_").replaceAll("_", " ") }
    : found;
}

/** The name of a resource in AWS, or its Terraform address if it has none. */
export function nameOf(one: ResourceChange): string {
  const values = { ...before(one), ...withoutNull(after(one)) };
  const own = [
    "user_profile_name",
    "domain_name",
    "space_name",
    "studio_lifecycle_config_name",
    "image_name",
    "app_image_config_name",
    "bucket",
    "key",
    "alarm_name",
  ];
  const name = [...own, "name"].map((attribute) => text(values[attribute])).find(Boolean);
  return name ?? text(valuesOf(values.tags).Name) ?? one.address;
}

/** Unknown values are null. */
const withoutNull = (values: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
