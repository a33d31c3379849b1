import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { StopProcessingJobCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { notebook, putPayload, submit } from "../support/notebook-jobs.ts";
import { lockFile, makeWheelhouse, Space } from "../support/space-fixture.ts";

let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start();
  await putPayload(jobs);
});
afterAll(() => jobs.stop());

describe("a notebook in a processing job", () => {
  it("is stopped, and its output is uploaded", async () => {
    const cell =
      'import time\nfrom pathlib import Path\nPath("made.txt").write_text("x")\nprint("sleeping")\ntime.sleep(600)';
    const { job, get, result } = await submit(jobs, { "slow.py": notebook(cell) });
    await expect.poll(() => jobs.log(job)).toContain("sleeping");
    await jobs.sagemaker.send(new StopProcessingJobCommand({ ProcessingJobName: job }));
    expect((await jobs.end(job)).ProcessingJobStatus).toBe("Stopped");
    expect(await get("files/made.txt")).toBe("x");
    expect((await result()).exitStatus).toBe(143);
  });

  it("leaves its page and files so far if its instance is lost", async () => {
    const cells = [
      "from pathlib import Path\nimport time\nstarted = True",
      'started\nprint("the first " + "part")\nPath("made.txt").write_text("x")',
      "started\ntime.sleep(600)",
    ];
    const { job, get, result } = await submit(jobs, { "slow.py": notebook(...cells) }, [], undefined, {
      MARIMO_JOB_SAVE_SECONDS: "1",
    });
    await expect.poll(() => get("files/made.txt")).toBe("x");
    await expect.poll(() => get("page.html")).toContain("the first part");
    await jobs.localAws.interruptProcessingJob(job);
    expect((await jobs.end(job)).ProcessingJobStatus).toBe("Failed");
    // Control: what is written at the end is missing.
    expect(await result()).toBeNull();
    expect(await get("page.html")).toContain("the first part");
  });

  it("gets a secret that its request names, but not its value, and fails without it", async () => {
    const { prefix } = await pythonEnvironment("image");
    const created = await capture(
      join(prefix, "bin/aws"),
      [
        ...["secretsmanager", "create-secret", "--name", "marimo/warehouse"],
        ...["--secret-string", "s3cret\nof two lines "],
      ],
      { env: { ...jobs.localAws.environment, AWS_DEFAULT_REGION: "us-east-1" } },
    );
    const { ARN } = JSON.parse(created?.stdout ?? "") as { readonly ARN: string };
    const cell = 'import os\nprint(len(os.environ["WAREHOUSE"]), "MARIMO_SECRET_WAREHOUSE" in os.environ)';
    const { job } = await submit(jobs, { "nb.py": notebook(cell) }, [], undefined, {
      MARIMO_SECRET_WAREHOUSE: ARN,
    });
    const missing = await submit(jobs, { "nb.py": notebook(cell) }, [], undefined, {
      MARIMO_SECRET_WAREHOUSE: `${ARN}x`,
    });
    expect((await jobs.end(job)).ProcessingJobStatus, (await jobs.log(job)).join("\n")).toBe("Completed");
    expect(await jobs.log(job)).toContain("20 False");
    expect(JSON.stringify(await jobs.describe(job))).not.toContain("s3cret");
    const { ExitMessage, FailureReason } = await jobs.end(missing.job);
    expect(FailureReason).toContain("exit code: 70");
    expect(ExitMessage).toMatch(/^the secret arn:\S+x cannot be read: .*ResourceNotFound/);
  });

  it("is missing: the job fails with a status that no notebook has", async () => {
    const { job } = await submit(jobs, { "there.py": notebook("1") }, [], "elsewhere.py");
    const { ExitMessage, FailureReason } = await jobs.end(job);
    expect(ExitMessage).toContain("there is no notebook elsewhere.py");
    expect(FailureReason).toContain("exit code: 70");
  });
});

