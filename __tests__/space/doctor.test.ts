import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { bucket, type Container, realPayload, Space, until } from "../support/space-fixture.ts";

/** The output of one run of marimo-doctor; `verdicts` by the name of the check. */
interface Diagnosis {
  readonly status: number | null;
  readonly output: string;
  readonly verdicts: Readonly<Record<string, string>>;
}

const checks = [
  "image",
  "GPU",
  "disk space",
  "payload",
  "environment",
  "repositories",
  "tested versions",
  "token",
  "JupyterLab",
  "proxy entry",
  "marimo's server",
  "private interfaces",
  "event stream",
  "bucket",
  "backup",
  "activity watcher",
];

let python: string;
let space: Space;
let container: Container;
beforeAll(async () => {
  python = (await pythonEnvironment("image")).python;
  space = new Space();
  space.upload(realPayload());
  container = await space.start(python);
  await until("the installation", () => /installed/.test(status()) || undefined);
});
afterAll(() => space.dispose());

const inState = (...path: string[]) => join(space.state, ...path);
const status = () => {
  try {
    return readFileSync(inState("status"), "utf8");
  } catch {
    return "";
  }
};

async function doctor(environment: Record<string, string> = {}): Promise<Diagnosis> {
  const { status, stdout, stderr } = await space.run(join(space.prefix, "bin/marimo-doctor"), [], {
    ...space.environment,
    ...environment,
  });
  const lines = [...stdout.matchAll(/^(FAILED| {2}ok {2}| {2}- {3}) ([^:]+): /gm)];
  const verdicts = Object.fromEntries(lines.map(([, verdict, name]) => [name, verdict?.trim()]));
  return { status, output: stdout + stderr, verdicts };
}

/** The names of the checks that failed. */
const failed = ({ verdicts }: Diagnosis) => checks.filter((check) => verdicts[check] === "FAILED");

/** Runs something without a file, and restores the file afterwards. */
async function without<Result>(file: string, diagnose: () => Promise<Result>): Promise<Result> {
  renameSync(file, `${file}.away`);
  try {
    return await diagnose();
  } finally {
    rmSync(file, { force: true, recursive: true });
    renameSync(`${file}.away`, file);
  }
}

