import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescribeTrainingJobCommand, ListTrainingJobsCommand } from "@aws-sdk/client-sagemaker";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Jobs } from "../support/jobs-fixture.ts";
import { notebook, runMarimoJob } from "../support/notebook-jobs.ts";
import { realPayload } from "../support/space-fixture.ts";

let jobs: Jobs;
let folder: string;
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
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-training-job-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const marimoJob = (...args: readonly string[]) => runMarimoJob(jobs, { folder, home }, ...args);
const outputs = (stem: string) =>
  readdirSync(join(home, "marimo-jobs")).filter((name) => name.startsWith(`marimo-dev-${stem}-`));
const describeJob = (name: string) =>
  jobs.sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));

/** Goes on from its checkpoint. */
const training = `import json
from pathlib import Path

from sagemaker_marimo import job

state = job.checkpoint_folder / "state.json"
done = json.loads(state.read_text()) if state.is_file() else []
for epoch in range(len(done) + 1, 8):
    done.append(epoch)
    state.write_text(json.dumps(done))
    print("epoch", epoch)
Path("epochs.txt").write_text(str(len(done)))`;

describe("a notebook in a training job", () => {
  it("leaves its page, files, result and checkpoints, and is listed and shown as every job", async () => {
    writeFileSync(join(folder, "train.py"), notebook(training));
    const args = ["run", "train.py", "--checkpoints", "--time-limit", "5"];
    const { code, stdout, stderr } = await marimoJob(...args);
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain("epoch 7");
    const [name = ""] = outputs("train");
    const output = join(home, "marimo-jobs", name);
    expect(readFileSync(join(output, "page.html"), "utf8")).toContain("<marimo");
    expect(readFileSync(join(output, "files/epochs.txt"), "utf8")).toBe("7");
    const { CheckpointConfig } = await describeJob(name);
    expect(stderr).toContain(`Checkpoints: ${CheckpointConfig?.S3Uri}/`);
    const saved = await jobs.get(`${new URL(CheckpointConfig?.S3Uri ?? "").pathname.slice(1)}/state.json`);
    expect(JSON.parse(saved ?? "")).toEqual([1, 2, 3, 4, 5, 6, 7]);
    // Only in the bucket: they can be large.
    expect(readdirSync(output)).not.toContain("checkpoints");
    const status = JSON.parse((await marimoJob("status", name, "--json")).stdout);
    expect(status).toMatchObject({
      job: name,
      state: "done",
      kind: "training",
      spot: false,
      interruptions: 0,
    });
    expect((await marimoJob("list")).stdout).toMatch(new RegExp(`^${name} +done after `, "m"));
    expect((await marimoJob("logs", name)).stdout).toContain("epoch 7");
  });

  it("that raises fails with the notebook's status, message and page", async () => {
    writeFileSync(join(folder, "fails.py"), notebook(`raise ValueError("its own failure")`));
    const { code, stderr } = await marimoJob("run", "fails.py", "--checkpoints");
    expect(code, stderr).toBe(1);
    const [name = ""] = outputs("fails");
    expect((await describeJob(name)).FailureReason).toContain("its own failure");
    expect(readdirSync(join(home, "marimo-jobs", name))).toEqual(
      expect.arrayContaining(["page.html", "result.json"]),
    );
  });

  it("that is stopped leaves its page and files so far", async () => {
    const cell = `import time\nfrom pathlib import Path\nPath("made.txt").write_text("x")\nprint("sleeping")\ntime.sleep(600)`;
    writeFileSync(join(folder, "slow.py"), notebook(cell));
    const name = (await marimoJob("run", "slow.py", "--spot", "--detach")).stdout.trim();
    await expect.poll(() => jobs.log(name, "TrainingJobs")).toContain("sleeping");
    expect((await marimoJob("stop", name)).code).toBe(0);
    const { code, stderr } = await marimoJob("logs", name, "--follow");
    expect(code, stderr).toBe(143);
    expect(stderr).toContain("Spot: never interrupted");
    const output = join(home, "marimo-jobs", name);
    expect(readFileSync(join(output, "files/made.txt"), "utf8")).toBe("x");
    expect(readdirSync(output)).toContain("page.html");
  });
});

