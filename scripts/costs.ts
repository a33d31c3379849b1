import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption, removed } from "../src/cli/environment-option.ts";
import { Problem } from "../src/cli/problem.ts";
import { Steps } from "../src/cli/steps.ts";
import { monthOf } from "../src/costs/cost.ts";
import { type MonthCosts, monthCosts } from "../src/costs/month-costs.ts";
import { costCsv, costTable, rowsOf } from "../src/costs/report.ts";
import { environments } from "../src/environments.ts";
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
  month: { value: "YYYY-MM", help: "what a month cost instead, by person" },
  csv: { value: "FILE", help: "with --month: also write the amounts to a file" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run costs -- [options]

Prints what an environment of src/environments.ts costs a month with several numbers of people: its resources, spaces
with their volumes, and storage. It asks neither AWS nor Terraform. It prints its assumptions, and the prices of what
depends on use.

With --month it asks AWS Cost Explorer (default: of every environment in the account) what the month cost, by the tags
that everything carries, and estimates what is not on the bill yet from what runs now. Requires ce:GetCostAndUsage,
ce:ListCostAllocationTags, and in the current month SageMaker's List and Describe actions. AWS charges (guess) 0.01 US
dollars for each of the two or three requests an environment, and for each further page of the answer.

${optionsHelp(options)}

Exit status: 0 for success, 1 if the settings are not valid, 2 for an invalid command line.`;

const numbersOf = (value: Values[string], otherwise: readonly number[]) =>
  value === undefined ? otherwise : String(value).split(",").map(Number);
const isWhole = (least: number, most: number) => (value: number) =>
  Number.isInteger(value) && value >= least && value <= most;

function problems({ csv, hours, month, people }: Values): readonly string[] {
  return [
    // At most the user profiles of a domain (Amazon SageMaker AI endpoints and quotas).
    ...(numbersOf(people, []).every(isWhole(1, 200_000))
      ? []
      : [`--people must be whole numbers from 1 to 200000, such as 1,10,50, got "${people}"`]),
    ...(numbersOf(hours, []).every(isWhole(0, 744)) && !String(hours).includes(",")
      ? []
      : [`--hours must be a whole number from 0 to 744, the hours of a long month, got "${hours}"`]),
    ...(month === undefined || monthOf(String(month)) !== undefined
      ? []
      : [`--month must be a year and a month, such as 2026-11, got "${month}"`]),
    ...(month !== undefined && (people !== undefined || hours !== undefined)
      ? ["--month cannot be combined with --people or --hours"]
      : []),
    ...(month === undefined && csv !== undefined ? ["--csv has no effect without --month"] : []),
  ];
}

async function main(values: Values): Promise<number> {
  const month = text(values.month);
  if (month !== undefined) return printMonth(month, values);
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

async function printMonth(text: string, values: Values): Promise<number> {
  const [month, now] = [monthOf(text), new Date()];
  if (month === undefined || month.start > now) {
    throw new Problem({ message: `${text} has not begun.`, remedy: "choose this month or an earlier one" });
  }
  const all: MonthCosts[] = [];
  const names =
    values.environment === undefined ? environments.map(({ name }) => name) : [values.environment];
  for (const name of names) {
    const environment = resolveEnvironment(chosenEnvironment({ environment: name }));
    try {
      await callerAccount(environment);
    } catch (error) {
      if (!(error instanceof Problem) || values.environment !== undefined) throw error;
      console.error(`Left out: ${error.message}`);
      continue;
    }
    all.push(await monthCosts({ environment, month, now, resources: () => resourcesOf(environment) }));
  }
  const rows = rowsOf(all);
  console.log(rows.length === 0 ? `No costs are known of ${text}.` : costTable(rows));
  for (const note of all.flatMap(({ notes }) => notes)) console.error(note);
  if (values.csv !== undefined) writeFileSync(String(values.csv), costCsv(text, rows));
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
