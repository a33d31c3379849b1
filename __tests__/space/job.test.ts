import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { Jobs } from "../support/jobs-fixture.ts";
import { notebook, putPayload, submit } from "../support/notebook-jobs.ts";

let jobs: Jobs;
beforeAll(async () => {
  jobs = await Jobs.start();
  await putPayload(jobs);
});
afterAll(() => jobs.stop());

describe("a notebook in a processing job", () => {
  it("produces its page, files and result, and can import local modules", async () => {
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
      jobs,
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
      marimo: marimoDefaults.marimoVersion,
    });
  });

  it("produces its page even if a cell raises, and the job reports the exception", async () => {
    const { job, get, result } = await submit(jobs, {
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
    expect((await jobs.log(job)).join("\n")).toContain("the output was uploaded");
  });
});
