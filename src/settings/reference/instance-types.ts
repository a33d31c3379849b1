import { type Check, isString, nearest } from "../problems.ts";
import { appInstanceSizes } from "./sagemaker-lists.ts";

/** Every instance type that a Studio app can run on. Not every region has every type. */
export const studioInstanceTypes = typesOf(appInstanceSizes);

/**
 * Those that Terraform's provider takes for an instance type, from the lower end of its range on: 5.100.0 refuses the
 * newest (tested in settings-limits.test.ts).
 */
export const providerInstanceTypes: readonly string[] = studioInstanceTypes.filter(
  (type) => !/^ml\.(g7e?\.|p5\.4xlarge$|p6-b200\.)/.test(type),
);

const known = new Set(studioInstanceTypes);
const rule = {
  allowed: `one of the ${known.size} types of Studio apps, such as "ml.t3.medium" or "ml.m5.xlarge"`,
  source: "SageMaker API, AppInstanceType",
};

export const checkInstanceType: Check = (value, report) => {
  if (!isString(value, report, rule) || known.has(value)) return;
  report(value, `is not an instance type for Studio apps${nearest(value, studioInstanceTypes)}`, rule);
};

/** SageMaker's names of instance types. A value holds a family's sizes, with spaces between. */
export function typesOf(sizesByFamily: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(sizesByFamily).flatMap(([family, sizes]) =>
    sizes.split(" ").map((size) => `ml.${family}.${size}`),
  );
}
