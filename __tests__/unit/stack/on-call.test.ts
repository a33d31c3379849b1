import { describe, expect, it } from "vitest";
import { readDoc } from "../../support/docs.ts";
import { synthesizeEvery } from "../../support/every-environment.ts";
import { type Block, type Synthesized, synthesize } from "../../support/synthesize.ts";

/** The names of a stack's alarms, rules and budgets, with ENV in place of the environment's and NAME of a person's. */
function alarmsOf({ provider, resource }: Synthesized): string[] {
  const [defaults] = (provider.aws[0]?.default_tags ?? []) as {
    readonly tags: Readonly<Record<string, string>>;
  }[];
  const names = (type: string, key: string) =>
    Object.values<Block>(resource[type] ?? {}).map((block) => String(block[key]));
  return [
    ...names("aws_cloudwatch_metric_alarm", "alarm_name"),
    ...names("aws_cloudwatch_event_rule", "name"),
    ...names("aws_budgets_budget", "name"),
  ].map((name) =>
    name
      .replace(`marimo-${defaults?.tags.Environment}`, "marimo-ENV")
      .replace(/\$\{lower\(each\.key\)\}/, "NAME"),
  );
}

/** The alarms of the table in scripts/README.md, with what to do. */
const rows = readDoc("scripts/README.md")
  .split("\n")
  .flatMap((line) => [/^\| `(marimo-ENV[\w-]*)` \| (.+) \| (.+) \|$/.exec(line) ?? []])
  .filter(({ length }) => length > 0)
  .map(([, name = ""]) => name);

describe("the on-call table", () => {
  it("has each alarm of every environment, and no other", () => {
    const alarms = new Set([...synthesizeEvery().values()].flatMap(alarmsOf));
    expect(rows.toSorted()).toEqual([...alarms].toSorted());
    expect(rows.length).toBeGreaterThan(5);
  });

  it("would miss an alarm that it does not have", () => {
    const more = synthesize();
    const block = { name: "marimo-dev-new" };
    const resource = { ...more.resource, aws_cloudwatch_event_rule: { new: block } };
    expect(alarmsOf({ ...more, resource }).filter((name) => !rows.includes(name))).toEqual([
      "marimo-ENV-new",
    ]);
  });
});
