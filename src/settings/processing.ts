import { typesOf } from "./instance-types.ts";
import { type Check, isString, nearest } from "./problems.ts";

/** `ProcessingInstanceType` of the SageMaker API by family: botocore 1.43.56, `data/sagemaker/2017-07-24/service-2.json`. */
const sizesByFamily = {
  t3: "medium large xlarge 2xlarge",
  m4: "xlarge 2xlarge 4xlarge 10xlarge 16xlarge",
  c4: "xlarge 2xlarge 4xlarge 8xlarge",
  p2: "xlarge 8xlarge 16xlarge",
  p3: "2xlarge 8xlarge 16xlarge",
  c5: "xlarge 2xlarge 4xlarge 9xlarge 18xlarge",
  m5: "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge",
  r5: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
  g4dn: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
  g5: "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 12xlarge 24xlarge 48xlarge",
  r5d: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
  g6: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  g6e: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  m6i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  c6i: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  m7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  c7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  r7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  p5: "4xlarge",
  g7e: "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge",
} as const;

/** Every instance type that a processing job can run on. Not every region has every type. */
export const processingInstanceTypes = typesOf(sizesByFamily);

const known = new Set(processingInstanceTypes);
const instanceRule = {
  allowed: `one of the ${known.size} types of processing jobs, such as "ml.m5.large" or "ml.m5.4xlarge"`,
  source: "SageMaker API, ProcessingInstanceType",
};

export const checkProcessingInstanceType: Check = (value, report) => {
  if (!isString(value, report, instanceRule) || known.has(value)) return;
  report(
    value,
    `is no instance type of a processing job${nearest(value, processingInstanceTypes)}`,
    instanceRule,
  );
};

/** Accounts of SageMaker Distribution's images, by region: sagemaker-python-sdk, `image_uri_config/sagemaker-distribution.json`. */
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

/** The image's Python: aws/sagemaker-distribution, `build_artifacts/v4/v4.4/v4.4.1/cpu.env.out`. */
export const imagePython = "3.12";

/** SageMaker Distribution 4.4.1, whose packages the rehearsal has; none in a region that the table lacks. */
export function defaultImageUri(region: string): string | undefined {
  const account = imageAccounts[region];
  return account === undefined
    ? undefined
    : `${account}.dkr.ecr.${region}.amazonaws.com/sagemaker-distribution-prod:4.4.1-cpu`;
}

/** Minutes a job may take at most: 777,600 s for processing jobs (SageMaker API, `ProcessingMaxRuntimeInSeconds`). */
export const longestMinutes = 12_960;

const imageRule = {
  allowed: 'an image in Amazon ECR, such as "123456789012.dkr.ecr.eu-west-1.amazonaws.com/our-image:1.0"',
  source: "SageMaker API, ImageUri: 255 characters",
};

export const checkImageUri: Check = (value, report) => {
  if (!isString(value, report, imageRule)) return;
  const form = /^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.[a-z.]+\/[a-z0-9._/-]+([:@][A-Za-z0-9._:-]+)?$/;
  if (value.length > 255 || !form.test(value)) report(value, "is no image in Amazon ECR", imageRule);
};