describe("marimo-doctor", () => {
  it("passes every check in a working space, and leaves nothing behind", async () => {
    const { status, output, verdicts } = await doctor();
    expect(verdicts, output).toEqual(
      expect.objectContaining(Object.fromEntries(checks.map((check) => [check, "ok"]))),
    );
    expect(output).toContain("All checks passed.");
    expect(status).toBe(0);
    expect(output).not.toContain(readFileSync(inState("token"), "utf8").trim());
    // The kernel of the notebook that it opened is gone too.
    expect(await (await fetch(`${container.url}/marimo/api/sessions`)).json()).toEqual({});
  });

  it("passes with an image for GPUs on an instance without a driver, as marimo's machine stats do", async () => {
    const nvidiaSmi = join(space.prefix, "bin/nvidia-smi");
    const failed = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.";
    space.write(nvidiaSmi, `#!/bin/bash\necho "$*" >>'${space.folder}/asked'\necho "${failed}"\nexit 9\n`);
    chmodSync(nvidiaSmi, 0o755);
    try {
      const usage = await fetch(`${container.url}/marimo/api/usage`);
      expect(usage.status).toBe(200);
      expect(await usage.json()).toMatchObject({ gpu: [] });
      // Control: marimo asked it.
      expect(space.read("asked")).toContain("--query-gpu=");
      const { output, verdicts } = await doctor();
      expect(verdicts.GPU, output).toBe("ok");
    } finally {
      rmSync(nvidiaSmi);
    }
  });

  it("finds an altered payload", async () => {
    const file = inState("payload/current/marimo.svg");
    const diagnosis = await without(file, () => {
      writeFileSync(file, "<svg/>");
      return doctor();
    });
    expect(failed(diagnosis), diagnosis.output).toEqual(["payload"]);
    expect(diagnosis.output).toMatch(/marimo\.svg was altered\n.*downloads the payload again/);
    expect(diagnosis.status).toBe(1);
  });

  it("finds an environment that does not work, and says how to rebuild it", async () => {
    const lib = inState("environments/current/lib");
    const module = join(lib, readdirSync(lib)[0] ?? "", "site-packages/marimo/__init__.py");
    const broken = await without(module, () => {
      writeFileSync(module, "raise ImportError('half an update')\n");
      return doctor();
    });
    expect(failed(broken), broken.output).toContain("environment");
    expect(broken.output).toMatch(/half an update\n.*\.complete\n.*install\.sh/);
  });

  it("finds a missing environment, and prints the last line of the installation's log", async () => {
    const diagnosis = await without(inState("environments/current"), () =>
      without(inState("log/install.log"), async () => {
        space.write(inState("log/install.log"), "error: no route to the index\n");
        return doctor();
      }),
    );
    expect(failed(diagnosis), diagnosis.output).toEqual(["environment", "marimo's server"]);
    expect(diagnosis.output).toContain("marimo is not installed (yet): error: no route to the index");
    expect(diagnosis.verdicts["event stream"]).toBe("-");
  });

  it("finds a token that other users can read", async () => {
    chmodSync(inState("token"), 0o644);
    const open = await doctor();
    chmodSync(inState("token"), 0o600);
    expect(failed(open), open.output).toEqual(["token"]);
    expect(open.output).toContain(`chmod 600 ${inState("token")}`);
    const gone = await without(inState("token"), () => doctor());
    expect(failed(gone), gone.output).toEqual(["token"]);
  });

  it("finds that JupyterLab is not running", async () => {
    const diagnosis = await doctor({ JUPYTER_RUNTIME_DIR: space.folder });
    expect(failed(diagnosis), diagnosis.output).toEqual(["JupyterLab"]);
    for (const check of ["proxy entry", "marimo's server", "event stream"])
      expect(diagnosis.verdicts[check]).toBe("-");
  });

  it("finds an unreachable bucket, and removes secrets from messages of other programs", async () => {
    const secret = readFileSync(inState("token"), "utf8").trim();
    space.refuseAws(`fatal error: AccessDenied (request with ${secret})`);
    const diagnosis = await doctor();
    space.refuseAws(undefined);
    expect(failed(diagnosis), diagnosis.output).toEqual(["bucket"]);
    expect(diagnosis.output).toContain("AccessDenied (request with …)");
    expect(diagnosis.output).not.toContain(secret);
  });

  it("finds an activity file with a time in the future", async () => {
    const file = join(space.folder, "last-active");
    space.write(file, "2999-01-01T00:00:00.000000Z");
    const diagnosis = await doctor({ SAGEMAKER_LAST_ACTIVE_TIMESTAMP: file });
    expect(failed(diagnosis), diagnosis.output).toEqual(["activity watcher"]);
    expect(diagnosis.output).toMatch(/a time in the future: 2999-01-01 .*\n +Run: rm -f/);
  });

  it("finds an invalid pointer in the bucket", async () => {
    const pointer = join(space.aws, bucket, "marimo/payload/current");
    const diagnosis = await without(pointer, () => {
      writeFileSync(pointer, "<html>");
      return doctor();
    });
    expect(failed(diagnosis), diagnosis.output).toEqual(["bucket"]);
  });

  it("reports another payload in the bucket, but not as a failure", async () => {
    const pointer = join(space.aws, bucket, "marimo/payload/current");
    const before = readFileSync(pointer);
    writeFileSync(pointer, `${"a".repeat(64)}  ${"b".repeat(16)}\n`);
    const diagnosis = await doctor();
    writeFileSync(pointer, before);
    expect(failed(diagnosis)).toEqual([]);
    expect(diagnosis.output).toContain(`another payload, ${"b".repeat(16)}`);
  });
});
