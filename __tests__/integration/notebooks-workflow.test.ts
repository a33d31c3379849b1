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
import { copyProject } from "../../scripts/lib/project-copy.ts";
import { projectFolder, workFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";

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
  /** YAML 1.1, PyYAML's, takes the key `on` for true. */
  readonly true: {
    readonly workflow_call: { readonly inputs: Readonly<Record<string, { readonly default?: string }>> };
  };
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Where GitHub's runner would have both repositories. */
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
  // What takes minutes and is under test elsewhere.
  symlinkSync(workFolder, join(folder, ".local-studio"));
  renameSync(folder, join(workspace, "sagemaker-marimo"));
  mkdirSync(join(workspace, "caller/team's analyses"), { recursive: true });
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const steps = () => called.jobs.notebooks?.steps ?? [];
const uses = (action: string) => steps().filter((step) => step.uses?.startsWith(`actions/${action}@`));

/** Runs the `run:` lines in order, as GitHub does: bash -e, each in its folder, up to one that fails. */
async function runSteps(inputs: Readonly<Record<string, string>>, lines = steps()) {
  const value = (text: string) =>
    text.replace(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_, name: string) => {
      const given = inputs[name] ?? called.true.workflow_call.inputs[name]?.default;
      if (given === undefined) throw new Error(`The workflow has no input ${name}, or needs it.`);
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
  `import marimo\n\n__generated_with = "0.25.2"\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    ${cell}\n    return\n\n\n` +
  'if __name__ == "__main__":\n    app.run()\n';

describe("the workflow that other repositories call", () => {
  it("takes this project from where the file is, and the notebooks from the caller, with no right but to read", () => {
    const [caller, project, ...more] = uses("checkout");
    expect(more).toEqual([]);
    // Without `repository`, actions/checkout takes the caller's.
    expect(caller?.with).toEqual({ path: "caller", "persist-credentials": false });
    expect(project?.with).toMatchObject({
      repository: "$" + "{{ job.workflow_repository }}",
      ref: "$" + "{{ job.workflow_sha }}",
      path: "sagemaker-marimo",
      "persist-credentials": false,
    });
    expect(called.jobs.notebooks?.permissions).toEqual({ contents: "read" });
    // Permissions of its own would make GitHub refuse every caller that wants no GitHub Pages.
    expect(called).not.toHaveProperty("permissions");
    expect(called.jobs["github-pages"]).not.toHaveProperty("permissions");
    expect(called.jobs["github-pages"]).toMatchObject({ needs: "notebooks", if: "inputs.pages" });
    for (const { steps } of Object.values(called.jobs))
      for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/@[0-9a-f]{40}$/);
  });

  it("is what checks this project's samples", () => {
    const { samples: job } = samples.jobs;
    expect(job).toMatchObject({
      uses: "./.github/workflows/notebooks.yml",
      permissions: { contents: "read" },
      with: { folder: "sample-notebooks" },
    });
  });

  it("fails for a notebook of the caller's that does, and has its page to upload all the same", async () => {
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
    const afterInstallation = steps().filter(({ run }) => run !== "npm ci");
    const [passed, ...more] = await runSteps({ folder }, afterInstallation);
    expect(more).toEqual([]);
    expect(passed?.status, passed?.output).toBe(0);
    expect(passed?.output).toContain("1 notebooks, 0 failures");
  });
});
