import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { bucket, Jobs } from "../support/jobs-fixture.ts";
import { notebook } from "../support/notebook-jobs.ts";
import { realPayload, Space } from "../support/space-fixture.ts";

const payload = realPayload();
const code = () => join(space.state, "payload/current/python/sagemaker_marimo");
let jobs: Jobs;
let space: Space;
let python: string;
/** A repository with a package that needs narwhals, which marimo has too. */
let repository: string;
let server: Server;
let variables: Record<string, string>;

beforeAll(async () => {
  const image = await pythonEnvironment("image");
  space = new Space();
  jobs = await Jobs.start();
  await jobs.provide(payload);

  python = join(space.prefix, "bin/python");
  await space.run(image.python, ["-m", "venv", "--without-pip", space.prefix]);
  symlinkSync(join(image.prefix, "bin/uv"), join(space.prefix, "bin/uv"));
  const purelib = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"];
  const [own, images] = [await space.run(python, purelib), await space.run(image.python, purelib)];
  const link = `import site; site.addsitedir('${images.stdout.trim()}')\n`;
  writeFileSync(join(own.stdout.trim(), "image.pth"), link);

  const folder = join(space.state, "payload/0123456789abcdef");
  for (const [name, content] of Object.entries(payload)) space.write(join(folder, name), content);
  symlinkSync(folder, join(space.state, "payload/current"));
  const PATH = `${space.prefix}/bin:${process.env.PATH}`;
  const installed = await space.run("/bin/bash", [join(folder, "install.sh")], {
    ...space.environment,
    PATH,
  });
  expect(installed.status, installed.stdout).toBe(0);

  // What marimo's server gives its package panel and its terminal.
  const ask = `import json, sys; sys.path.insert(0, "${folder}/python"); from sagemaker_marimo import packages; print(json.dumps(packages.server_environment()))`;
  const told = await space.run(python, ["-c", ask], { ...space.environment, PATH });
  variables = { ...space.environment, PATH, ...JSON.parse(told.stdout) };
  [repository, server] = await gitServer();
});
afterAll(async () => {
  server?.close();
  await jobs?.stop();
  await space?.dispose();
});

/** git's "dumb" HTTP protocol is a folder of files. */
async function gitServer(): Promise<[string, Server]> {
  const folder = join(space.folder, "from-git");
  mkdirSync(folder);
  writeFileSync(
    join(folder, "pyproject.toml"),
    '[project]\nname = "from-git"\nversion = "1.0"\ndescription = "x"\ndependencies = ["narwhals"]\n[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n',
  );
  const git = async (...args: string[]) => {
    const author = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
    const { status, stderr } = await space.run("git", ["-C", folder, ...author, ...args]);
    expect(status, stderr).toBe(0);
  };
  writeFileSync(join(folder, "from_git.py"), "import narwhals\n");
  await git("init", "--quiet");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "First");
  await git("update-server-info");
  const files = createServer((request, response) => {
    const file = join(folder, ".git", new URL(request.url ?? "", "http://x").pathname);
    response.statusCode = existsSync(file) ? 200 : 404;
    response.end(existsSync(file) ? readFileSync(file) : undefined);
  });
  await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
  return [`http://127.0.0.1:${(files.address() as AddressInfo).port}/`, files];
}

const uv = async (...args: string[]) => {
  const result = await space.run("/bin/bash", [variables.UV ?? "", "pip", ...args], variables);
  expect(result.status, result.stderr).toBe(0);
};
const run = (program: string, ...args: string[]) =>
  space.run(python, [join(code(), program), ...args], {
    ...variables,
    ...jobs.localAws.environment,
    AWS_REGION: "us-east-1",
    MARIMO_BUCKET: bucket,
  });

/** Sends a job of a notebook with this cell. Returns its name. */
async function send(name: string, cell: string): Promise<string> {
  const file = join(space.home, `${name}.py`);
  writeFileSync(file, notebook(cell));
  const { status, stdout, stderr } = await run("jobs/command.py", "run", file, "--detach");
  expect(status, stderr).toBe(0);
  expect(stderr).not.toContain("Warning");
  return stdout.trim();
}

describe("a job after a change of the packages in marimo", () => {
  it("runs, whatever was added and removed", async () => {
    const sent: Record<string, string> = {};
    const importing = (name: string) => `import ${name}\nprint("has", ${name}.__name__)`;
    sent.nothing = await send("nothing", 'print("has marimo")');
    await uv("install", "altair");
    sent.altair = await send("with_altair", importing("altair"));
    // Its dependencies stay.
    await uv("uninstall", "altair");
    sent.removed = await send("removed", 'print("has", __import__("narwhals").__name__)');
    await uv("install", "fastapi");
    sent.fastapi = await send("with_fastapi", importing("fastapi"));
    await uv("install", "scikit-learn");
    sent.sklearn = await send("with_sklearn", importing("sklearn.linear_model"));
    await uv("install", `from-git @ git+${repository}`);
    sent.git = await send("with_git", importing("from_git"));

    for (const [name, job] of Object.entries(sent)) {
      const { ProcessingJobStatus } = await jobs.end(job);
      const log = (await jobs.log(job)).join("\n");
      expect(ProcessingJobStatus, `${name}: ${log}`).toBe("Completed");
      expect(log).toMatch(/^has \w+/m);
    }
    // Control: the job after the removal does not have what the job before it had.
    const altair = /^altair==/m;
    const lockOf = async (job: string) => {
      const { ProcessingInputs } = await jobs.describe(job);
      const source = new URL(ProcessingInputs?.[1]?.S3Input?.S3Uri ?? "").pathname.slice(1);
      return await jobs.get(`${source}requirements.lock`);
    };
    expect(await lockOf(sent.nothing)).toBeUndefined();
    expect(await lockOf(sent.altair ?? "")).toMatch(altair);
    expect(await lockOf(sent.removed ?? "")).not.toMatch(altair);
    expect(await lockOf(sent.git ?? "")).toMatch(/^from-git @ git\+http:.*@[0-9a-f]{40}$/m);
  });

  it("is checked by marimo-doctor, which names what is missing", async () => {
    expect((await run("doctor.py")).stdout).toMatch(
      /ok {3}packages of jobs: jobs can install the \d+ packages/,
    );
    await uv("uninstall", "annotated-doc");
    const { stdout } = await run("doctor.py");
    expect(stdout).toMatch(/FAILED packages of jobs: fastapi \S+ needs annotated-doc/);
  });
});
