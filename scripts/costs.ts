import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption, removed } from "../src/cli/environment-option.ts";
import { Steps } from "../src/cli/steps.ts";
import { costsByPeople, defaultHours, type Resources } from "../src/plan-review/costs-by-people.ts";
import { text } from "../src/plan-review/plan.ts";
import { type ResolvedEnvironment, resolveEnvironment } from "../src/settings/environment.ts";
import { StudioStack } from "../src/stack/studio-stack.ts";
import { removedWarning } from "../src/state/removed.ts";

const options = {
  ...environmentOption,
  people: { value: "NUMBERS", help: "numbers of people, separated by commas (default: 1,10,50)" },
  hours: {
    value: "HOURS",
    help: `hours in a month that each person's space runs (default: ${defaultHours})`,
  },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run costs -- [options]

Prints what an environment of src/environments.ts costs a month with several numbers of people: its resources, spaces
with their volumes, and storage. It asks neither AWS nor Terraform. It prints its assumptions, and the prices of what
depends on use.

${optionsHelp(options)}

Exit status: 0 for success, 1 if the settings are not valid, 2 for an invalid command line.`;

const numbersOf = (value: Values[string], otherwise: readonly number[]) =>
  value === undefined ? otherwise : String(value).split(",").map(Number);
const isWhole = (least: number, most: number) => (value: number) =>
  Number.isInteger(value) && value >= least && value <= most;

function problems({ people, hours }: Values): readonly string[] {
  return [
    // At most the user profiles of a domain (Amazon SageMaker AI endpoints and quotas).
    ...(numbersOf(people, []).every(isWhole(1, 200_000))
      ? []
      : [`--people must be whole numbers from 1 to 200000, such as 1,10,50, got "${people}"`]),
    ...(numbersOf(hours, []).every(isWhole(0, 744)) && !String(hours).includes(",")
      ? []
      : [`--hours must be a whole number from 0 to 744, the hours of a long month, got "${hours}"`]),
  ];
}

async function main(values: Values): Promise<number> {
  const environment = resolveEnvironment(chosenEnvironment(values));
  for (const other of removed) console.warn(removedWarning(other));
  const resources = await new Steps().run("synthesize the stack", async () => resourcesOf(environment));
  const { table, assumptions, usage } = costsByPeople({
    environment,
    resources,
    people: numbersOf(values.people, [1, 10, 50]),
    hours: Number(text(values.hours) ?? defaultHours),
  });
  const list = (lines: readonly string[]) => lines.map((one) => `- ${one}`).join("\n");
  console.log(`${table}\n\nAssumed for "${environment.name}":\n${list(assumptions)}`);
  console.log(`\nBy use, and except for what is assumed not in the table:\n${list(usage)}`);
  return 0;
}

/** The resources of the synthesized stack. */
function resourcesOf(environment: ResolvedEnvironment): Resources {
  process.setSourceMapsEnabled(false);
  const outdir = mkdtempSync(join(tmpdir(), "sagemaker-marimo-costs-"));
  try {
    const app = new App({ outdir });
    new StudioStack(app, environment);
    app.synth();
    const file = join(outdir, "stacks", environment.name, "cdk.tf.json");
    return JSON.parse(readFileSync(file, "utf8")).resource;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

await runCommand({ name: "npm run costs", options, help, problems, run: main });
