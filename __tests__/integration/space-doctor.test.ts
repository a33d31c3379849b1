import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { bucket, type Container, realPayload, Space, until } from "./space-fixture.ts";

/** What one run of marimo-doctor said of each link, by the link's name. */
interface Diagnosis {
  readonly status: number | null;
  readonly output: string;
  readonly verdicts: Readonly<Record<string, string>>;
}

const links = [
  "disk space",
  "payload",
  "environment",
  "token",
  "JupyterLab",
  "proxy entry",
  "marimo's server",
  "event stream",
  "bucket",
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
  await until("the installation", () => /installed/.test(status()) || undefined, 240);
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
  const lines = [...stdout.matchAll(/^(WRONG| {2}ok | {2}- {2}) {2}([^:]+): /gm)];
  const verdicts = Object.fromEntries(lines.map(([, verdict, name]) => [name, verdict?.trim()]));
  return { status, output: stdout + stderr, verdicts };
}

/** What is wrong, and nothing else, but for what cannot be checked without it. */
const wrong = ({ verdicts }: Diagnosis) => links.filter((link) => verdicts[link] === "WRONG");

/** Does something to a file, and puts it back after. */
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
  it("finds every link of a space that works in order, and leaves nothing behind", async () => {
    const { status, output, verdicts } = await doctor();
    expect(verdicts, output).toEqual(
      expect.objectContaining(Object.fromEntries(links.map((link) => [link, "ok"]))),
    );
    expect(output).toContain("All is well.");
    expect(status).toBe(0);
    expect(output).not.toContain(readFileSync(inState("token"), "utf8").trim());
    // Not even the kernel of the notebook that it opened.
    expect(await (await fetch(`${container.url}/marimo/api/sessions`)).json()).toEqual({});
  });

  it("names an altered payload", async () => {
    const file = inState("payload/current/marimo.svg");
    const diagnosis = await without(file, () => {
      writeFileSync(file, "<svg/>");
      return doctor();
    });
    expect(wrong(diagnosis), diagnosis.output).toEqual(["payload"]);
    expect(diagnosis.output).toMatch(/marimo\.svg was altered\n.*fetched anew/);
    expect(diagnosis.status).toBe(1);
  });

  it("names an environment that does not work, and how to build it again", async () => {
    const lib = inState("environments/current/lib");
    const module = join(lib, readdirSync(lib)[0] ?? "", "site-packages/marimo/__init__.py");
    const broken = await without(module, () => {
      writeFileSync(module, "raise ImportError('half an update')\n");
      return doctor();
    });
    expect(wrong(broken), broken.output).toContain("environment");
    expect(broken.output).toMatch(/half an update\n.*\.complete\n.*install\.sh/);
  });

  it("names an environment that is not there, with the installation's last word", async () => {
    const diagnosis = await without(inState("environments/current"), () =>
      without(inState("log/install.log"), async () => {
        space.write(inState("log/install.log"), "error: no route to the index\n");
        return doctor();
      }),
    );
    expect(wrong(diagnosis), diagnosis.output).toEqual(["environment", "marimo's server"]);
    expect(diagnosis.output).toContain("marimo is not installed (yet): error: no route to the index");
    expect(diagnosis.verdicts["event stream"]).toBe("-");
  });

  it("names a token that others may read", async () => {
    chmodSync(inState("token"), 0o644);
    const open = await doctor();
    chmodSync(inState("token"), 0o600);
    expect(wrong(open), open.output).toEqual(["token"]);
    expect(open.output).toContain(`chmod 600 ${inState("token")}`);
    const gone = await without(inState("token"), () => doctor());
    expect(wrong(gone), gone.output).toEqual(["token"]);
  });

  it("names a JupyterLab that does not run", async () => {
    const diagnosis = await doctor({ JUPYTER_RUNTIME_DIR: space.folder });
    expect(wrong(diagnosis), diagnosis.output).toEqual(["JupyterLab"]);
    for (const link of ["proxy entry", "marimo's server", "event stream"])
      expect(diagnosis.verdicts[link]).toBe("-");
  });

  it("names a bucket out of reach, and never prints a secret that another program's message holds", async () => {
    const secret = readFileSync(inState("token"), "utf8").trim();
    space.refuseAws(`fatal error: AccessDenied (request with ${secret})`);
    const diagnosis = await doctor();
    space.refuseAws(undefined);
    expect(wrong(diagnosis), diagnosis.output).toEqual(["bucket"]);
    expect(diagnosis.output).toContain("AccessDenied (request with …)");
    expect(diagnosis.output).not.toContain(secret);
  });

  it("names an activity watcher's file that tells Studio's idle shutdown of work to come", async () => {
    const file = join(space.folder, "last-active");
    space.write(file, "2999-01-01T00:00:00.000000Z");
    const diagnosis = await doctor({ SAGEMAKER_LAST_ACTIVE_TIMESTAMP: file });
    expect(wrong(diagnosis), diagnosis.output).toEqual(["activity watcher"]);
    expect(diagnosis.output).toMatch(/a time to come: 2999-01-01 .*\n +Run: rm -f/);
  });

  it("names a bucket whose pointer is none", async () => {
    const pointer = join(space.aws, bucket, "marimo/payload/current");
    const diagnosis = await without(pointer, () => {
      writeFileSync(pointer, "<html>");
      return doctor();
    });
    expect(wrong(diagnosis), diagnosis.output).toEqual(["bucket"]);
  });

  it("tells of another payload in the bucket without calling it wrong", async () => {
    const pointer = join(space.aws, bucket, "marimo/payload/current");
    const before = readFileSync(pointer);
    writeFileSync(pointer, `${"a".repeat(64)}  ${"b".repeat(16)}\n`);
    const diagnosis = await doctor();
    writeFileSync(pointer, before);
    expect(wrong(diagnosis)).toEqual([]);
    expect(diagnosis.output).toContain(`another payload, ${"b".repeat(16)}`);
  });
});
