import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { projectFolder } from "../../../src/cli/paths.ts";
import { roleEntry, roleVariables } from "../../../src/github/roles.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string>>;
}
interface Job {
  readonly if?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix?: { readonly include?: unknown } };
  readonly steps?: readonly Step[];
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = join(projectFolder, ".github/workflows");
const texts = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
const text = (name: string) => texts.get(name) ?? "";
const workflow = (name: string, source = text(name)) => parse(source) as Workflow;
const steps = (of: Workflow) => Object.values(of.jobs).flatMap(({ steps = [] }) => steps);

/** Errors in the jobs that assume a role in AWS. `undefined` if no job does. */
function roleProblems(of: Workflow, variable: string): readonly string[] | undefined {
  const takers = Object.values(of.jobs).filter(({ steps = [] }) =>
    steps.some(({ uses }) => uses?.startsWith("aws-actions/configure-aws-credentials@")),
  );
  if (takers.length === 0) return undefined;
  return takers.flatMap(({ if: condition = "", strategy, steps = [] }) => {
    const roles = steps.flatMap((step) => step.with?.["role-to-assume"] ?? []);
    return [
      ...(condition.split(" && ").includes(`vars.${variable} != ''`) ? [] : [`runs without ${variable}`]),
      ...(strategy?.matrix?.include === `\${{ fromJSON(vars.${variable}) }}` ? [] : ["has another matrix"]),
      ...(roles.every((role) => role === "$" + "{{ matrix.role }}") ? [] : ["takes another role"]),
    ];
  });
}

describe("a workflow that assumes a role", () => {
  const variables: Readonly<Record<string, string>> = {
    "plan.yml": roleVariables.plan,
    "drift.yml": roleVariables.plan,
    "apply.yml": roleVariables.apply,
  };

  it.each([...texts.keys()])("%s is skipped if its repository variable is not set", (name) => {
    expect(roleProblems(workflow(name), variables[name] ?? "")).toEqual(name in variables ? [] : undefined);
  });

  it.each(Object.keys(variables))("%s uses the matrix values that `npm run github-roles` prints", (name) => {
    const environment = resolveEnvironment({ name: "dev" });
    const entry = roleEntry("plan", { environment, account: "123456789012" });
    const asked = [...text(name).matchAll(/\bmatrix\.(\w+)/g)].map(([, key]) => key);
    expect([...new Set(asked)].sort()).toEqual(Object.keys(entry).sort());
  });

  it.each(Object.entries(variables))("%s is reported without its condition", (name, variable) => {
    const open = workflow(name, text(name).replace(`vars.${variable} != ''`, "success()"));
    expect(roleProblems(open, variable)).toEqual([`runs without ${variable}`]);
    const fixed = text(name).replace(
      "role-to-assume: $" + "{{ matrix.role }}",
      "role-to-assume: arn:aws:iam::1",
    );
    expect(roleProblems(workflow(name, fixed), variable)).toEqual(["takes another role"]);
  });
});

describe("every workflow", () => {
  it("sets up the Node.js version of .nvmrc", () => {
    const setups = [...texts.keys()].flatMap((name) =>
      steps(workflow(name)).filter(({ uses }) => uses?.startsWith("actions/setup-node@")),
    );
    expect(setups.length).toBeGreaterThanOrEqual(5);
    for (const { with: given } of setups) {
      expect(Object.keys(given ?? {})).toEqual(["node-version-file"]);
      expect(given?.["node-version-file"]).toMatch(/^(sagemaker-marimo\/)?\.nvmrc$/);
    }
    expect(readFileSync(join(projectFolder, ".nvmrc"), "utf8")).toBe("24\n");
  });

  it("pins actions to a commit", () => {
    for (const name of texts.keys())
      for (const { uses } of steps(workflow(name))) if (uses) expect(uses).toMatch(/@[0-9a-f]{40}$/);
  });
});

describe("the test workflow", () => {
  it("runs the README's command on pushes and pull requests, with read permission only", () => {
    const { on, jobs } = workflow("test.yml");
    expect(Object.keys(on)).toEqual(["push", "pull_request", "workflow_dispatch"]);
    expect(jobs.test?.permissions).toEqual({ contents: "read" });
    const readme = readFileSync(join(projectFolder, "README.md"), "utf8");
    const command = /^(npm ci && npm test)\s/m.exec(readme)?.[1];
    expect(jobs.test?.steps?.map(({ run }) => run)).toContain(command);
  });
});
