import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

const Bucket = "marimo-dev-123456789012-us-east-1";
const former = {
  "data.csv": "a,b\n",
  "marimo/jobs/marimo-dev-ana-report-1/page of May.html": "<p>May</p>",
  "marimo/payload/current": "0123456789abcdef",
};
const moved = {
  "marimo/payload/current": "0123456789abcdef",
  "people/ana/jobs/marimo-dev-ana-report-1/page of May.html": "<p>May</p>",
  "shared/data.csv": "a,b\n",
};

let project: ReturnType<typeof copyProject>;
let localAws: LocalAws;
let s3: S3Client;
beforeAll(async () => {
  const { python } = await pythonEnvironment("aws");
  project = copyProject('[{ name: "dev", userProfiles: [{ name: "ana" }] }]');
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  s3 = new S3Client({ ...localAws.clientSettings(), region: "us-east-1", forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket }));
  for (const [Key, Body] of Object.entries(former))
    await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

async function moveData(...args: string[]) {
  const command = ["--import", "tsx", "scripts/move-data.ts", "--environment", "dev", ...args];
  const env = { ...process.env, ...localAws.environment };
  const ended = await capture(process.execPath, command, { cwd: project.folder, env });
  return { status: ended?.status, output: `${ended?.stdout}${ended?.stderr}` };
}

async function objects(): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket })) {
    for (const { Key = "" } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      found[Key] = (await Body?.transformToString()) ?? "";
    }
  }
  return found;
}

it("lists what a former deployment left, moves it on request, and then has nothing to do", async () => {
  const listed = await moveData();
  expect(listed).toMatchObject({ status: 1, output: expect.stringContaining("(top) → shared: 1 objects") });
  expect(await objects()).toEqual(former);

  const done = await moveData("--yes");
  expect(done.status, done.output).toBe(0);
  expect(await objects()).toEqual(moved);

  const again = await moveData();
  expect(again).toMatchObject({ status: 0, output: expect.stringContaining("is where it belongs") });
});
