import { once } from "node:events";
import { readFileSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";
import { json } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { type PriceList, pricesFile, reviewPricesFile } from "../../scripts/refresh/prices.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { processingInstanceTypes } from "../../src/settings/processing.ts";

const prices = JSON.parse(readFileSync(pricesFile, "utf8")) as PriceList;
const ofSpaces = JSON.parse(readFileSync(reviewPricesFile, "utf8")).spaces.hourly as PriceList["spaces"];

it("the prices are those of types that SageMaker has", () => {
  expect(processingInstanceTypes).toEqual(expect.arrayContaining(Object.keys(prices.hourly)));
});

describe("npm run refresh -- --prices", () => {
  const product = (instanceName: string, unit: string, USD: string) =>
    JSON.stringify({
      product: { attributes: { instanceName } },
      publicationDate: "2026-11-01T00:00:00Z",
      terms: { OnDemand: { term: { priceDimensions: { rate: { unit, pricePerUnit: { USD } } } } } },
    });
  const known = Object.keys(prices.hourly);
  const list = known.map((type, index) => product(type, "Hrs", `${index + 1}.5000000000`));
  const spaces = Object.keys(ofSpaces).map((type) => product(type, "Hrs", "3.2500000000"));

  /** Runs npm run refresh in a copy of the project, with AWS's price list in pages of 50. */
  async function refreshPrices(jobs: readonly string[]) {
    const requests: unknown[] = [];
    const server = createServer(async (request, response) => {
      const body = (await json(request)) as { NextToken?: string; Filters: readonly { Value: string }[] };
      requests.push(body);
      const products = body.Filters.some(({ Value }) => Value === "Studio-JupyterLab") ? spaces : jobs;
      const start = Number(body.NextToken ?? 0);
      const next = start + 50 < products.length ? { NextToken: String(start + 50) } : {};
      response.end(JSON.stringify({ PriceList: products.slice(start, start + 50), ...next }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const copy = copyProject();
    try {
      symlinkSync(workFolder, join(copy.folder, ".local-studio"));
      const result = await capture(process.execPath, ["--import", "tsx", "scripts/refresh.ts", "--prices"], {
        cwd: copy.folder,
        env: {
          ...process.env,
          AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          AWS_ACCESS_KEY_ID: "test",
          AWS_SECRET_ACCESS_KEY: "test",
        },
      });
      return {
        result,
        requests,
        file: readFileSync(join(copy.folder, relative(projectFolder, pricesFile)), "utf8"),
        review: readFileSync(join(copy.folder, relative(projectFolder, reviewPricesFile)), "utf8"),
      };
    } finally {
      copy.remove();
      server.close();
    }
  }

  it("also writes the hourly prices of AWS's price list, with its date", async () => {
    const { result, requests, file, review } = await refreshPrices([
      ...list,
      product("ml.g7.2xlarge", "Hrs", "2.1000000000"),
      product("ml.g7.4xlarge", "Quantity", "9"),
    ]);
    expect(result).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("prices.json: rewritten (price list of 2026-11-01)"),
    });
    const region = { Type: "TERM_MATCH", Field: "regionCode", Value: "us-east-1" };
    const Filters = [region, { Type: "TERM_MATCH", Field: "component", Value: "Processing" }];
    const studio = { Type: "TERM_MATCH", Field: "platoinstancetype", Value: "Studio-JupyterLab" };
    expect(requests).toEqual([
      { ServiceCode: "AmazonSageMaker", Filters },
      { ServiceCode: "AmazonSageMaker", Filters, NextToken: "50" },
      { ServiceCode: "AmazonSageMaker", Filters, NextToken: "100" },
      { ServiceCode: "AmazonSageMaker", Filters: [region, studio] },
    ]);
    const hourly = Object.fromEntries(known.map((type, index) => [type, index + 1.5]));
    expect(JSON.parse(file)).toEqual({
      source: "AWS's price list",
      date: "2026-11-01",
      region: "us-east-1",
      hourly: { ...hourly, "ml.g7.2xlarge": 2.1 },
    });
    expect(JSON.parse(review)).toMatchObject({
      hoursOfMonth: 730,
      spaces: {
        source: "AWS's price list of 2026-11-01",
        hourly: Object.fromEntries(Object.keys(ofSpaces).map((type) => [type, 3.25])),
      },
    });
  });

  it("keeps the prices if the list lacks some", async () => {
    const { result, file } = await refreshPrices(list.slice(1));
    expect(result).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`no hourly price for ${known[0]}`),
    });
    expect(JSON.parse(file)).toEqual(prices);
  });
});
