import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CostExplorerClient, GetCostAndUsageCommand } from "@aws-sdk/client-cost-explorer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { billOf } from "../../src/costs/bill.ts";
import { type Cost, costTags, dayOf } from "../../src/costs/cost.ts";
import { type CannedCost, type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

let folder: string;
let localAws: LocalAws;
let client: CostExplorerClient;

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-costs-"));
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
  client = new CostExplorerClient(localAws.clientSettings());
});
afterAll(async () => {
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const tagsOf = (environment: string, user?: string, schedule?: string) => ({
  ...{ Project: "sagemaker-marimo", Environment: environment },
  ...(user === undefined ? {} : { StudioUser: user }),
  ...(schedule === undefined ? {} : { StudioSchedule: schedule }),
});
const cost = (day: string, UsageType: string, Amount: string, Tags: CannedCost["Tags"]): CannedCost => ({
  ...{ UsageType, Amount, Tags, Date: day, Service: "Amazon SageMaker" },
});
const app = "USE1-Studio:JupyterLab-ml.t3.medium";
const job = "USE1-Processing:ml.m5.large";
/** The month before the running one, whose days are all on the bill. */
const now = new Date();
const month = {
  start: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1)),
  end: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth())),
};
const text = dayOf(month.start).slice(0, 7);
const canned = [
  cost(`${text}-01`, app, "1.10", tagsOf("dev", "ana")),
  cost(`${text}-01`, app, "2.20", tagsOf("dev", "ana")),
  cost(`${text}-27`, job, "0.5", tagsOf("dev", "bo")),
  cost(`${text}-27`, job, "0.25", tagsOf("dev", "bo", "weekly")),
  cost(`${text}-27`, "NatGateway-Hours", "8", tagsOf("dev")),
  cost(`${text}-27`, app, "100", tagsOf("prod", "ana")),
  cost(`${text}-27`, app, "1000", { ...tagsOf("dev", "ana"), Project: "another" }),
];
const bill = async () => (await billOf(client, { environment: "dev", month, now })).costs;
const total = (costs: readonly Cost[], person: string | undefined, kind: Cost["kind"]) =>
  costs.filter((one) => one.person === person && one.kind === kind).reduce((sum, { usd }) => sum + usd, 0);

describe("Cost Explorer", () => {
  it("answers with the costs that were set, by person and kind, from several pages", async () => {
    await localAws.setCosts(canned, costTags);
    const costs = await bill();
    expect(total(costs, "ana", "apps")).toBeCloseTo(3.3);
    expect(total(costs, "bo", "jobs")).toBeCloseTo(0.5);
    expect(total(costs, "bo", "schedules")).toBeCloseTo(0.25);
    expect(total(costs, undefined, "other")).toBeCloseTo(8);
    expect(costs.reduce((sum, { usd }) => sum + usd, 0)).toBeCloseTo(12.05);
  });

  it("knows no tag that was not activated", async () => {
    await localAws.setCosts(canned, ["Project", "Environment"]);
    const costs = await bill();
    expect(new Set(costs.map(({ person }) => person))).toEqual(new Set([undefined]));
    await localAws.setCosts(canned, []);
    expect(await bill()).toEqual([]);
  });

  it("refuses what AWS refuses", async () => {
    const request = { Start: `${text}-01`, End: `${text}-02` };
    const send = (changes: object) =>
      client.send(
        new GetCostAndUsageCommand({
          ...{ TimePeriod: request, Granularity: "DAILY", Metrics: ["UnblendedCost"], ...changes },
        }),
      );
    expect((await send({})).ResultsByTime).toHaveLength(1);
    const group = { Type: "DIMENSION", Key: "USAGE_TYPE" };
    for (const changes of [
      { Granularity: "WEEKLY" },
      { TimePeriod: { Start: `${text}-02`, End: `${text}-02` } },
      { TimePeriod: { Start: "2999-01-01", End: "2999-01-02" } },
      { TimePeriod: { Start: "yesterday", End: "today" } },
      { GroupBy: [group, group, group] },
      { Metrics: ["Money"] },
      { Filter: { Tags: { Key: "a", Values: ["b"] }, Not: { Tags: { Key: "a", Values: ["b"] } } } },
    ]) {
      await expect(send(changes), JSON.stringify(changes)).rejects.toMatchObject({
        name: "ValidationException",
      });
    }
  });

  it("takes only costs that are complete", async () => {
    const wrong = { ...canned[0], Amount: "much" } as CannedCost;
    await expect(localAws.setCosts([wrong], [])).rejects.toThrow("Amount must be a number");
  });
});

describe("npm run costs -- --month", () => {
  const run = async (...args: readonly string[]) => {
    const ended = await capture(process.execPath, ["--import", "tsx", "scripts/costs.ts", ...args], {
      cwd: projectFolder,
      env: { ...process.env, ...localAws.environment },
    });
    if (ended?.status !== 0) throw new Error(`npm run costs failed: ${ended?.stderr}`);
    return ended;
  };

  it("prints the bill by person, writes it as CSV, and says which tags are not active", async () => {
    await localAws.setCosts(canned, costTags);
    const file = join(folder, "costs.csv");
    const { stdout } = await run("--month", text, "--csv", file, "--environment", "dev");
    expect(stdout).toContain("| dev | ana | 3.30 | 0.00 | 0.00 | 0.00 | 0.00 | 3.30 | 0.00 |");
    expect(stdout).toContain("| dev | bo | 0.00 | 0.50 | 0.25 | 0.00 | 0.00 | 0.75 | 0.00 |");
    expect(readFileSync(file, "utf8")).toContain(`${text},dev,bo,schedules,0.250000,0.000000\r\n`);
    await localAws.setCosts(canned, ["Project"]);
    const inactive = await run("--month", text, "--environment", "dev");
    expect(inactive.stdout).toContain(`No costs are known of ${text}.`);
    expect(inactive.stderr).toContain("Environment, StudioUser, StudioSchedule. Activate them");
  });
});
