import { type Check, isString, nearest } from "./problems.ts";

/**
 * Regions with an endpoint of the SageMaker API, by partition: botocore 1.43.56, `data/endpoints.json`, service
 * `api.sagemaker`, without the entries that are no region of their partition (FIPS, secondary).
 */
const regionsByPartition = {
  aws: [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
  ],
  "aws-cn": ["cn-north-1", "cn-northwest-1"],
  "aws-us-gov": ["us-gov-east-1", "us-gov-west-1"],
  "aws-iso": ["us-iso-east-1"],
  "aws-iso-b": ["us-isob-east-1"],
  "aws-iso-e": ["eu-isoe-west-1"],
  "aws-iso-f": ["us-isof-east-1", "us-isof-south-1"],
  "aws-eusc": ["eusc-de-east-1"],
} as const;

/** Partition of a region, such as `aws-cn`; none for what is no region of SageMaker. */
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
  source: "botocore 1.43.56, endpoints of api.sagemaker",
};

const providerRule = {
  allowed: "another region",
  source: "hashicorp/terraform-provider-aws#44113; hashicorp/terraform#37771 for a backend",
};

/** Whether a zone's or an ARN's region can be judged against this value. */
export const isRegion = (value: unknown): value is string => typeof value === "string" && known.has(value);

export const checkRegion: Check = (value, report) => {
  if (!isString(value, report, rule) || providerRegions.includes(value)) return;
  if (known.has(value)) report(value, "is no region to Terraform's AWS provider 5.100.0", providerRule);
  else report(value, `is no region of SageMaker${nearest(value, providerRegions)}`, rule);
};
