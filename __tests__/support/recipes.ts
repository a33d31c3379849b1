import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { projectFolder } from "../../src/cli/paths.ts";

export const recipes = ["GitLab", "Atlantis"] as const;

interface GitLab extends Readonly<Record<string, unknown>> {
  readonly stages: readonly string[];
}
interface Atlantis {
  readonly workflows: {
    readonly marimo: Readonly<
      Record<"plan" | "apply", { readonly steps: readonly { readonly run: string }[] }>
    >;
  };
}

/** The shell commands of a recipe in `src/github/README.md`: one for each job of GitLab, and for each step of Atlantis. */
export function recipeCommands(recipe: (typeof recipes)[number]): readonly string[] {
  const text = readFileSync(join(projectFolder, "src/github/README.md"), "utf8");
  const block = new RegExp(`^## ${recipe}\\n.*?^\`\`\`yaml\\n(.*?)^\`\`\``, "ms").exec(text)?.[1];
  if (block === undefined) throw new Error(`src/github/README.md has no recipe for ${recipe}`);
  if (recipe === "Atlantis") {
    const { plan, apply } = (parse(block) as Atlantis).workflows.marimo;
    return [...plan.steps, ...apply.steps].map(({ run }) => run);
  }
  const jobs = parse(block) as GitLab;
  return jobs.stages.map((stage) =>
    (jobs[stage] as { readonly script: readonly string[] }).script.join("\n"),
  );
}
