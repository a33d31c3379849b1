import { join, relative } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { Problem } from "../../src/cli/problem.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";

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
export async function sagemakerPrices(): Promise<PriceList> {
  const { python } = await pythonEnvironment("aws", { onProgress: console.error });
  const result = await capture(python, [join(projectFolder, "scripts/refresh/sagemaker_prices.py")]);
  if (result?.status !== 0) {
    throw new Problem({
      message: `AWS's price list could not be read: ${result?.stderr.trim() ?? "Python did not start"}`,
      remedy: "sign in to an AWS account as a role that allows pricing:GetProducts",
    });
  }
  return JSON.parse(result.stdout) as PriceList;
}

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
