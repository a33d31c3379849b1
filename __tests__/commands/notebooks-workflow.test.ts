import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, string | boolean>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly "working-directory"?: string;
}
interface Job {
  readonly if?: string;
  readonly needs?: string;
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
interface Workflow {
  /** PyYAML reads the key `on` as true, as in YAML 1.1. */
  readonly true: {
    readonly workflow_call: { readonly inputs: Readonly<Record<string, { readonly default?: string }>> };
  };
  readonly jobs: Readonly<Record<string, Job>>;
}

/** The folder of both repositories, as on GitHub's runner. */
let workspace: string;
let called: Workflow;
let samples: Workflow;
beforeAll(async () => {
  const { python } = await pythonEnvironment("image");
  const read = async (name: string) => {
    const program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    const file = join(projectFolder, ".github/workflows", name);
    return JSON.parse((await capture(python, ["-c", program, file]))?.stdout ?? "") as Workflow;
  };
  [called, samples] = await Promise.all([read("notebooks.yml"), read("samples.yml")]);

  workspace = mkdtempSync(join(tmpdir(), "sagemaker-marimo-workflow-"));
  const { folder } = copyProject();
  unlinkSync(join(folder, "node_modules"));
  for (const file of ["package-lock.json", ".npmrc"])
    copyFileSync(join(projectFolder, file), join(folder, file));
  // Reuses the virtual environments, which take minutes to create and have their own tests.
  symlinkSync(workFolder, join(folder, ".local-studio"));
  renameSync(folder, join(workspace, "sagemaker-marimo"));
  mkdirSync(join(workspace, "caller/team's analyses"), { recursive: true });
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const steps = () => called.jobs.notebooks?.steps ?? [];
const uses = (action: string) => steps().filter((step) => step.uses?.startsWith(`actions/${action}@`));

/** Runs the `run:` steps like GitHub: with bash -e, each in its folder, until one fails. */
async function runSteps(inputs: Readonly<Record<string, string>>, lines = steps()) {
  const value = (text: string) =>
    text.replace(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_, name: string) => {
      const given = inputs[name] ?? called.true.workflow_call.inputs[name]?.default;
      if (given === undefined)
        throw new Error(`The workflow has no input ${name}, or the input is required.`);
      return given;
    });
  const results: { readonly run: string; readonly status: number | undefined; readonly output: string }[] =
    [];
  for (const { run, env = {}, "working-directory": folder = "." } of lines) {
    if (run === undefined) continue;
    const given = Object.fromEntries(Object.entries(env).map(([name, text]) => [name, value(text)]));
    const result = await capture("bash", ["-e", "-c", run], {
      cwd: join(workspace, folder),
      env: { ...process.env, npm_config_prefer_offline: "true", ...given },
      timeout: 300_000,
    });
    results.push({ run, status: result?.status, output: `${result?.stdout}${result?.stderr}` });
    if (result?.status !== 0) break;
  }
  return results;
}

const notebook = (cell: string) =>
  `import marimo\n\n__generated_with = "${marimoDefaults.marimoVersion}"\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    ${cell}\n    return\n\n\n` +
  'if __name__ == "__main__":\n    app.run()\n';

describe("the workflow that other repositories call", () => {
  it("checks out this project at the workflow's commit and the caller's notebooks, with read permission only", () => {
    const [caller, project, ...more] = uses("checkout");
    expect(more).toEqual([]);
    // Without `repository`, actions/checkout uses the caller's.
    expect(caller?.with).toEqual({ path: "caller", "persist-credentials": false });
    expect(project?.with).toMatchObject({
      repository: "$" + "{{ job.workflow_repository }}",
      ref: "$" + "{{ job.workflow_sha }}",
      path: "sagemaker-marimo",
      "persist-credentials": false,
    });
    expect(called.jobs.notebooks?.permissions).toEqual({ contents: "read" });
    // With its own permissions, GitHub would reject every caller that does not use GitHub Pages.
    expect(called).not.toHaveProperty("permissions");
    expect(called.jobs["github-pages"]).not.toHaveProperty("permissions");
    expect(called.jobs["github-pages"]).toMatchObject({ needs: "notebooks", if: "inputs.pages" });
    for (const { steps } of Object.values(called.jobs))
      for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/@[0-9a-f]{40}$/);
  });

  it("checks this project's sample notebooks", () => {
    const { samples: job } = samples.jobs;
    expect(job).toMatchObject({
      uses: "./.github/workflows/notebooks.yml",
      permissions: { contents: "read" },
      with: { folder: "sample-notebooks" },
    });
  });

  it("fails for a failed notebook of the caller, and still uploads its page", async () => {
    const folder = "team's analyses";
    const file = (name: string) => join(workspace, "caller", folder, name);
    writeFileSync(file("helper.py"), "value = 41\n");
    writeFileSync(file("fine.py"), notebook("import helper\n    assert helper.value == 41"));
    writeFileSync(file("raises.py"), notebook('raise ValueError("of the caller")'));
    const failed = await runSteps({ folder });
    expect(
      failed.map(({ status }) => status),
      failed.at(-1)?.output,
    ).toEqual([0, 1]);
    expect(failed.at(-1)?.output).toMatch(/- run .*raises\.py[\s\S]*of the caller/);

    const [upload] = uses("upload-artifact");
    expect(upload?.if).toBe("$" + "{{ !cancelled() }}");
    const uploaded = (name: string) =>
      readFileSync(join(workspace, String(upload?.with?.path), name), "utf8");
    expect(uploaded("raises.html")).toContain("of the caller");
    expect(uploaded("index.html")).toContain('<a href="fine.html">fine.py</a></td><td>passed<');
    expect(uses("upload-pages-artifact")[0]?.with?.path).toBe(upload?.with?.path);

    rmSync(file("raises.py"));
    const afterInstallation = steps().filter(({ run }) => !run?.startsWith("npm ci"));
    const [passed, ...more] = await runSteps({ folder }, afterInstallation);
    expect(more).toEqual([]);
    expect(passed?.status, passed?.output).toBe(0);
    expect(passed?.output).toContain("1 notebooks, 0 failures");
  });
});