describe("a training job on Spot", () => {
  it("goes on from its checkpoints when AWS interrupts it twice, and says so", async () => {
    // Two epochs at each start.
    const cell = `import json
import time
from pathlib import Path

from sagemaker_marimo import job

state = job.checkpoint_folder / "state.json"
done = json.loads(state.read_text()) if state.is_file() else []
for epoch in range(len(done) + 1, len(done) + 3):
    done.append(epoch)
state.write_text(json.dumps(done))
if len(done) < 6:
    time.sleep(600)
Path("epochs.txt").write_text(json.dumps(done))`;
    writeFileSync(join(folder, "spot.py"), notebook(cell));
    const name = (await marimoJob("run", "spot.py", "--spot", "--checkpoints", "--detach")).stdout.trim();
    const { CheckpointConfig } = await describeJob(name);
    const saved = `${new URL(CheckpointConfig?.S3Uri ?? "").pathname.slice(1)}/state.json`;
    for (const epochs of ["[1, 2]", "[1, 2, 3, 4]"]) {
      await expect.poll(() => jobs.get(saved)).toBe(epochs);
      await jobs.localAws.interruptTrainingJob(name);
    }
    const { code, stdout, stderr } = await marimoJob("logs", name, "--follow");
    expect(code, stdout + stderr).toBe(0);
    const output = join(home, "marimo-jobs", name);
    expect(readFileSync(join(output, "files/epochs.txt"), "utf8")).toBe("[1, 2, 3, 4, 5, 6]");
    expect(stderr).toMatch(/^Spot: interrupted 2 times; billed \d+ s of \d+ s: saved \d+%/m);
    const status = JSON.parse((await marimoJob("status", name, "--json")).stdout);
    expect(status).toMatchObject({ state: "done", spot: true, interruptions: 2 });
  });
});

describe("a training job on two nodes", () => {
  it("runs the notebook on both, which reach one another, and has the first one's page", async () => {
    const cell = `import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

from sagemaker_marimo import job

if job.is_first:
    with Listener((job.host, 29500), authkey=b"of the test") as listener, listener.accept() as peer:
        print("total", 1 + peer.recv(), "of", len(job.hosts))
else:
    peer = None
    while peer is None:
        try:
            peer = Client((job.hosts[0], 29500), authkey=b"of the test")
        except OSError:
            time.sleep(0.2)
    peer.send(10 * (job.rank + 1))
    Path("second.txt").write_text("of the second node")`;
    writeFileSync(join(folder, "nodes.py"), notebook(cell));
    const { code, stdout, stderr } = await marimoJob("run", "nodes.py", "--nodes", "2", "--time-limit", "5");
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain("[algo-1] total 21 of 2");
    const [name = ""] = outputs("nodes");
    const output = join(home, "marimo-jobs", name);
    const [node = "", ...others] = readdirSync(join(output, "nodes"));
    expect(others).toEqual([]);
    expect(readFileSync(join(output, "nodes", node, "files/second.txt"), "utf8")).toBe("of the second node");
    expect(readFileSync(join(output, "page.html"), "utf8")).toContain("total 21 of 2");
  });
});

