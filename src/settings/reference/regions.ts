import { type Check, isString, nearest } from "../problems.ts";
import { botocoreVersion, regionsByPartition } from "./sagemaker-lists.ts";

/** Partition of a region, such as `aws-cn`; none for what is not a SageMaker Region. */
export const partitionOf = (region: unknown): string | undefined =>
  Object.entries<readonly unknown[]>(regionsByPartition).find(([, regions]) => regions.includes(region))?.[0];

/** Every region that has SageMaker. */
export const sagemakerRegions: readonly string[] = Object.values(regionsByPartition).flat();

/**
 * Without the one that the lower end of the provider's range refuses ("invalid AWS Region", measured with 5.100.0, as are
 * the others; hashicorp/terraform-provider-aws#44113), and Terraform's S3 backend too (hashicorp/terraform#37771).
 */
export const providerRegions: readonly string[] = sagemakerRegions.filter(
  (region) => region !== "ap-southeast-6",
);

const known = new Set(sagemakerRegions);
const rule = {
  allowed: `one of the ${providerRegions.length} regions that have SageMaker, such as "us-east-1" or "eu-west-1"`,
  source: `botocore ${botocoreVersion}, endpoints of api.sagemaker`,
};

const providerRule = {
  allowed: "another region",
  source: "hashicorp/terraform-provider-aws#44113; hashicorp/terraform#37771 for a backend",
};

/** Whether a zone's or an ARN's region can be judged against this value. */
export const isRegion = (value: unknown): value is string => typeof value === "string" && known.has(value);

export const checkRegion: Check = (value, report) => {
  if (!isString(value, report, rule) || providerRegions.includes(value)) return;
  if (known.has(value)) report(value, "is not a Region that AWS provider 5.100.0 accepts", providerRule);
  else report(value, `is not a SageMaker Region${nearest(value, providerRegions)}`, rule);
};