describe("a job whose sources somebody overwrites", () => {
  const sources = { "nb.py": notebook('import csv\nprint("mine", csv.__file__)') };
  const poison = "print('poisoned')\n";

  it("does not run them, and says what differs and what to do", async () => {
    const { job } = await submit(jobs, sources, [], undefined, {}, { "nb.py": poison });
    const { ExitMessage, FailureReason } = await jobs.end(job);
    expect(FailureReason).toContain("exit code: 65");
    expect(ExitMessage).toBe(
      "the files of the job are not those that were sent: nb.py was changed. Nothing of them ran. Send the job again",
    );
    expect((await jobs.log(job)).join("\n")).not.toContain("poisoned");
  });

  it("does not import a module that was added, and runs what was sent", async () => {
    const { job } = await submit(jobs, sources, [], undefined, {}, { "csv.py": poison });
    const { ProcessingJobStatus } = await jobs.end(job);
    const log = (await jobs.log(job)).join("\n");
    expect(ProcessingJobStatus, log).toBe("Completed");
    expect(log).toMatch(/^mine .*csv\.py$/m);
    expect(log).toContain("left out, because they were not sent: csv.py");
    expect(log).not.toContain("poisoned");
  });
});

describe("the notebook's own lock file", () => {
  let wheel: string;
  let space: Space;
  beforeAll(async () => {
    space = new Space();
    wheel = await space.wheel("own_package", (await pythonEnvironment("image")).python);
  });
  afterAll(() => space.dispose());
  const withLock = (hash: string) =>
    submit(jobs, {
      "own.py": notebook("import own_package\nprint(own_package.__name__)"),
      "requirements.lock": `own-package @ file://${wheel} --hash=sha256:${hash}\n`,
    });

  it("adds packages to marimo's", async () => {
    const hash = createHash("sha256").update(readFileSync(wheel)).digest("hex");
    const { job } = await withLock(hash);
    expect((await jobs.end(job)).ProcessingJobStatus, (await jobs.log(job)).join("\n")).toBe("Completed");
    expect(await jobs.log(job)).toContain("own_package");
  });

  it("is rejected if a package does not match its hash", async () => {
    const { job } = await withLock("0".repeat(64));
    const { ExitMessage, FailureReason } = await jobs.end(job);
    expect(FailureReason).toContain("exit code: 70");
    expect(ExitMessage).toContain("the notebook's own packages could not be installed");
    expect((await jobs.log(job)).join("\n")).toMatch(/hash mismatch/i);
  });
});

// The packages are for the image's platform, Linux on x86-64.
describe.runIf(process.platform === "linux" && process.arch === "x64")("without a package index", () => {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-job-wheels-"));
  beforeAll(async () => {
    await makeWheelhouse(folder, (await pythonEnvironment("image")).python);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const withoutIndex = (cache: string) =>
    submit(jobs, { "offline.py": notebook('print("it ran")') }, [], undefined, {
      UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple",
      UV_HTTP_RETRIES: "0",
      UV_CACHE_DIR: join(folder, cache),
    });

  it("a job fails, and says why", async () => {
    const { job } = await withoutIndex("first");
    const { ExitMessage, ProcessingJobStatus } = await jobs.end(job);
    expect(ProcessingJobStatus).toBe("Failed");
    expect(ExitMessage).toContain("marimo could not be installed");
  });

  it("a job runs with the wheelhouse in the bucket", async () => {
    const key = createHash("sha256").update(readFileSync(lockFile)).digest("hex").slice(0, 16);
    const wheels = readdirSync(folder).filter((name) => name.endsWith(".whl"));
    expect(wheels.length).toBeGreaterThan(10);
    for (const name of wheels) {
      await jobs.s3.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: `marimo/wheels/${key}/${name}`,
          Body: readFileSync(join(folder, name)),
        }),
      );
    }
    const { job } = await withoutIndex("second");
    expect((await jobs.end(job)).ProcessingJobStatus, (await jobs.log(job)).join("\n")).toBe("Completed");
    expect(await jobs.log(job)).toContain("it ran");
  });
});
