import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { networkSettings } from "../../src/local-studio/rehearsal.ts";
import { bucket, Jobs } from "./jobs-fixture.ts";
import { realPayload } from "./space-fixture.ts";

let jobs: Jobs;
let folder: string;
/** One for all: uv keeps marimo there, with which notebooks are checked. */
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
  `import marimo\n\n__generated_with = "0.25.2"\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    ${cell}\n    return\n\n\nif __name__ == "__main__":\n    app.run()\n`;

/** `marimo-job` as on a laptop: no space's settings in its home. */
async function marimoJob(...args: readonly string[]) {
  const { python, prefix } = await pythonEnvironment("image");
  const child = spawn(
    python,
    ["-B", join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/command.py"), ...args],
    {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${join(prefix, "bin")}:${process.env.PATH}`,
        ...networkSettings(process.env),
        HOME: home,
        MARIMO_BUCKET: bucket,
        AWS_REGION: "us-east-1",
        ...jobs.localAws.environment,
      },
    },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

describe("marimo-job", () => {
  it("runs a notebook that imports what lies beside it, and fetches what it leaves", async () => {
    writeFileSync(join(folder, "beside.py"), "value = 6 * 7\n");
    const cell = `from pathlib import Path; import sys, beside; print("value", beside.value); Path("made.txt").write_text(sys.argv[-1])`;
    writeFileSync(join(folder, "analysis.py"), notebook(cell));
    const { code, stdout, stderr } = await marimoJob("run", "analysis.py", "--time-limit", "5", "--", "last");
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain("value 42");
    expect(stderr).toMatch(/It cost 0\.\d{4} USD/);
    const [name = ""] = readdirSync(folder).filter((entry) => entry.startsWith("marimo-dev-analysis-"));
    expect(readFileSync(join(folder, name, "files/made.txt"), "utf8")).toBe("last");
    expect(readFileSync(join(folder, name, "page.html"), "utf8")).toContain("<marimo");
    const status = JSON.parse((await marimoJob("status", name, "--json")).stdout);
    expect(status).toMatchObject({ job: name, status: "Completed", instance: "ml.m5.large" });
    expect((await marimoJob("list")).stdout).toContain(name);
    expect((await marimoJob("logs", name)).stdout).toContain("value 42");
  });

  it("ends with the notebook's own status, and still fetches its page", async () => {
    writeFileSync(join(folder, "fails.py"), notebook(`raise ValueError("its own failure")`));
    const { code, stderr } = await marimoJob("run", "fails.py");
    expect(code, stderr).toBe(1);
    expect(stderr).toContain("its own failure");
    const [name = ""] = readdirSync(folder).filter((entry) => entry.startsWith("marimo-dev-fails-"));
    expect(existsSync(join(folder, name, "page.html"))).toBe(true);
  });

  it("tells a job that the platform interrupted from one that failed, and stops another", async () => {
    writeFileSync(join(folder, "long.py"), notebook(`import time; time.sleep(300)`));
    const interrupted = (await marimoJob("run", "long.py", "--detach")).stdout.trim();
    await jobs.until(interrupted, ({ ProcessingJobStatus }) => ProcessingJobStatus === "InProgress");
    await jobs.localAws.interruptProcessingJob(interrupted);
    const followed = await marimoJob("logs", interrupted, "--follow");
    expect(followed.code, followed.stderr).toBe(75);
    expect(followed.stderr).toContain("InternalServerError");

    const stopped = (await marimoJob("run", "long.py", "--detach")).stdout.trim();
    expect((await marimoJob("stop", stopped)).code).toBe(0);
    expect((await jobs.end(stopped)).ProcessingJobStatus).toBe("Stopped");
  });

  it("sends nothing where something is wrong, and nothing in a dry run", async () => {
    writeFileSync(join(folder, "dry.py"), notebook("1"));
    // A name that two cells define, which marimo check calls an error.
    const cells = notebook("x = 1").replace(
      "if __name__",
      "@app.cell\ndef _():\n    x = 2\n    return\n\n\nif __name__",
    );
    writeFileSync(join(folder, "twice.py"), cells);
    const refused = await marimoJob("run", "twice.py", "--instance", "ml.m5.huge", "--time-limit", "61");
    expect(refused.code).toBe(2);
    for (const part of ["marimo check refuses", "ml.m5.huge", "--time-limit 61"])
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