describe("a sweep of training jobs", () => {
  it("has each row once, and the message of one that raised", async () => {
    const cell = `import csv, sys\nn = int(sys.argv[-1].partition("=")[2])\nif n == 2:\n    raise ValueError("two is wrong")\nwith open("result.csv", "w") as file:\n    csv.writer(file).writerows([["square"], [n * n]])`;
    writeFileSync(join(folder, "squares.py"), notebook(cell));
    writeFileSync(join(folder, "grid.csv"), "n\n1\n2\n3\n");
    const { code, stdout, stderr } = await marimoJob(
      ...["run", "squares.py", "--each", "grid.csv", "--spot", "--checkpoints", "--time-limit", "5"],
      ...["--max-cost", "none"],
    );
    expect(code, stdout + stderr).toBe(1);
    const [sweep = ""] = readdirSync(join(home, "marimo-jobs")).filter((one) => one.startsWith("squares-"));
    const table = readFileSync(join(home, "marimo-jobs", sweep, "table.csv"), "utf8");
    // The message of a row can have several lines.
    expect(table.match(/^\d,\d,\w+,\d,\d,/gm)).toEqual(["1,1,done,0,1,", "2,2,failed,1,1,", "3,3,done,0,1,"]);
    expect(table).toMatch(/^3,3,done,0,1,.*,9$/m);
    expect(stderr).toContain("two is wrong");
    // Control: its jobs are training jobs, and not listed one by one.
    expect((await marimoJob("list")).stdout).toContain(sweep);
    expect((await marimoJob("list")).stdout).not.toMatch(new RegExp(`^marimo-dev-${sweep}`, "m"));
  });

  it("of 50 rows on Spot has each row once, though AWS interrupts ten of them", async () => {
    // The rows' own environments would take most of the time. The first ten rows wait until they are interrupted.
    const run = `#!/bin/bash
set -euo pipefail
n=\${2#--n=}
ml=$(cd "$(dirname "$0")/../../../.." && pwd)
output=$ml/processing/output
if ((n <= 10)) && [[ ! -f $ml/checkpoints/begun ]]; then
  touch "$ml/checkpoints/begun"
  sleep 600 &
  trap 'kill %1; exit 143' TERM
  wait
fi
mkdir -p "$output/files"
echo '{"exitStatus": 0, "seconds": {"packages": 0, "notebook": 0}}' >"$output/result.json"
printf 'square\\n%s\\n' $((n * n)) >"$output/files/result.csv"
aws s3 cp --recursive --only-show-errors "$output" "$MARIMO_JOB_OUTPUT"
`;
    const settings = { "settings.env": "MARIMO_TRANSPORT=auto\n" };
    await jobs.provide({ ...realPayload(), ...settings, "job/run.sh": run });
    writeFileSync(join(folder, "many.py"), notebook("print()"));
    const rows = Array.from({ length: 50 }, (_, index) => index + 1);
    writeFileSync(join(folder, "grid.csv"), `n\n${rows.join("\n")}\n`);
    const sweeping = marimoJob(
      ...["run", "many.py", "--each", "grid.csv", "--spot", "--checkpoints", "--time-limit", "5"],
      ...["--parallel", "10", "--max-cost", "none"],
    );
    const interrupted = new Set<string>();
    await expect
      .poll(async () => {
        const { TrainingJobSummaries = [] } = await jobs.sagemaker.send(
          new ListTrainingJobsCommand({ NameContains: "many-", StatusEquals: "InProgress" }),
        );
        for (const { TrainingJobName = "" } of TrainingJobSummaries) {
          const { CheckpointConfig } = await describeJob(TrainingJobName);
          const saved = new URL(CheckpointConfig?.S3Uri ?? "").pathname.replace(/^\/|\/$/g, "");
          if (interrupted.has(TrainingJobName) || (await jobs.get(`${saved}/begun`)) === undefined) continue;
          await jobs.localAws.interruptTrainingJob(TrainingJobName);
          interrupted.add(TrainingJobName);
        }
        return interrupted.size;
      })
      .toBe(10);
    const { code, stdout, stderr } = await sweeping;
    expect(code, stdout + stderr).toBe(0);
    const [sweep = ""] = readdirSync(join(home, "marimo-jobs")).filter((one) => one.startsWith("many-"));
    const table = readFileSync(join(home, "marimo-jobs", sweep, "table.csv"), "utf8")
      .trimEnd()
      .split("\n");
    const cells = table.slice(1).map((line) => line.split(","));
    expect(cells.map(([n, , status]) => `${n} ${status}`)).toEqual(rows.map((n) => `${n} done`));
    expect(cells.map((row) => Number(row.at(-1)))).toEqual(rows.map((n) => n * n));
    for (const name of interrupted) {
      const { SecondaryStatusTransitions = [] } = await describeJob(name);
      expect(SecondaryStatusTransitions.map(({ Status }) => Status)).toContain("Interrupted");
    }
  });
});
