import { join, relative } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { Problem } from "../../src/cli/problem.ts";
import { printedJson } from "./aws-python.ts";

/** The output of `sagemaker_prices.py`. */
export interface PriceList {
  /** When AWS published the list, or null if it has no product. */
  readonly date: string | null;
  readonly region: string;
  /** US dollars by instance type. */
  readonly hourly: Readonly<Record<string, number>>;
}

/** Of `marimo-job` and of the plan review. */
export const pricesFile = join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/prices.json");

/** Reads AWS's price list of SageMaker. */
export const sagemakerPrices = async () =>
  (await printedJson("sagemaker_prices.py", {
    what: "AWS's price list",
    remedy: "sign in to an AWS account as a role that allows pricing:GetProducts",
  })) as PriceList;

/** The text of `pricesFile`. Throws a Problem if a type that had a price has none any more. */
export function pricesText(list: PriceList, current: string): string {
  const lost = Object.keys((JSON.parse(current) as PriceList).hourly).filter(
    (type) => !(type in list.hourly),
  );
  if (lost.length > 0) {
    throw new Problem({
      message: `AWS's price list has no hourly price for ${lost.join(", ")}`,
      remedy: `check scripts/refresh/sagemaker_prices.py, or remove these types from ${relative(projectFolder, pricesFile)}`,
    });
  }
  const { date, region, hourly } = list;
  return `${JSON.stringify({ source: "AWS's price list", date, region, hourly }, undefined, 2)}\n`;
}
