import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StudioApi } from "../../../src/local-studio/studio-api.ts";
import { studioCosts } from "../../../src/local-studio/studio-costs.ts";

const ada = { domainId: "d-1", userProfileName: "ada" };
const space = (SpaceName: string, Status = "InService", OwnerUserProfileName = "ada") => ({
  ...{ DomainId: "d-1", SpaceName, Status },
  OwnershipSettingsSummary: { OwnerUserProfileName },
});
const app = (SpaceName: string, Status: string) => ({
  ...{ DomainId: "d-1", SpaceName, AppType: "JupyterLab", AppName: "default", Status },
  CreationTime: 1_800_000_000,
  ResourceSpec: { InstanceType: "ml.t3.medium" },
});

let folder: string;
let api: StudioApi;
let spaces: object[];
let apps: ReturnType<typeof app>[];
let jobs: object[];
/** A day of the bill. */
let billed: object;
/** The requested operations, except List operations. */
let operations: string[];
/** Replaces AWS: SageMaker operations by target, S3 operations by method and path. */
const server = createServer(async (request, response) => {
  let text = "";
  for await (const piece of request) text += String(piece);
  const operation = String(request.headers["x-amz-target"] ?? `${request.method} ${request.url}`);
  const name = operation.replace("SageMaker.", "");
  const body = text ? JSON.parse(text) : {};
  if (!name.startsWith("List")) operations.push(name);
  if (name === "DeleteApp") apps = apps.filter(({ SpaceName }) => SpaceName !== body.SpaceName);
  const mine = ({ SpaceName }: { SpaceName: string }) => SpaceName === (body.SpaceNameEquals ?? SpaceName);
  const s3 = ({ ProcessingJobName }: { ProcessingJobName: string }) => ({
    OutputName: "result",
    S3Output: { S3Uri: `s3://bucket/shared/jobs/${ProcessingJobName}` },
  });
  const answers: Record<string, () => object> = {
    "AWSInsightsIndexService.GetCostAndUsage": () => ({ ResultsByTime: [billed] }),
    DescribeDomain: () => ({ DomainName: "marimo-dev" }),
    ListUserProfiles: () => ({ UserProfiles: [{ UserProfileName: "bo" }, { UserProfileName: "ada" }] }),
    ListSpaces: () => ({ Spaces: spaces }),
    ListApps: () => ({ Apps: apps.filter(mine) }),
    ListProcessingJobs: () => ({ ProcessingJobSummaries: jobs }),
    DescribeApp: () => ({ FailureReason: "Lifecycle configuration ended with status 1" }),
    DescribeProcessingJob: () => ({ ProcessingOutputConfig: { Outputs: [s3(body)] } }),
  };
  const missing = request.method === "HEAD" && request.url?.includes("job-2/");
  response.writeHead(missing ? 404 : 200, { "content-type": "application/x-amz-json-1.1" });
  response.end(JSON.stringify(answers[name]?.() ?? {}));
});
beforeEach(async () => {
  [spaces, apps, jobs, operations] = [[space("ada-1")], [], [], []];
  billed = { TimePeriod: { Start: "2026-11-26" }, Groups: [] };
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-studio-api-"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = {
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  };
  api = new StudioApi({ client, logs: folder, stateFile: join(folder, "terraform.tfstate") });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

describe("the month's costs", () => {
  it("are on the bill or estimated, by person", async () => {
    const hour = 3_600_000;
    const now = new Date("2026-11-27T12:00:00Z");
    apps = [{ ...app("ada-1", "InService"), CreationTime: (now.getTime() - 2 * hour) / 1000 }];
    const group = {
      Keys: ["StudioUser$bo", "USE1-Studio:JupyterLab-ml.t3.medium"],
      Metrics: { UnblendedCost: { Amount: "7.5", Unit: "USD" } },
    };
    billed = { TimePeriod: { Start: "2026-11-26" }, Groups: [group] };
    const settings = {
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    };
    const { month, rows } = await studioCosts(settings, { domainId: "d-1", monthly: 73 }, now);
    const amounts = rows.map(({ person, kind, billed, estimated }) => [
      ...[person, kind],
      ...[billed, estimated].map((usd) => Number(usd.toFixed(2))),
    ]);
    expect([month, amounts]).toEqual([
      "2026-11",
      [
        ["ada", "apps", 0, 0.1],
        // What the second request for the jobs of schedules also has, as the server answers both alike.
        ["bo", "schedules", 7.5, 0],
        // 12 hours of 73 dollars a month.
        [undefined, "other", 0, 1.2],
      ],
    ]);
    expect(operations).toContain("AWSInsightsIndexService.GetCostAndUsage");
  });
});

describe("spaces", () => {
  it("are those of the user, with their state and failure reason", async () => {
    spaces = [
      ...["f", "e", "d", "c", "b", "a"].map((name) => space(name)),
      ...[space("g", "Pending"), space("h", "Deleting"), space("theirs", "InService", "bo")],
    ];
    apps = [
      ...[app("a", "Pending"), app("b", "InService"), app("c", "Deleting"), app("d", "Failed")],
      ...[app("e", "Deleted"), app("theirs", "InService")],
    ];
    const overview = await api.overview(ada);
    expect(overview.profiles).toEqual(["ada", "bo"]);
    expect(overview.spaces.map(({ name, state }) => `${name} ${state}`)).toEqual([
      ...["a starting", "b running", "c stopping", "d failed", "e stopped", "f stopped"],
      ...["g starting", "h deleting"],
    ]);
    expect(overview.spaces[0]).toMatchObject({
      started: new Date("2027-01-15T08:00:00Z"),
      instanceType: "ml.t3.medium",
    });
    expect(overview.spaces[3]?.reason).toBe("Lifecycle configuration ended with status 1");
  });

  it("start: deletes a failed app first, and does not change a running one", async () => {
    apps = [app("ada-1", "Failed")];
    await api.act(ada, "start", "ada-1");
    expect(operations.filter((name) => name !== "DescribeApp")).toEqual(["DeleteApp", "CreateApp"]);
    operations = [];
    apps = [app("ada-1", "InService")];
    await api.act(ada, "start", "ada-1");
    expect(operations).toEqual(["CreateApp"]);
  });

  it.each(["start", "stop", "delete"] as const)("of other users cannot be changed: %s", async (action) => {
    spaces = [space("bo-1", "InService", "bo")];
    apps = [app("bo-1", "InService")];
    await expect(api.act(ada, action, "bo-1")).rejects.toThrow('ada has no space "bo-1"');
    expect(operations).toEqual([]);
  });
});

describe("jobs", () => {
  it("show whether they have a page, which is checked once", async () => {
    const ended = { ProcessingJobStatus: "Completed", ProcessingEndTime: 1 };
    jobs = [
      { ProcessingJobName: "job-1", ...ended },
      { ProcessingJobName: "job-2", ...ended, FailureReason: "AlgorithmError", ExitMessage: "ValueError" },
      { ProcessingJobName: "job-3", ProcessingJobStatus: "InProgress" },
    ];
    for (const _ of [1, 2]) {
      const overview = await api.overview(ada);
      expect(overview.jobs.map(({ hasPage }) => hasPage)).toEqual([true, false, false]);
      expect(overview.jobs[1]?.reason).toBe("AlgorithmError\nValueError");
    }
    expect(operations.filter((name) => name.startsWith("HEAD"))).toHaveLength(2);
  });
});

describe("a log", () => {
  it("has the last lines of a file, without the requests of the page itself", async () => {
    const own = "sagemaker:ListSpaces 200 27 ms\n";
    writeFileSync(join(folder, "local-aws.log"), `${"x\n".repeat(300)}${own}last\n${own}`);
    const lines = (await api.log(ada, "local-aws")).split("\n");
    expect(lines).toHaveLength(200);
    expect(lines.slice(-2)).toEqual(["x", "last"]);
    expect(await api.log(ada, "deploy")).toBe("");
  });

  it("of a space is visible only to its owner", async () => {
    spaces = [space("ada-1"), space("bo-1", "InService", "bo")];
    for (const name of ["ada-1", "bo-1"]) writeFileSync(join(folder, `space-${name}.log`), `of ${name}`);
    expect(await api.log(ada, "space/ada-1")).toBe("of ada-1");
    expect(await api.log(ada, "space/bo-1")).toBe("");
  });

  it.each(["", "synth", "../local-aws", "toString"])("cannot be %j", async (id) => {
    writeFileSync(join(folder, "synth.log"), "secret");
    await expect(api.log(ada, id)).rejects.toThrow("is not a log");
  });
});
