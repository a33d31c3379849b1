import instances from "../space/payload/python/sagemaker_marimo/jobs/instances.json" with { type: "json" };
import { type Check, isString, nearest } from "./problems.ts";
import { typesOf } from "./reference/instance-types.ts";

/** Every instance type that a processing job can run on. Not every region has every type. */
export const processingInstanceTypes = typesOf(instances.sizes);

/** Whether an instance type has GPUs. */
export const hasGpu = (type: string) => new RegExp(instances.gpu).test(type);

/**
 * Whether an instance type has local storage, which its hardware encrypts and SageMaker uses instead of a volume. It
 * rejects a request that names a key for the volume (SageMaker API, ProcessingClusterConfig, which refers to EC2's
 * "Instance Store Volumes"). Guess: g7, g7e and p6, which sagemaker-python-sdk's `instance_supports_kms` lacks.
 */
export const hasLocalStorage = (type: string) => new RegExp(instances.localStorage).test(type);

const known = new Set(processingInstanceTypes);
const instanceRule = {
  allowed: `one of the ${known.size} types of processing jobs, such as "ml.m5.large" or "ml.m5.4xlarge"`,
  source: "SageMaker API, ProcessingInstanceType",
};

export const checkProcessingInstanceType: Check = (value, report) => {
  if (!isString(value, report, instanceRule) || known.has(value)) return;
  report(
    value,
    `is not an instance type for processing jobs${nearest(value, processingInstanceTypes)}`,
    instanceRule,
  );
};

/**
 * Accounts of SageMaker Distribution's images, by region: sagemaker-python-sdk,
 * `image_uri_config/sagemaker-distribution.json`.
 */
const imageAccounts: Readonly<Record<string, string>> = {
  "af-south-1": "238384257742",
  "ap-east-1": "523751269255",
  "ap-northeast-1": "010972774902",
  "ap-northeast-2": "064688005998",
  "ap-northeast-3": "564864627153",
  "ap-south-1": "245090515133",
  "ap-southeast-1": "022667117163",
  "ap-southeast-2": "648430277019",
  "ap-southeast-3": "370607712162",
  "ca-central-1": "481561238223",
  "eu-central-1": "545423591354",
  "eu-north-1": "175620155138",
  "eu-south-1": "810671768855",
  "eu-west-1": "819792524951",
  "eu-west-2": "021081402939",
  "eu-west-3": "856416204555",
  "me-central-1": "358593528301",
  "me-south-1": "523774347010",
  "sa-east-1": "567556641782",
  "us-east-1": "885854791233",
  "us-east-2": "137914896644",
  "us-west-1": "053634841547",
  "us-west-2": "542918446943",
};

/** The image's Python: aws/sagemaker-distribution, `build_artifacts/v4/v4.5/v4.5.2/cpu.env.out`. */
export const imagePython = "3.12";

/** SageMaker Distribution 4.5.2, whose packages the rehearsal has; none in a region that the table lacks. */
export function defaultImageUri(region: string, processor: "cpu" | "gpu" = "cpu"): string | undefined {
  const account = imageAccounts[region];
  return account === undefined
    ? undefined
    : `${account}.dkr.ecr.${region}.amazonaws.com/sagemaker-distribution-prod:4.5.2-${processor}`;
}

/**
 * Minutes a job may take at most: 777,600 s (SageMaker API, `ProcessingMaxRuntimeInSeconds`). An account's quota is
 * commonly less, 5 days or 7200 minutes.
 */
export const longestMinutes = 12_960;

const imageRule = {
  allowed: 'an image in Amazon ECR, such as "123456789012.dkr.ecr.eu-west-1.amazonaws.com/our-image:1.0"',
  source: "SageMaker API, ImageUri: 255 characters",
};

export const checkImageUri: Check = (value, report) => {
  if (!isString(value, report, imageRule)) return;
  const form = /^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.[a-z.]+\/[a-z0-9._/-]+([:@][A-Za-z0-9._:-]+)?$/;
  if (value.length > 255 || !form.test(value)) report(value, "is not an image in Amazon ECR", imageRule);
};
