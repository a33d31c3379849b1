import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ListPipelinesCommand, paginateListProcessingJobs } from "@aws-sdk/client-sagemaker";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { deletePipeline } from "../../src/removal/jobs.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { runMarimoJob } from "../support/notebook-jobs.ts";
import { client, jobRequest, order, steps, uploadPayloads } from "../support/sweep-fixture.ts";

let jobs: Jobs;
const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-sweep-"));
beforeAll(async () => {
  jobs = await Jobs.start({ parallelJobs: 4 });
  await uploadPayloads(jobs, folder);
});
afterAll(async () => {
  await jobs?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// Pipelines of a failed test would affect the next test.
afterEach(async () => {
  const { PipelineSummaries = [] } = await jobs.sagemaker.send(new ListPipelinesCommand({}));
  const tools = { clients: { sagemaker: jobs.sagemaker }, log: () => {}, wait: setTimeout };
  for (const { PipelineName = "" } of PipelineSummaries) await deletePipeline(PipelineName, tools);
});

/** Unique, so that a retried test has another sweep. */
const nameOf = (stem: string) => `${stem}-261124173000-${randomUUID().slice(0, 4)}`;
const cell = (...lines: string[]) =>
  `@app.cell\ndef _():\n${lines.map((line) => `    ${line}\n`).join("")}    return\n`;
const notebook = (...cells: string[]) => ["import marimo\n\napp = marimo.App()\n", ...cells].join("\n\n");
const squares = notebook(
  cell(
    "import marimo as mo",
    'n = mo.cli_args()["n"]',
    'if n == 13: raise ValueError("thirteen")',
    'open("result.csv", "w").write(f"square\\n{n * n}\\n")',
  ),
);

async function pipelines(): Promise<number> {
  const { PipelineSummaries } = await jobs.sagemaker.send(new ListPipelinesCommand({}));
  return PipelineSummaries?.length ?? 0;
}

/** The names of all jobs of a row. */
async function jobsOf(sweep: string, row: number): Promise<string[]> {
  const found = [];
  const prefix = `marimo-dev-${sweep}-${row}-`;
  const pages = paginateListProcessingJobs(
    { client: jobs.sagemaker, pageSize: 100 },
    { NameContains: prefix },
  );
  for await (const page of pages)
    found.push(...(page.ProcessingJobSummaries ?? []).map(({ ProcessingJobName = "" }) => ProcessingJobName));
  return found.filter((name) => name.startsWith(prefix));
}

const cells = (table: string) =>
  table
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));

