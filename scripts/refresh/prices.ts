import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { Problem } from "../../src/cli/problem.ts";
import { printedJson } from "./aws-python.ts";

/** The output of `sagemaker_prices.py`. */
export interface PriceList {
  /** When AWS published the list, or null if it has no product. */
  readonly date: string | null;
  readonly region: string;
  /** US dollars of jobs by instance type. */
  readonly hourly: Readonly<Record<string, number>>;
  /** US dollars of spaces by instance type. */
  readonly spaces: Readonly<Record<string, number>>;
}

/** Of `marimo-job` and of the plan review. */
export const pricesFile = join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/prices.json");
/** Of the plan review and `npm run costs`. It has the prices of spaces. */
export const reviewPricesFile = join(projectFolder, "src/plan-review/prices.json");

/** Reads AWS's price list of SageMaker. */
export const sagemakerPrices = async () =>
  (await printedJson("sagemaker_prices.py", {
    what: "AWS's price list",
    remedy: "sign in to an AWS account as a role that allows pricing:GetProducts",
  })) as PriceList;

/** The texts of the files by path. Throws a Problem if a type that had a price has none any more. */
export function pricesTexts({ date, hourly, region, spaces }: PriceList): ReadonlyMap<string, string> {
  const source = "AWS's price list";
  const review = JSON.parse(readFileSync(reviewPricesFile, "utf8"));
  checkTypes(JSON.parse(readFileSync(pricesFile, "utf8")).hourly, hourly, pricesFile);
  checkTypes(review.spaces.hourly, spaces, reviewPricesFile);
  const all = { ...review, spaces: { source: `${source} of ${date}`, hourly: spaces } };
  return new Map([
    [pricesFile, `${JSON.stringify({ source, date, region, hourly }, undefined, 2)}\n`],
    [reviewPricesFile, `${JSON.stringify(all, undefined, 2)}\n`],
  ]);
}

function checkTypes(before: PriceList["hourly"], now: PriceList["hourly"], file: string): void {
  const lost = Object.keys(before).filter((type) => !(type in now));
  if (lost.length === 0) return;
  throw new Problem({
    message: `AWS's price list has no hourly price for ${lost.join(", ")}`,
    remedy: `check scripts/refresh/sagemaker_prices.py, or remove these types from ${relative(projectFolder, file)}`,
  });
}
