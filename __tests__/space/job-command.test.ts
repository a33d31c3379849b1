import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { Jobs } from "../support/jobs-fixture.ts";
import { runMarimoJob } from "../support/notebook-jobs.ts";
import { realPayload } from "../support/space-fixture.ts";

let jobs: Jobs;
let folder: string;
/** Shared by all tests: uv caches the marimo that checks notebooks there. */
let home: string;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "sagemaker-marimo-job-home-"));
  jobs = await Jobs.start();
  await jobs.provide({ ...realPayload(), "settings.env": "MARIMO_TRANSPORT=auto\n" });
});
afterAll(async () => {
  await jobs.stop();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-job-command-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const notebook = (cell: string) =>
  `import marimo\n\n__generated_with = "${marimoDefaults.marimoVersion}"\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    ${cell}\n    return\n\n\nif __name__ == "__main__":\n    app.run()\n`;

const marimoJob = (...args: readonly string[]) => runMarimoJob(jobs, { folder, home }, ...args);
/** The folders of the outputs of this notebook's jobs. */
const outputs = (stem: string) =>
  readdirSync(join(home, "marimo-jobs")).filter((name) => name.startsWith(`marimo-dev-${stem}-`));

describe("marimo-job", () => {
  it("runs a notebook with a local import, and downloads its output", async () => {
    writeFileSync(join(folder, "beside.py"), "value = 6 * 7\n");
    const cell = `from pathlib import Path; import sys, beside; print("value", beside.value); Path("made.txt").write_text(sys.argv[-1])`;
    writeFileSync(join(folder, "analysis.py"), notebook(cell));
    const { code, stdout, stderr } = await marimoJob("run", "analysis.py", "--time-limit", "5", "--", "last");
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain("value 42");
    expect(stderr).toMatch(/It cost 0\.\d{4} USD/);
    // Not in the current folder, which may be a git repository.
    expect(readdirSync(folder)).toEqual(["analysis.py", "beside.py"]);
    const [name = ""] = outputs("analysis");
    const output = join(home, "marimo-jobs", name);
    expect(readFileSync(join(output, "files/made.txt"), "utf8")).toBe("last");
    expect(readFileSync(join(output, "page.html"), "utf8")).toContain("<marimo");
    expect(stderr).toContain(`in ${output}; the page is ${join(output, "page.html")}`);
    const status = JSON.parse((await marimoJob("status", name, "--json")).stdout);
    expect(status).toMatchObject({ job: name, status: "Completed", state: "done", instance: "ml.m5.large" });
    expect((await marimoJob("list")).stdout).toMatch(new RegExp(`^${name} +done after `, "m"));
    expect((await marimoJob("logs", name)).stdout).toContain("value 42");
  });

  it("exits with the notebook's status, and also downloads the page of a failed job", async () => {
    writeFileSync(join(folder, "fails.py"), notebook(`raise ValueError("its own failure")`));
    const { code, stdout, stderr } = await marimoJob("run", "fails.py");
    expect(code, stderr).toBe(1);
    expect(stdout).toContain('File "fails.py", line 9, in <module> (cell 1)');
    expect(stdout + stderr).not.toContain("__marimo__cell_");
    expect(stderr).toContain("its own failure");
    const [name = ""] = outputs("fails");
    expect(existsSync(join(home, "marimo-jobs", name, "page.html"))).toBe(true);
    expect((await marimoJob("list")).stdout).toMatch(new RegExp(`^${name} +failed after `, "m"));
    const mistyped = await marimoJob("status", name.replace("fails", "fials"));
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toContain(`Similar names:\n  ${name}\n`);
    expect(mistyped.stderr).not.toMatch(/Exception|operation/);
  });

  it("distinguishes an interrupted job from a failed one, and stops a job", async () => {
    writeFileSync(join(folder, "long.py"), notebook(`import time; time.sleep(300)`));
    const interrupted = (await marimoJob("run", "long.py", "--detach")).stdout.trim();
    await jobs.until(interrupted, ({ ProcessingJobStatus }) => ProcessingJobStatus === "InProgress");
    await jobs.localAws.interruptProcessingJob(interrupted);
    const followed = await marimoJob("logs", interrupted, "--follow");
    expect(followed.code, followed.stderr).toBe(75);
    expect(followed.stderr).toContain("InternalServerError");
    expect(followed.stderr).not.toContain("the page is");

    const stopped = (await marimoJob("run", "long.py", "--detach")).stdout.trim();
    await jobs.until(stopped, ({ ProcessingStartTime }) => ProcessingStartTime !== undefined);
    expect((await marimoJob("list")).stdout).toMatch(new RegExp(`^${stopped} +running for `, "m"));
    expect((await marimoJob("stop", stopped)).code).toBe(0);
    expect((await jobs.end(stopped)).ProcessingJobStatus).toBe("Stopped");
    const again = await marimoJob("stop", stopped);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(new RegExp(`^${stopped} has already ended: stopped after `));
    const open = await marimoJob("open", stopped);
    expect([open.code, open.stdout]).toEqual([1, ""]);
    expect(open.stderr).toMatch(new RegExp(`^${stopped}: stopped after .*\n.*(no page|no output)`));
  });

  it("sends nothing if there is a problem, and nothing in a dry run", async () => {
    writeFileSync(join(folder, "dry.py"), notebook("1"));
    // Two cells define the same name, which is an error for marimo check.
    const cells = notebook("x = 1").replace(
      "if __name__",
      "@app.cell\ndef _():\n    x = 2\n    return\n\n\nif __name__",
    );
    writeFileSync(join(folder, "twice.py"), cells);
    const refused = await marimoJob("run", "twice.py", "--instance", "ml.m5.huge", "--time-limit", "61");
    expect(refused.code).toBe(2);
    for (const part of ["marimo check found errors", "ml.m5.huge", "--time-limit 61"])
      expect(refused.stderr).toContain(part);
    const dry = await marimoJob("run", "dry.py", "--dry-run");
    expect(dry.code, dry.stderr).toBe(0);
    const { request, files } = JSON.parse(dry.stdout);
    expect(files).toEqual(["dry.py"]);
    const prefix = new URL(request.ProcessingInputs[1].S3Input.S3Uri).pathname.slice(1);
    expect(await jobs.get(`${prefix}dry.py`)).toBeUndefined();
    expect((await marimoJob("list")).stdout).not.toContain("-dry-");
  });
});
