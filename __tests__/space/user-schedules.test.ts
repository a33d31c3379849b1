import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { ListPipelinesCommand } from "@aws-sdk/client-sagemaker";
import { CreateScheduleGroupCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { Jobs } from "../support/jobs-fixture.ts";
import { runMarimoJob } from "../support/notebook-jobs.ts";
import { realPayload } from "../support/space-fixture.ts";

const account = "123456789012";
const RoleName = "marimo-dev-user-ana";
const roleArn = `arn:aws:iam::${account}:role/${RoleName}`;
const sagemaker = (resource: string) => `arn:aws:sagemaker:us-east-1:${account}:${resource}`;

let jobs: Jobs;
let iam: IAMClient;
let folder: string;
let home: string;

const allow = (Action: string | string[], Resource: string) => ({ Effect: "Allow", Action, Resource });
const rights = {
  start: allow("sagemaker:StartPipelineExecution", sagemaker("pipeline/marimo-dev-ana-*")),
  jobs: allow(["sagemaker:CreateProcessingJob", "sagemaker:AddTags"], sagemaker("*/marimo-dev-ana-*")),
  pass: allow("iam:PassRole", roleArn),
  list: allow("sagemaker:ListPipelineExecutions", sagemaker("pipeline/marimo-dev-ana-*")),
  key: allow("kms:*", "*"),
  bucket: allow("s3:*", "*"),
};
/** The role's rights, without some. */
const setRights = (without: readonly (keyof typeof rights)[] = []) =>
  iam.send(
    new PutRolePolicyCommand({
      RoleName,
      PolicyName: "own",
      PolicyDocument: JSON.stringify({
        Version: "2012-10-17",
        Statement: Object.entries(rights).flatMap(([name, statement]) =>
          without.some((one) => one === name) ? [] : statement,
        ),
      }),
    }),
  );

beforeAll(async () => {
  [home, folder] = ["home", "work"].map((name) =>
    mkdtempSync(join(tmpdir(), `sagemaker-marimo-schedules-${name}-`)),
  ) as [string, string];
  jobs = await Jobs.start({ iam: true });
  await jobs.provide({ ...realPayload(), "settings.env": "MARIMO_TRANSPORT=auto\n" });
  const settings = JSON.parse((await jobs.get("marimo/payload/jobs.json")) ?? "");
  const userRoleArnPrefix = roleArn.replace(/ana$/, "");
  await jobs.put(
    "marimo/payload/jobs.json",
    JSON.stringify({ ...settings, roleArn: null, userRoleArnPrefix }),
  );
  iam = new IAMClient(jobs.localAws.clientSettings());
  const trust = (Service: string, Condition?: object) => ({
    ...{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service } },
    ...(Condition === undefined ? {} : { Condition }),
  });
  const group = `arn:aws:scheduler:us-east-1:${account}:schedule-group/${RoleName}`;
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      trust("sagemaker.amazonaws.com"),
      trust("scheduler.amazonaws.com", { ArnLike: { "aws:SourceArn": group } }),
    ],
  });
  await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  await setRights();
  await new SchedulerClient(jobs.localAws.clientSettings()).send(
    new CreateScheduleGroupCommand({ Name: RoleName }),
  );
});
afterAll(async () => {
  await jobs?.stop();
  for (const one of [home, folder]) rmSync(one, { recursive: true, force: true });
});

const marimoJob = (...args: readonly string[]) =>
  runMarimoJob(jobs, { folder, home }, ...args, "--user", "ana");
const notebook = (cell: string) =>
  `import marimo\n\n__generated_with = "${marimoDefaults.marimoVersion}"\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    ${cell}\n    return\n\n\nif __name__ == "__main__":\n    app.run()\n`;
const fire = (name: string) => jobs.localAws.fireSchedule(name, RoleName);
interface Run {
  readonly state: string;
  readonly job: string | null;
  readonly output: string;
  readonly reason: string;
  readonly dollars: number;
}
async function history(name: string): Promise<readonly Run[]> {
  const { code, stdout, stderr } = await marimoJob("schedules", name, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).runs;
}
const states = async (name: string) => (await history(name)).map(({ state }) => state);