describe("a sweep", () => {
  it("of 16 rows survives interruptions and a killed client: each row is in the table once", async () => {
    const name = nameOf("squares");
    const request = await jobRequest(jobs, "shared", { "squares.py": squares });
    const rows = Array.from({ length: 16 }, (_, index) => [String(index + 1)]);
    const first = await client(jobs, folder, order(request, { name, columns: ["n"], rows }));
    const pipeline = `marimo-dev-${name}-1`;
    const interrupted = new Set<string>();
    const done = async () =>
      (await steps(jobs, pipeline).catch(() => [])).filter(({ status }) => status === "Succeeded").length;

    /** Interrupts running rows, until this many have been interrupted. */
    const interrupt = (count: number) =>
      expect
        .poll(
          async () => {
            for (const { name: row, status, job } of await steps(jobs, pipeline)) {
              const isNew = status === "Executing" && row !== "row-13" && !interrupted.has(row);
              if (!isNew || (await jobs.describe(job)).ProcessingStartTime === undefined) continue;
              if (interrupted.size >= count) break;
              if ((await jobs.describe(job)).ProcessingJobStatus !== "InProgress") continue;
              await jobs.localAws.interruptProcessingJob(job);
              interrupted.add(row);
            }
            return interrupted.size;
          },
          { interval: 200 },
        )
        .toBe(count);

    await expect.poll(done).toBeGreaterThan(1);
    await interrupt(2);
    await expect.poll(done).toBeGreaterThan(6);
    first.child.kill("SIGKILL");
    expect(await first.ended).toBeNull();
    expect(first.lines.join("\n")).toContain(`marimo-job resume ${name}`);
    await interrupt(5);

    const second = await client(jobs, folder, { sweep: name });
    // 1, because one row's notebook raised an exception.
    expect(await second.ended, second.lines.join("\n")).toBe(1);
    const table = readFileSync(join(folder, name, "table.csv"), "utf8");
    expect(await jobs.get(`shared/sweeps/${name}/table.csv`)).toBe(table);
    expect(table.split("\n")[0]).toBe("n,row,status,exit_status,attempts,seconds,error,square");
    // The error spans several lines.
    const thirteenth = table.slice(table.indexOf("\n13,13,"), table.indexOf("\n14,14,"));
    expect(thirteenth).toMatch(/^\n13,13,failed,1,1,[\d.]+,"?[\s\S]*Error: thirteen[\s\S]*,$/);
    const others = cells(table.replace(thirteenth, ""));
    expect(others.map(([n, row]) => [n, row])).toEqual(rows.filter(([n]) => n !== "13").map(([n]) => [n, n]));
    for (const [n, row, status, exitStatus, attempts, , error, square] of others) {
      expect([status, exitStatus, error, square]).toEqual(["done", "0", "", String(Number(n) ** 2)]);
      expect(attempts, `row ${row}`).toBe(interrupted.has(`row-${row}`) ? "2" : "1");
    }
    expect(await jobsOf(name, 13)).toHaveLength(1);
    const [again = ""] = interrupted;
    expect(await jobsOf(name, Number(again.replace("row-", "")))).toHaveLength(2);
    expect(await pipelines()).toBe(0);
    expect(await jobs.get(`shared/sweeps/${name}/rows/13/page.html`)).toContain("thirteen");
  });

  it("with one failed row is failed, and marimo-job says which row", async () => {
    const marimoJob = (...args: readonly string[]) => runMarimoJob(jobs, { folder, home: folder }, ...args);
    const name = nameOf("words");
    const request = await jobRequest(jobs, "shared", { "squares.py": squares });
    const rows = [["1"], ["13"], ["3"], ["4"], ["5"]];
    const one = await client(jobs, folder, order(request, { name, columns: ["n"], rows }));
    expect(await one.ended, one.lines.join("\n")).toBe(1);
    expect(one.lines.join("\n")).toContain("failed, 5 rows: 4 done, 1 failed");

    const list = await marimoJob("list");
    expect(list.stdout, list.stderr).toMatch(new RegExp(`^${name} +failed, 5 rows: 4 done, 1 failed$`, "m"));
    // The rows are one entry with their sweep.
    expect(list.stdout).not.toContain(`marimo-dev-${name}-`);
    const sweep = await marimoJob("sweep", name);
    expect(sweep.stdout, sweep.stderr).toMatch(
      /^\S+: failed, 5 rows: 4 done, 1 failed\nrow 2 failed: ValueError: thirteen\n.*rows\/2\/page.html\nTable: s3:.*table.csv\n$/,
    );
    const [failed = ""] = await jobsOf(name, 2);
    const status = await marimoJob("status", failed);
    expect(status.stdout, status.stderr).toMatch(new RegExp(`^${failed}: failed after `));
    expect(status.stdout).toMatch(/File "squares.py", line 10, in <module> \(cell 1\)/);
    const [done = ""] = await jobsOf(name, 1);
    expect((await marimoJob("status", done)).stdout).toMatch(new RegExp(`^${done}: done after `));
    const wrong = await marimoJob("status", name);
    expect(wrong).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(`marimo-job sweep ${name}`),
    });
  });

  it("runs a notebook after its rows, which can read their output", async () => {
    const name = nameOf("then");
    const after = notebook(
      cell(
        "from pathlib import Path",
        "import marimo as mo",
        'files = sorted(Path(mo.cli_args()["rows"]).glob("*/files/result.csv"))',
        'open("sum.txt", "w").write(str(sum(int(file.read_text().split()[1]) for file in files)))',
      ),
    );
    const request = await jobRequest(jobs, "own", { "squares.py": squares, "after.py": after });
    const own = { name, columns: ["n"], rows: [["3"], ["4"]], then_notebook: "after.py" };
    const one = await client(jobs, folder, order(request, own));
    expect(await one.ended, one.lines.join("\n")).toBe(0);
    expect(await jobs.get(`shared/sweeps/${name}/then/files/sum.txt`)).toBe("25");
  });

  it("stops a row at its time limit, and reports it as a failure of the notebook", async () => {
    const slow = notebook(
      cell("import time", 'open("result.csv", "w").write("a\\n1\\n")', "time.sleep(600)"),
    );
    const request = await jobRequest(jobs, "shared", { "slow.py": slow });
    const own = { name: nameOf("slow"), columns: ["n"], rows: [["1"]], minutes: 0.5 };
    const one = await client(jobs, folder, order(request, own));
    expect(await one.ended, one.lines.join("\n")).toBe(1);
    const [row] = cells(readFileSync(join(folder, own.name, "table.csv"), "utf8"));
    expect(row?.slice(0, 5)).toEqual(["1", "1", "failed", "143", "1"]);
    expect(row?.at(-1)).toBe("1");
  });

  it("does not run what somebody wrote over its sources, and can be resumed with those that were sent", async () => {
    const request = await jobRequest(jobs, "shared", { "squares.py": squares });
    const key = `${String(request.ProcessingInputs[1]?.S3Input.S3Uri).replace(`s3://${bucket}/`, "")}squares.py`;
    await jobs.put(key, notebook(cell('open("result.csv", "w").write("square\\n666\\n")')));
    const own = { name: nameOf("poisoned"), columns: ["n"], rows: [["1"], ["2"]], parallel: 1 };
    const ended = async (given: object) => {
      const { ended, lines } = await client(jobs, folder, given);
      return [await ended, lines.join("\n")] as const;
    };
    const [first, lines] = await ended(order(request, own));
    expect(first, lines).toBe(75);
    const table = () => cells(readFileSync(join(folder, own.name, "table.csv"), "utf8"));
    expect(table().map((row) => row.slice(2, 5))).toContainEqual(["interrupted", "", "1"]);
    const text = readFileSync(join(folder, own.name, "table.csv"), "utf8");
    expect(text).toContain("exit code: 65");
    expect(text).toContain("not those that were sent");
    expect(text).not.toContain("666");
    expect(await jobsOf(own.name, 1)).toHaveLength(1);
    expect(await pipelines()).toBe(1);

    // Nor does it continue with another plan.
    const plan = (await jobs.get(`shared/sweeps/${own.name}/sweep.json`)) ?? "";
    await jobs.put(`shared/sweeps/${own.name}/sweep.json`, plan.replace('"attempts": 3', '"attempts": 4'));
    const [refused, reason] = await ended({ sweep: own.name });
    expect([refused, reason]).toEqual([
      1,
      expect.stringContaining("is not the one that the sweep was started with"),
    ]);
    await jobs.put(`shared/sweeps/${own.name}/sweep.json`, plan);
    await jobs.put(key, squares);
    const [second, more] = await ended({ sweep: own.name });
    expect(second, more).toBe(0);
    expect(table().map((row) => [row[2], row.at(-1)])).toEqual([
      ["done", "1"],
      ["done", "4"],
    ]);
    expect(await pipelines()).toBe(0);
  });
});
