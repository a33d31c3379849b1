import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { StopProcessingJobCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { bucket, Jobs } from "./jobs-fixture.ts";
import { lockFile, makeWheelhouse, realPayload, Space } from "./space-fixture.ts";

const payload = "0123456789abcdef";
let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start();
  const files = { ...realPayload(), "settings.env": "MARIMO_TRANSPORT=auto\n" };
  await Promise.all(
    Object.entries(files).map(([path, content]) =>
      jobs.put(`marimo/payload/${payload}/${path}`, content.toString()),
    ),
  );
});
afterAll(() => jobs.stop());

/** A notebook of these cells. */
const notebook = (...cells: string[]) =>
  [
    "import marimo\n\napp = marimo.App()",
    ...cells.map((cell) => `@app.cell\ndef _():\n${cell.replaceAll(/^(?=.)/gm, "    ")}\n    return`),
    'if __name__ == "__main__":\n    app.run()\n',
  ].join("\n\n\n");

let number = 0;
/** A job as `marimo-job` and schedules send it, its notebook the first of these files. */
async function submit(
  sources: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  file = Object.keys(sources)[0] ?? "",
  environment: Readonly<Record<string, string>> = {},
) {
  const name = `marimo-dev-test-${++number}`;
  for (const [path, text] of Object.entries(sources))
    await jobs.put(`marimo/job-sources/${name}/${path}`, text);
  const input = (InputName: string, prefix: string) => ({
    InputName,
    S3Input: {
      S3Uri: `s3://${bucket}/${prefix}/`,
      LocalPath: `/opt/ml/processing/input/${InputName}`,
      S3DataType: "S3Prefix" as const,
      S3InputMode: "File" as const,
      S3DataDistributionType: "FullyReplicated" as const,
    },
  });
  const target = `s3://${bucket}/marimo/jobs/${name}`;
  const job = await jobs.create("", {
    AppSpecification: {
      ImageUri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:tag",
      ContainerEntrypoint: ["/bin/bash", "/opt/ml/processing/input/runtime/job/run.sh"],
      ContainerArguments: [file, ...args],
    },
    Environment: {
      AWS_DEFAULT_REGION: "us-east-1",
      MARIMO_BUCKET: bucket,
      MARIMO_JOB_OUTPUT: target,
      ...environment,
    },
    ProcessingInputs: [
      input("runtime", `marimo/payload/${payload}`),
      input("source", `marimo/job-sources/${name}`),
    ],
    ProcessingOutputConfig: {
      Outputs: [
        {
          OutputName: "result",
          S3Output: { S3Uri: target, LocalPath: "/opt/ml/processing/output", S3UploadMode: "EndOfJob" },
        },
      ],
    },
  });
  const get = (path: string) => jobs.get(`marimo/jobs/${name}/${path}`);
  const result = async () => JSON.parse((await get("result.json")) ?? "null");
  return { job, get, result };
}

