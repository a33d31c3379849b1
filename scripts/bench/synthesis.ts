import { spawn } from "node:child_process";
import { projectFolder } from "../../src/cli/paths.ts";
import { copyProject } from "./project-copy.ts";
import { type Benchmark, type BenchmarkProps, median, type Report, table } from "./report.ts";

interface Sample {
  readonly milliseconds: number;
  readonly peakMiB: number;
}

/** Makes the measured process write its peak resident memory (KiB) to file descriptor 3. */
const reportMemory = `data:text/javascript,${encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => writeSync(3, String(process.resourceUsage().maxRSS)));',
)}`;

function measure(cwd: string, args: readonly string[], signal: AbortSignal): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, ["--import", reportMemory, ...args], {
      cwd,
      signal,
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
      else reject(new Error(`node ${args.join(" ")} failed with status ${code}:\n${errors}`));
    });
  });
}

/** The settings of an environment `dev` with these numbers of users and teams, as TypeScript. A user is in two teams. */
export function environmentsOf(users: number, teams = 0): string {
  const userProfiles = Array.from({ length: users }, (_, i) => ({
    name: `user-${i}`,
  }));
  const membersOf = (team: number) =>
    userProfiles.filter((_, i) => [i, i + 1].some((one) => one % teams === team)).map(({ name }) => name);
  const ofTeams = Array.from({ length: teams }, (_, i) => ({
    name: `team-${i}`,
    members: membersOf(i),
    access: {
      buckets: [{ name: `acme-${i}`, write: true }],
      glueDatabases: [`sales_${i}`],
      redshift: [{ cluster: "warehouse", database: `sales_${i}` }],
      lakeFormation: true,
    },
    allowedInstanceTypes: ["ml.g5.12xlarge"],
  })).filter(({ members }) => members.length > 0);
  return JSON.stringify([
    {
      ...{ name: "dev", homeFileSystemRetention: "Delete", userProfiles },
      ...(ofTeams.length === 0 ? {} : { teams: ofTeams }),
    },
  ]);
}

async function run({ runs, signal }: BenchmarkProps): Promise<Report> {
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
      // Run -1 fills the file cache and is not counted. The cases alternate, so that a slow phase affects all of them.
      for (const [i, { name, cwd, args }] of cases.entries()) {
        process.stderr.write(`\r\x1b[Krun ${run + 1}/${runs}: ${name}`);
        const sample = await measure(cwd, args, signal);
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
  const rows = medians.map((row, i) => ({
    name: (cases[i] as (typeof cases)[number]).name,
    ...row,
    timeToFloor: row.milliseconds / floor.milliseconds,
    memoryToFloor: row.peakMiB / floor.peakMiB,
  }));
  const text = table(
    ["case", "time", "to floor", "peak memory", "to floor"],
    rows.map((row) => [
      row.name,
      `${row.milliseconds.toFixed(0)} ms`,
      row.timeToFloor.toFixed(2),
      `${row.peakMiB.toFixed(0)} MiB`,
      row.memoryToFloor.toFixed(2),
    ]),
  );
  const targets = [
    {
      target: "main.ts, 1 user, under 2x of the floor",
      value: one.milliseconds / floor.milliseconds,
      limit: 2,
    },
    {
      target: "10,000 users within 1.2x of 1 user",
      value: last.milliseconds / one.milliseconds,
      limit: 1.2,
    },
  ];
  return { text, targets, results: rows };
}

export const synthesis: Benchmark = {
  about: "main.ts for 1, 100, 1,000 and 10,000 users, compared to the floor: Node.js that only loads cdktf",
  defaultRuns: 5,
  run,
};
