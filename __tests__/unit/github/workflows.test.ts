import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { projectFolder } from "../../../src/cli/paths.ts";
import { environmentEntry, environmentsVariable } from "../../../src/github/roles.ts";
import { resolveEnvironment } from "../../../src/settings/environment.ts";

interface Step {
  readonly id?: string;
  readonly if?: string;
  readonly "continue-on-error"?: boolean;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string>>;
}
interface Job {
  readonly if?: string;
  readonly needs?: string;
  readonly concurrency?: Readonly<Record<string, unknown>>;
  readonly environment?: string;
  readonly uses?: string;
  readonly with?: Readonly<Record<string, string>>;
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

/** A GitHub expression. */
const expression = (inside: string) => `$\{{ ${inside} }}`;
const jobsOf = (name: string, source?: string) => Object.entries(workflow(name, source).jobs);
const canHaveToken = ({ permissions = {} }: Job) => permissions["id-token"] === "write";

/** Violations of the order: synthesize without credentials, plan, review, apply. */
function orderProblems(source = text("environment.yml")): readonly string[] {
  const { synthesize, plan, apply } = workflow("environment.yml", source).jobs;
  const roles = (job: Job | undefined) => job?.steps?.flatMap((step) => step.with?.["role-to-assume"] ?? []);
  const rules: readonly (readonly [boolean, string])[] = [
    [
      synthesize !== undefined && !canHaveToken(synthesize) && roles(synthesize)?.length === 0,
      "synthesize has credentials",
    ],
    [plan?.needs === "synthesize" && apply?.needs === "plan", "a job does not wait"],
    [roles(plan)?.join() === expression("inputs.plan-role"), "plan takes another role"],
    [roles(apply)?.join() === expression("inputs.apply-role"), "apply takes another role"],
    [apply?.environment === expression("inputs.environment"), "apply is not in the protected environment"],
    [
      apply?.if === "github.ref == 'refs/heads/main' && needs.plan.outputs.sha256 != ''",
      "apply runs without a plan of the main branch",
    ],
    [source.includes(`PLAN_SHA256: ${expression("needs.plan.outputs.sha256")}`), "apply takes another plan"],
    [
      ![plan, apply].some((job) => job?.steps?.some(({ run }) => /main\.ts|cdktf/.test(run ?? ""))),
      "a later job synthesizes again",
    ],
  ];
  return rules.flatMap(([kept, problem]) => (kept ? [] : [problem]));
}

describe("the deployment", () => {
  it("synthesizes without credentials, plans, and applies this plan in the protected environment", () => {
    expect(orderProblems()).toEqual([]);
  });

  it.each([
    [
      `    environment: ${expression("inputs.environment")}\n`,
      "",
      "apply is not in the protected environment",
    ],
    ["needs: plan", "needs: synthesize", "a job does not wait"],
    ["github.ref == 'refs/heads/main' && ", "", "apply runs without a plan of the main branch"],
    ["inputs.apply-role", "inputs.plan-role", "apply takes another role"],
    ["needs.plan.outputs.sha256 }}", "inputs.sha256 }}", "apply takes another plan"],
    [
      "npm run github -- apply",
      "npx cdktf synth && npm run github -- apply",
      "a later job synthesizes again",
    ],
    [
      "timeout-minutes: 15\n    permissions:\n",
      "timeout-minutes: 15\n    permissions:\n      id-token: write\n",
      "synthesize has credentials",
    ],
  ])("is reported with %j replaced", (part, replacement, problem) => {
    const source = text("environment.yml");
    expect(source).toContain(part);
    expect(orderProblems(source.replace(part, replacement))).toEqual([problem]);
  });

  it("is skipped without its variable and for forks, and gets what `npm run github-roles` prints", () => {
    const { environment: job } = workflow("deploy.yml").jobs;
    expect(job?.uses).toBe("./.github/workflows/environment.yml");
    expect(job?.if).toBe(
      `vars.${environmentsVariable} != '' && ` +
        "(github.ref == 'refs/heads/main' || github.event.pull_request.head.repo.full_name == github.repository)",
    );
    expect(job?.strategy?.matrix?.include).toBe(expression(`fromJSON(vars.${environmentsVariable})`));
    const entry = environmentEntry({
      environment: resolveEnvironment({ name: "dev" }),
      account: "123456789012",
    });
    const asked = [...text("deploy.yml").matchAll(/\bmatrix\.(\w+)/g)].map(([, key]) => key);
    expect([...new Set(asked)].sort()).toEqual(Object.keys(entry).sort());
  });

  /** Why two runs could use an environment at the same time, or why one could be cancelled. */
  const queueProblems = (source = text("deploy.yml")) => {
    const { group, queue, ...others } = workflow("deploy.yml", source).jobs.environment?.concurrency ?? {};
    const name = `environment-${expression("matrix.environment")}-${expression("github.event.pull_request.number || 'main'")}`;
    return [
      ...(group === name ? [] : ["environments share a queue, or have none"]),
      ...(queue === "max" ? [] : ["a newer run cancels a waiting one"]),
      ...(Object.keys(others).length === 0 ? [] : ["a newer run cancels a running one"]),
    ];
  };

  it("has one queue for each environment, in which nothing is cancelled", () => {
    expect(queueProblems()).toEqual([]);
    // Another group inside it could wait for itself.
    expect(text("environment.yml")).not.toContain("concurrency:");
  });

  it.each([
    [`environment-${expression("matrix.environment")}`, "all", "environments share a queue, or have none"],
    ["      queue: max\n", "", "a newer run cancels a waiting one"],
    ["queue: max\n", "queue: max\n      cancel-in-progress: true\n", "a newer run cancels a running one"],
  ])("has its queue reported with %j replaced", (part, replacement, problem) => {
    const source = text("deploy.yml");
    expect(source).toContain(part);
    expect(queueProblems(source.replace(part, replacement))).toEqual([problem]);
  });

  it("is the only one that assumes a role", () => {
    const assuming = [...texts.keys()].filter((name) => text(name).includes("configure-aws-credentials"));
    expect(assuming).toEqual(["environment.yml"]);
  });
});

describe("a job that can have a token of another service", () => {
  /** Install commands whose packages can run scripts beside a token. */
  const scripts = (name: string, source?: string) =>
    jobsOf(name, source)
      .filter(([, job]) => canHaveToken(job) || /secrets\.|github\.token/.test(JSON.stringify(job)))
      .flatMap(([, { steps = [] }]) =>
        steps.flatMap(({ run = "" }) => run.match(/npm (ci|install)\b(?! --ignore-scripts)/g) ?? []),
      );

  it.each([...texts.keys()])("%s installs packages without their scripts", (name) => {
    expect(scripts(name)).toEqual([]);
  });

  it("is reported with scripts", () => {
    const open = (name: string) => text(name).replaceAll(" --ignore-scripts", "");
    expect(scripts("environment.yml", open("environment.yml"))).toEqual(["npm ci", "npm ci"]);
    expect(scripts("notebooks.yml", open("notebooks.yml"))).toEqual(["npm ci"]);
  });
});

/** Violations of how the review gets into code scanning. */
function scanningProblems(source = text("environment.yml")): readonly string[] {
  const { jobs } = workflow("environment.yml", source);
  const scanning = jobs["code-scanning"];
  const upload = scanning?.steps?.find(({ uses }) => uses?.startsWith("github/codeql-action/upload-sarif@"));
  const writers = Object.entries(jobs).flatMap(([name, { permissions = {} }]) =>
    permissions["security-events"] === "write" ? [name] : [],
  );
  const kept = jobs.plan?.steps?.find(({ id }) => id === "review");
  const rules: readonly (readonly [boolean, string])[] = [
    [writers.join() === "code-scanning", "another job may write security events"],
    [scanning?.needs === "plan" && !!scanning.if?.includes("!cancelled()"), "it skips a plan with a risk"],
    [kept?.if === expression("!cancelled()"), "the review of a plan with a risk is not kept"],
    [upload?.["continue-on-error"] === true, "it fails without code scanning"],
    [!scanning?.steps?.some(({ run }) => run !== undefined), "it runs commands with its permission"],
    [jobs.apply?.needs === "plan", "the apply waits for it"],
  ];
  return rules.flatMap(([is, problem]) => (is ? [] : [problem]));
}

describe("code scanning", () => {
  it("gets each review, in a job that can do nothing else, and never stops the deployment", () => {
    expect(scanningProblems()).toEqual([]);
    const { permissions } = workflow("deploy.yml").jobs.environment ?? {};
    const nested = Object.values(workflow("environment.yml").jobs).map((job) => job.permissions ?? {});
    // GitHub rejects a call that grants less than a job of the called workflow requests.
    expect(permissions).toEqual(Object.assign({}, ...nested));
  });

  it.each([
    ["continue-on-error: true", "continue-on-error: false", "it fails without code scanning"],
    ["!cancelled() && needs", "needs", "it skips a plan with a risk"],
    ["!cancelled() }}", "success() }}", "the review of a plan with a risk is not kept"],
    ["      issues: read\n", "      security-events: write\n", "another job may write security events"],
    [
      "      security-events: write\n    steps:\n",
      "      security-events: write\n    steps:\n      - run: npm ci\n",
      "it runs commands with its permission",
    ],
  ])("is reported with %j replaced", (part, replacement, problem) => {
    const source = text("environment.yml");
    expect(source).toContain(part);
    expect(scanningProblems(source.replace(part, replacement))).toEqual([problem]);
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