describe("a notebook in a processing job", () => {
  it("leaves its page, its files and its outcome, and finds what lies beside it", async () => {
    const cell = `
import sys
from pathlib import Path
import marimo as mo
import numpy
from beside import value
print("arguments", mo.cli_args(), value)
Path("table.csv").write_text("a,b\\n1,2\\n")
Path("deep").mkdir()
Path("deep/second.txt").write_text(sys.argv[-1])
Path("data.txt").write_text("changed")
mo.md(f"the page of {numpy.__name__}")`;
    const { job, get, result } = await submit(
      {
        "analysis.py": notebook(cell),
        "beside.py": "value = 42\n",
        "data.txt": "as it was",
        "other.txt": "x",
      },
      ["--env", "prod & co", "--n", "3", "--", 'it\'s "quoted"'],
    );
    const { ProcessingJobStatus, FailureReason } = await jobs.end(job);
    const log = (await jobs.log(job)).join("\n");
    expect(ProcessingJobStatus, FailureReason + log).toBe("Completed");
    expect(log).toContain("'env': 'prod & co'");
    expect(log).toContain(" 42\n");
    expect(await get("page.html")).toContain("the page of numpy");
    expect(await get("files/table.csv")).toBe("a,b\n1,2\n");
    expect(await get("files/deep/second.txt")).toBe('it\'s "quoted"');
    expect(await get("files/data.txt")).toBe("changed");
    for (const unchanged of ["other.txt", "beside.py", "analysis.py"])
      expect(await get(`files/${unchanged}`)).toBeUndefined();
    expect(await result()).toMatchObject({
      exitStatus: 0,
      notebook: "analysis.py",
      arguments: ["--env", "prod & co", "--n", "3", "--", 'it\'s "quoted"'],
      marimo: "0.25.2",
    });
  });

  it("fails with its page where a cell raises, and says in the job what was raised", async () => {
    const { job, get, result } = await submit({
      "raises.py": notebook(
        'from pathlib import Path\nPath("before.txt").write_text("x")',
        "1 / 0",
        'import marimo as mo\nmo.md("an independent cell")',
      ),
    });
    const { ExitMessage, FailureReason, ProcessingJobStatus } = await jobs.end(job);
    expect(ProcessingJobStatus).toBe("Failed");
    expect(FailureReason).toContain("exit code: 1");
    expect(ExitMessage).toMatch(/Traceback[\s\S]*ZeroDivisionError: division by zero$/);
    expect(await get("page.html")).toContain("an independent cell");
    expect(await get("files/before.txt")).toBe("x");
    expect((await result()).exitStatus).toBe(1);
    expect((await jobs.log(job)).join("\n")).toContain("the outcome was uploaded");
  });

  it("is told to stop, and what it had made is uploaded", async () => {
    const cell =
      'import time\nfrom pathlib import Path\nPath("made.txt").write_text("x")\nprint("sleeping")\ntime.sleep(600)';
    const { job, get, result } = await submit({ "slow.py": notebook(cell) });
    await expect.poll(() => jobs.log(job), { timeout: 60_000 }).toContain("sleeping");
    await jobs.sagemaker.send(new StopProcessingJobCommand({ ProcessingJobName: job }));
    expect((await jobs.end(job)).ProcessingJobStatus).toBe("Stopped");
    expect(await get("files/made.txt")).toBe("x");
    expect((await result()).exitStatus).toBe(143);
  });

  it("is missing: the job says so, and not with the notebook's own status", async () => {
    const { job } = await submit({ "there.py": notebook("1") }, [], "elsewhere.py");
    const { ExitMessage, FailureReason } = await jobs.end(job);
    expect(ExitMessage).toContain("there is no notebook elsewhere.py");
    expect(FailureReason).toContain("exit code: 70");
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
    submit({
      "own.py": notebook("import own_package\nprint(own_package.__name__)"),
      "requirements.lock": `own-package @ file://${wheel} --hash=sha256:${hash}\n`,
    });

  it("brings packages beside marimo's", async () => {
    const hash = createHash("sha256").update(readFileSync(wheel)).digest("hex");
    const { job } = await withLock(hash);
    expect((await jobs.end(job)).ProcessingJobStatus, (await jobs.log(job)).join("\n")).toBe("Completed");
    expect(await jobs.log(job)).toContain("own_package");
  });

  it("is refused where a package is another than it names", async () => {
    const { job } = await withLock("0".repeat(64));
    const { ExitMessage, FailureReason } = await jobs.end(job);
    expect(FailureReason).toContain("exit code: 70");
    expect(ExitMessage).toContain("the notebook's own packages could not be installed");
    expect((await jobs.log(job)).join("\n")).toMatch(/hash mismatch/i);
  });
});

// The packages are the image's: for Linux on x86-64.
describe.runIf(process.platform === "linux" && process.arch === "x64")("without a package index", () => {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-job-wheels-"));
  beforeAll(async () => {
    await makeWheelhouse(folder, (await pythonEnvironment("image")).python);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const withoutIndex = (cache: string) =>
    submit({ "offline.py": notebook('print("it ran")') }, [], undefined, {
      UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple",
      UV_HTTP_RETRIES: "0",
      UV_CACHE_DIR: join(folder, cache),
    });

  it("cannot run, and says so in the job", async () => {
    const { job } = await withoutIndex("first");
    const { ExitMessage, ProcessingJobStatus } = await jobs.end(job);
    expect(ProcessingJobStatus).toBe("Failed");
    expect(ExitMessage).toContain("marimo could not be installed");
  });

  it("runs with the wheelhouse in the bucket", async () => {
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