describe("a user's schedule", () => {
  it("prints its next times, fires as the user's role, and keeps a history with page and cost", async () => {
    writeFileSync(join(folder, "report.py"), notebook("print(6 * 7)"));
    const made = await marimoJob(
      ...["schedule", "report.py", "--cron", "0 7 * * MON-FRI", "--zone", "Europe/Berlin"],
    );
    expect(made.code, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/^((Mon|Tue|Wed|Thu|Fri) \d{4}-\d\d-\d\d 07:00 Europe\/Berlin\n){3}$/);
    expect((await marimoJob("schedules")).stdout).toMatch(
      /^report {2}0 7 \* \* MON-FRI Europe\/Berlin {2}next: .* last run: none$/m,
    );
    // A deployment deletes the payload's older version, and the schedule goes on with its copy.
    await jobs.put("marimo/payload/0123456789abcdef/job/run.sh", "exit 1");
    const fired = await fire("report");
    expect(fired.Error).toBeUndefined();
    expect(fired.PipelineExecutionArn).toContain(":pipeline/marimo-dev-ana-schedule-report/execution/");
    await expect.poll(() => states("report"), { interval: 3000 }).toEqual(["done"]);
    const [run] = await history("report");
    const key = `people/ana/jobs/marimo-dev-ana-schedule-report/${fired.PipelineExecutionArn?.split("/").at(-1)}`;
    expect(run?.output).toMatch(new RegExp(`^s3://[^/]+/${key}/$`));
    expect(run?.dollars).toBeGreaterThan(0);
    expect(await jobs.get(`${key}/page.html`)).toContain("<marimo");
    await jobs.put(
      "marimo/payload/0123456789abcdef/job/run.sh",
      realPayload()["job/run.sh"]?.toString() ?? "",
    );
  });

  it("fails without the role's rights, which its history tells", async () => {
    await setRights(["start"]);
    expect((await fire("report")).Error).toContain(
      "not authorized to perform: sagemaker:StartPipelineExecution",
    );
    await setRights(["jobs"]);
    expect((await fire("report")).Error).toBeUndefined();
    await setRights();
    const [run] = await history("report");
    expect(run).toMatchObject({ state: "failed", job: null });
    expect(run?.reason).toContain("not authorized to perform: sagemaker:CreateProcessingJob");
  });

  it("skips a run while an earlier one goes on, and does not while it is paused", async () => {
    writeFileSync(join(folder, "long.py"), notebook(`import time; time.sleep(600)`));
    const made = await marimoJob("schedule", "long.py", "--cron", "0 * * * *");
    expect(made.code, made.stderr).toBe(0);
    await fire("long");
    await fire("long");
    await expect.poll(() => states("long"), { interval: 3000 }).toEqual(["skipped", "running"]);
    const [skipped, running] = await history("long");
    expect(skipped?.reason).toMatch(/^skipped: the run \w+ of this schedule still goes on$/);
    expect((await marimoJob("unschedule", "long")).stderr).toContain("a run still goes on");
    await marimoJob("stop", running?.job ?? "");
    await expect
      .poll(async () => (await marimoJob("unschedule", "long")).stderr, { interval: 3000 })
      .toContain("is deleted");

    await marimoJob("pause", "report");
    await expect(fire("report")).rejects.toThrow("DISABLED");
    expect((await marimoJob("resume", "report")).stderr).toContain("Next: ");
    expect((await fire("report")).Error).toBeUndefined();
  });

  it("is refused with all its problems, and deleted with its pipeline", async () => {
    const refused = await marimoJob("schedule", "report.py", "--cron", "*/5 * * * *", "--zone", "Nowhere");
    expect(refused.code).toBe(2);
    for (const part of ["--zone Nowhere", "5 minutes apart", "there is already a schedule report"])
      expect(refused.stderr).toContain(part);
    await expect.poll(() => states("report"), { interval: 3000 }).not.toContain("running");
    expect((await marimoJob("unschedule", "report")).code).toBe(0);
    expect((await marimoJob("pause", "report")).stderr).toContain("there is no schedule report");
    const { PipelineSummaries } = await jobs.sagemaker.send(new ListPipelinesCommand({}));
    expect(PipelineSummaries).toEqual([]);
  });
});
