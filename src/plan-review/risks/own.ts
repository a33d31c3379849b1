import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { projectFolder } from "../../cli/paths.ts";
import { Problem } from "../../cli/problem.ts";
import { valuesOf } from "../plan.ts";
import type { Rule } from "./rule.ts";

/** A team's own rules. src/plan-review/README.md says what a file must export. */
const ownFolder = join(projectFolder, "src/plan-review/own-rules");

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The rules that the files of a folder export, in the order of the files' names. Throws a Problem with every error. */
export async function ownRules(
  taken: readonly string[],
  folder: string = ownFolder,
): Promise<readonly Rule[]> {
  const rules: Rule[] = [];
  const problems: string[] = [];
  for (const file of filesIn(folder)) {
    const path = relative(projectFolder, join(folder, file));
    try {
      const exported = Object.values(await import(pathToFileURL(join(folder, file)).href)).filter(isRule);
      if (exported.length === 0)
        problems.push(`${path} exports no rule. A rule has a name, a title and a function find.`);
      for (const rule of exported) {
        const names = [...taken, ...rules.map(({ name }) => name)];
        if (!/^[a-z][a-z0-9-]*$/.test(rule.name))
          problems.push(
            `${path}: the name of a rule must be lower-case letters, digits and hyphens, got "${rule.name}".`,
          );
        else if (names.includes(rule.name))
          problems.push(`${path}: another rule has the name "${rule.name}".`);
        else rules.push({ ...rule, find: guarded(path, rule) });
      }
    } catch (error) {
      problems.push(`${path} cannot be loaded: ${messageOf(error)}`);
    }
  }
  if (problems.length > 0) throw new Problem({ message: problems.join("\n"), remedy });
  return rules;
}

const filesIn = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith(".ts"))
        .sort()
    : [];

const remedy = "correct the rule, or delete its file. src/plan-review/README.md describes rules";

function isRule(value: unknown): value is Rule {
  const { name, title, find } = valuesOf(value);
  return typeof name === "string" && typeof title === "string" && typeof find === "function";
}

/** The rule's `find`, whose error names the file. */
const guarded =
  (path: string, { name, find }: Rule): Rule["find"] =>
  (...args) => {
    try {
      return find(...args);
    } catch (error) {
      throw new Problem({ message: `${path}: the rule "${name}" failed: ${messageOf(error)}`, remedy });
    }
  };
