import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { jobs } from "./bench/jobs.ts";
import { people } from "./bench/people.ts";
import { type Benchmark, publish } from "./bench/report.ts";
import { space } from "./bench/space.ts";
import { start } from "./bench/start.ts";
import { synthesis } from "./bench/synthesis.ts";
import { terraform } from "./bench/terraform.ts";

const benchmarks: Readonly<Record<string, Benchmark>> = { synthesis, start, space, terraform, people, jobs };
const names = Object.keys(benchmarks);

const options = {
  runs: {
    value: "N",
    help: `runs of each case, 1-100; the median is reported\n(default: ${names
      .map((name) => `${name} ${benchmarks[name]?.defaultRuns}`)
      .join(", ")})`,
  },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run bench [-- [BENCHMARK] [options]]

Runs a benchmark against its reference, prints tables, and writes bench-BENCHMARK.json to .local-studio/.
BENCHMARK is one of (default: ${names[0]}):

${names.map((name) => `  ${name.padEnd(10)} ${benchmarks[name]?.about.replaceAll("\n", `\n${" ".repeat(13)}`)}`).join("\n")}

${optionsHelp(options)}

Exit status: 0 if all targets are met, 1 if a target is missed or a run failed, 2 for an invalid command line, 130 if
interrupted.`;

function problems({ runs }: Values): readonly string[] {
  const allowed = runs === undefined || /^([1-9][0-9]?|100)$/.test(String(runs));
  return allowed ? [] : [`--runs must be a whole number from 1 to 100, got "${runs}"`];
}

async function main(values: Values, name = names[0] ?? ""): Promise<number> {
  const benchmark = benchmarks[name];
  if (benchmark === undefined) throw new Error(`unknown benchmark "${name}"`);
  const runs = Number(values.runs ?? benchmark.defaultRuns);
  const folder = createRunFolder();
  const signal = onInterrupt({ message: "Stopping.", cleanUp: () => folder.remove() });
  try {
    return publish(name, runs, await benchmark.run({ runs, folder, signal }));
  } catch (error) {
    if (signal.aborted) return 130;
    throw error;
  } finally {
    folder.remove();
  }
}

await runCommand({ name: "npm run bench", options, operands: names, help, problems, run: main });
