import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreatePipelineCommand } from "@aws-sdk/client-sagemaker";
import { CreateScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StackFixture } from "../support/stack-fixture.ts";
import { makeSpace, roleOf, sweepOf } from "../support/studio-work.ts";

let stack: StackFixture;
let domainId: string;
let bucket: string;

const run = (script: string, ...args: readonly string[]) => {
  const command = ["--import", "tsx", `scripts/${script}.ts`, ...args, "--environment", "dev"];
  return stack.run(process.execPath, command, stack.folder, { DISPLAY: "", WAYLAND_DISPLAY: "" });
};
const apply = () => stack.terraform(["apply", "-auto-approve", "-no-color"]);
const made = async () =>
  (await stack.localAws.inventory()).filter((line) =>
    /^(sagemaker (app|pipeline|space|user-profile)|scheduler schedule) /.test(line),
  );
const of = (person: string, lines: readonly string[]) => lines.filter((line) => line.includes(person));

beforeAll(async () => {
  stack = await StackFixture.start(
    'userProfiles: [{ name: "ana" }, { name: "bo" }], homeFileSystemRetention: "Delete"',
  );
  await stack.apply();
  domainId = await stack.output("studio_domain_id");
  bucket = await stack.output("artifact_bucket");
  const scheduler = new SchedulerClient(stack.client);
  const s3 = new S3Client(stack.client);
  for (const person of ["ana", "bo"]) {
    await makeSpace(stack, domainId, { name: `${person}-1`, owner: person, sharing: "Private" });
    await stack.sagemaker.send(
      new CreatePipelineCommand({ PipelineName: `marimo-dev-${person}-grid-1`, ...sweepOf(person) }),
    );
    await scheduler.send(
      new CreateScheduleCommand({
        Name: `${person}-nightly`,
        GroupName: `marimo-dev-user-${person}`,
        ScheduleExpression: "cron(0 7 1 1 ? 2199)",
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: {
          Arn: "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
          RoleArn: roleOf(person),
          Input: "{}",
        },
      }),
    );
  }
  for (const Key of ["people/ana/data.csv", "people/ana/backup/ana-1/home/manifest.json"])
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "a".repeat(1024) }));
});
afterAll(() => stack?.stop());

it("lists what a person left, and deletes nothing without consent", async () => {
  const before = await made();
  const listed = await run("people", "remove", "Ana");
  expect(listed.code).toBe(1);
  for (const line of [
    `ana in "dev" (${domainId}, account 123456789012, us-east-1) has:`,
    "schedule marimo-dev-user-ana/ana-nightly",
    "pipeline marimo-dev-ana-grid-1",
    `s3://${bucket}/people/ana/, 2 objects, 2 versions, 2.0 KiB`,
    "Confirmation needs a terminal",
  ])
    expect(listed.output).toContain(line);
  expect(listed.output).toMatch(
    /space ana-1, of ana, private, volume of 7 GB, JupyterLab InService, backup of 2\d{3}-\S+: 0 files, .*people\/ana\/backup\/ana-1\/home\//,
  );
  expect(listed.output).not.toContain("bo-");
  expect(await made()).toEqual(before);

  const nobody = await run("people", "remove", "cy", "--yes");
  expect(nobody).toMatchObject({ code: 1, output: expect.stringContaining('"cy". It has ana, bo.') });
});

it("prints a link that signs a person in, and names the profiles where there is no such person", async () => {
  const opened = await run("open", "bo");
  expect(opened.code, opened.output).toBe(0);
  expect(opened.output).toContain('Studio of bo in "dev", for 5 minutes:');
  expect(opened.output).toMatch(/^https?:\/\/\S+token=\S+$/m);
  expect(await run("open", "cy")).toMatchObject({
    code: 1,
    output: expect.stringContaining("It has ana, bo."),
  });
});

it("deletes it, also after an interruption, and the apply that removes the profile then succeeds", async () => {
  stack.edit('"ana": "ml.t3.medium",', "");
  // The control: without the command, SageMaker refuses.
  const refused = await apply();
  expect(refused.code).not.toBe(0);
  expect(refused.output).toContain("ResourceInUse");

  await stack.localAws.setFaults([{ operation: "sagemaker:DeleteSpace", fault: "access-denied" }]);
  const interrupted = await run("people", "remove", "ana", "--yes");
  expect(interrupted.code, interrupted.output).toBe(1);
  expect(of("ana-1", await made())).toEqual([expect.stringMatching(/^sagemaker space /)]);
  await stack.localAws.setFaults([]);

  const others = (await made()).filter((line) => !line.includes("ana"));
  const removed = await run("people", "remove", "ana", "--yes");
  expect(removed.code, removed.output).toBe(0);
  expect(removed.output).toContain('{ name: "ana" } in userProfiles');
  expect(of("ana", await made())).toEqual([expect.stringMatching(/^sagemaker user-profile .*ana/)]);
  const applied = await apply();
  expect(applied.code, applied.output).toBe(0);
  expect(of("ana", await made())).toEqual([]);
  expect((await made()).filter((line) => !line.includes("ana"))).toEqual(others);

  const again = await run("people", "remove", "ana", "--yes");
  expect(again.code, again.output).toBe(0);
  expect(again.output).toContain("Nothing of ana is left");
});
