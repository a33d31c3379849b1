import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectFolder, workFolder } from "../../../src/cli/paths.ts";
import { acceptProblems } from "../../../src/plan-review/accept-option.ts";
import { report } from "../../../src/plan-review/report.ts";
import { statusOf } from "../../../src/plan-review/review.ts";
import { allRules, rules } from "../../../src/plan-review/risks/index.ts";
import { codeBlocks, readDoc } from "../../support/docs.ts";
import { change, plan, review } from "../../support/plan-fixture.ts";

let folder: string;
beforeEach(() => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-rules-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
const rule = (name: string, find = "() => []") =>
  `export const ${name.replaceAll(/\W/g, "")} = { name: "${name}", title: "Ours", find: ${find} };\n`;
/** The message of the error. */
const failure = () => allRules(folder).then(String, (error: Error) => error.message);

describe("a team's own rules", () => {
  it("follow ours, in the order of their files, and a file can export several", async () => {
    write("b.ts", rule("third"));
    write("a.ts", rule("first") + rule("second"));
    write("README.md", "no rule");
    const names = (await allRules(folder)).map(({ name }) => name);
    expect(names).toEqual([...rules.map(({ name }) => name), "first", "second", "third"]);
  });

  it("are none without the folder", async () => {
    expect(await allRules(join(folder, "gone"))).toEqual(rules);
  });

  it("report every file that cannot be used, with its name", async () => {
    write("a-throws.ts", "throw new Error('not today');\n");
    write("b-nothing.ts", "export const rule = { name: 'b', title: 'B' };\n");
    write("c-name.ts", rule("Not Valid"));
    write("d-taken.ts", rule("replaced-domain"));
    write("e-fine.ts", rule("fine"));
    write("f-twice.ts", rule("fine"));
    const lines = (await failure()).split("\n").map((line) => line.replace(/^\S*\/test-rules-[^/]+\//, ""));
    expect(lines).toEqual([
      "a-throws.ts cannot be loaded: not today",
      "b-nothing.ts exports no rule. A rule has a name, a title and a function find.",
      'c-name.ts: the name of a rule must be lower-case letters, digits and hyphens, got "Not Valid".',
      'd-taken.ts: another rule has the name "replaced-domain".',
      'f-twice.ts: another rule has the name "fine".',
    ]);
  });

  it("name their file if they fail on a plan", async () => {
    write("broken.ts", rule("broken", "(plan) => plan.no.such"));
    const own = await allRules(folder);
    expect(() => review(plan([]), { rules: own })).toThrow(/broken\.ts: the rule "broken" failed: .*such/);
  });
});

it("are written as the documentation shows", async () => {
  const [example = ""] = codeBlocks(readDoc("src/plan-review/README.md"), "ts");
  write(
    "documented.ts",
    example.replaceAll(/"\.\.\/(.*?\.ts)"/g, `"${join(projectFolder, "src/plan-review")}/$1"`),
  );
  const endpoint = plan([change("aws_vpc_endpoint.s3", { id: "e" }, null)]);
  const found = review(endpoint, { rules: await allRules(folder) }).risks.map(({ name }) => name);
  expect(found).toEqual(["removed-endpoint:s3"]);
});

describe("the example, which is active", () => {
  const budget = (from: string, to: string) =>
    plan([change("aws_budgets_budget.guard", { limit_amount: from }, { limit_amount: to })]);
  const name = "raised-budget:guard";

  it("reports a raised budget, which the same option accepts", async () => {
    const all = await allRules();
    const raised = review(budget("500", "900"), { rules: all });
    expect(raised.risks.map((one) => one.name)).toEqual([name]);
    expect(report("dev", raised)).toContain("Its limit is 900 US dollars instead of 500.");
    expect(statusOf(raised)).toBe(3);
    expect(acceptProblems({ accept: [name] }, all)).toEqual([]);
    expect(statusOf(review(budget("500", "900"), { rules: all, accept: [name] }))).toBe(4);
    // Controls: a lower budget, and the same plan without the team's rules.
    expect(review(budget("900.0", "500.0"), { rules: all }).risks).toEqual([]);
    expect(review(budget("500", "900")).risks).toEqual([]);
    expect(acceptProblems({ accept: [name] }, rules)).toHaveLength(1);
  });
});
