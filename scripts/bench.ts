import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectFolder, workFolder } from "../src/local-studio/paths.ts";
import { copyProject } from "./lib/project-copy.ts";

const usage = `npm run bench [-- --runs N]

Measures the synthesis for 1, 100, 1,000 and 10,000 users against the floor (node loading cdktf alone) in one run,
prints a table, and writes bench.json into .local-studio/.

  --runs N   how often each case runs, 1-100; the median counts (default 5)
  --help     this text

Exit status: 0 both targets met, 1 a target missed or a run failed, 2 wrong usage.`;

interface Sample {
  readonly milliseconds: number;
  readonly peakMiB: number;
}

interface Row extends Sample {
  readonly name: string;
  readonly timeToFloor: number;
  readonly memoryToFloor: number;
}

/** Reports the peak resident memory (KiB) of the measured process itself on its file descriptor 3. */
const reportMemory = `data:text/javascript,${encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => writeSync(3, String(process.resourceUsage().maxRSS)));',
)}`;

function measure(cwd: string, args: readonly string[]): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, ["--import", reportMemory, ...args], {
      cwd,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    let memory = "";
    let errors = "";
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      memory += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const milliseconds = performance.now() - start;
      if (code === 0) resolve({ milliseconds, peakMiB: Number(memory) / 1024 });
      else reject(new Error(`node ${args.join(" ")} ended with ${code}:\n${errors}`));
    });
  });
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] as number;

function environmentsOf(users: number): string {
  const userProfiles = Array.from({ length: users }, (_, i) => ({
    name: `user-${i}`,
  }));
  return JSON.stringify([{ name: "dev", homeFileSystemRetention: "Delete", userProfiles }]);
}

async function main(): Promise<number> {
  let runs: number;
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: "string", default: "5" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    runs = Number(values.runs);
    if (!Number.isInteger(runs) || runs < 1 || runs > 100) {
      throw new Error(`--runs was "${values.runs}"; a whole number from 1 to 100 is allowed.`);
    }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }

  const copies = [1, 100, 1_000, 10_000].map((users) => ({
    users,
    ...copyProject(environmentsOf(users)),
  }));
  const cases = [
    {
      name: "floor: node loads cdktf",
      cwd: projectFolder,
      args: ["--input-type=module", "-e", 'import "cdktf";'],
    },
    ...copies.map(({ users, folder }) => ({
      name: `main.ts, ${users.toLocaleString("en")} user${users === 1 ? "" : "s"}`,
      cwd: folder,
      args: ["--import", "tsx", "main.ts"],
    })),
  ];
  const samples = cases.map((): Sample[] => []);
  try {
    for (let run = -1; run < runs; run++) {
      // Run -1 warms the file cache and does not count. The cases take turns, so that a slow moment of the machine hits all.
      for (const [i, { name, cwd, args }] of cases.entries()) {
        process.stderr.write(`\r\x1b[Krun ${run + 1}/${runs}: ${name}`);
        const sample = await measure(cwd, args);
        if (run >= 0) samples[i]?.push(sample);
      }
    }
  } finally {
    process.stderr.write("\r\x1b[K");
    for (const copy of copies) copy.remove();
  }

  const medians = samples.map((of) => ({
    milliseconds: median(of.map((sample) => sample.milliseconds)),
    peakMiB: median(of.map((sample) => sample.peakMiB)),
  }));
  const [floor, one] = medians as [Sample, Sample];
  const last = medians.at(-1) as Sample;
  const rows: Row[] = medians.map((row, i) => ({
    name: (cases[i] as (typeof cases)[number]).name,
    ...row,
    timeToFloor: row.milliseconds / floor.milliseconds,
    memoryToFloor: row.peakMiB / floor.peakMiB,
  }));
  console.log("| case | time | of floor | peak memory | of floor |\n|---|---:|---:|---:|---:|");
  for (const row of rows) {
    console.log(
      `| ${row.name} | ${row.milliseconds.toFixed(0)} ms | ${row.timeToFloor.toFixed(2)} | ${row.peakMiB.toFixed(0)} MiB | ${row.memoryToFloor.toFixed(2)} |`,
    );
  }
  const targets = [
    {
      target: "main.ts, 1 user, under 2x the floor",
      ratio: one.milliseconds / floor.milliseconds,
      limit: 2,
    },
    {
      target: "10,000 users within 1.2x of 1 user",
      ratio: last.milliseconds / one.milliseconds,
      limit: 1.2,
    },
  ].map((target) => ({ ...target, met: target.ratio < target.limit }));
  console.log();
  for (const { target, ratio, met } of targets)
    console.log(`${met ? "met   " : "missed"} ${target}: ${ratio.toFixed(2)}`);

  const file = join(workFolder, "bench.json");
  mkdirSync(workFolder, { recursive: true });
  const machine = {
    node: process.version,
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memory: totalmem(),
    release: release(),
  };
  writeFileSync(file, `${JSON.stringify({ runs, machine, rows, targets }, null, 2)}\n`);
  console.log(`\nwritten: ${file}`);
  return targets.every(({ met }) => met) ? 0 : 1;
}

process.exitCode = await main();
