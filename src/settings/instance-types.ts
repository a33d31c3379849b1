import { type Check, isString, nearest } from "./problems.ts";

/**
 * Sizes by family: `AppInstanceType` of the SageMaker API without `system`, which no JupyterLab space can run on.
 * From botocore 1.43.56, `data/sagemaker/2017-07-24/service-2.json`. Not every region has every type.
 */
const sizesByFamily = {
  t3: "micro small medium large xlarge 2xlarge",
  m5: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
  m5d: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
  c5: "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge",
  p3: "2xlarge 8xlarge 16xlarge",
  p3dn: "24xlarge",
  g4dn: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge",
  r5: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge",
  g5: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  g6: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  g6e: "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  geospatial: "interactive",
  p4d: "24xlarge",
  p4de: "24xlarge",
  trn1: "2xlarge 32xlarge",
  trn1n: "32xlarge",
  p5: "4xlarge 48xlarge",
  p5en: "48xlarge",
  "p6-b200": "48xlarge",
  m6i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  m7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  c6i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  c7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  r6i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  r7i: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge",
  m6id: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  c6id: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  r6id: "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge",
  g7e: "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge",
} as const;

/** Every instance type that a Studio app can run on. */
export const studioInstanceTypes = typesOf(sizesByFamily);

/**
 * Those that Terraform's provider takes for an instance type, from the lower end of its range on: 5.100.0 refuses the
 * newest (measured).
 */
export const providerInstanceTypes: readonly string[] = studioInstanceTypes.filter(
  (type) => !/^ml\.(g7e\.|p5\.4xlarge$|p6-b200\.)/.test(type),
);

const known = new Set(studioInstanceTypes);
const rule = {
  allowed: `one of the ${known.size} types of Studio apps, such as "ml.t3.medium" or "ml.m5.xlarge"`,
  source: "SageMaker API, AppInstanceType",
};

export const checkInstanceType: Check = (value, report) => {
  if (!isString(value, report, rule) || known.has(value)) return;
  report(value, `is no instance type of a Studio app${nearest(value, studioInstanceTypes)}`, rule);
};

/** SageMaker's names of instance types. A value holds a family's sizes, with spaces between. */
export function typesOf(sizesByFamily: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(sizesByFamily).flatMap(([family, sizes]) =>
    sizes.split(" ").map((size) => `ml.${family}.${size}`),
  );
}
