import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { type PythonEnvironment, pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { artifactBucketName, prefixOf } from "../../src/settings/names.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";
import { Clone } from "./clone-fixture.ts";
import { realPayload, Space } from "./space-fixture.ts";

const standard: EnvironmentSettings = { name: "dev" };
const clones: Clone[] = [];
const clone = (settings: EnvironmentSettings) => {
  clones.push(new Clone(settings));
  return clones.at(-1) as Clone;
};
afterEach(() => {
  for (const one of clones.splice(0)) one.remove();
});
const read = (file: string) => readFileSync(file, "utf8");
const sha256 = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

describe("npm run lock", () => {
  const withExtra = (version: string): EnvironmentSettings => ({
    ...standard,
    extraPackages: [`humanize==${version}`],
  });

  it("makes the lock file of new settings, which the synthesis had refused, and removes one of no use", async () => {
    const project = clone(withExtra("4.12.3"));
    const others = project.locks;
    expect((await project.run("main.ts")).stderr).toContain("is missing. Run: npm run lock");
    const made = await project.run("scripts/lock.ts");
    expect(made.status, made.stderr).toBe(0);
    const file = project.lockFile(withExtra("4.12.3"));
    expect(made.stdout).toContain(`src/space/locks/${basename(file)}  marimo==0.25.2 humanize==4.12.3`);
    expect(project.locks).toEqual([...others, basename(file)].sort());

    // Beside what was asked for, it has just what the defaults' file has, to the hash, and that one is as it was.
    const usual = read(project.lockFile(standard));
    expect(usual).toBe(read(lockFileOf(resolveEnvironment(standard))));
    const pins = (text: string) =>
      text
        .replaceAll("\\\n", "")
        .replaceAll(/ +/g, " ")
        .split("\n")
        .filter((line) => /^[a-z0-9]/.test(line));
    expect(read(file).split("\n")[0]).toBe("# npm run lock: marimo==0.25.2 humanize==4.12.3");
    const added = pins(read(file)).filter((line) => !pins(usual).includes(line));
    expect(added, added.join("\n")).toHaveLength(1);
    expect(added[0]).toMatch(/^humanize==4\.12\.3( --hash=sha256:[0-9a-f]{64})+$/);
    const synthesized = await project.run("main.ts");
    expect(synthesized.status, synthesized.stderr).toBe(0);

    project.settings = withExtra("4.12.2");
    expect((await project.run("main.ts")).status).toBe(1);
    expect((await project.run("scripts/lock.ts")).stdout).toContain(`${basename(file)}  removed`);
    expect(project.locks).toEqual([...others, basename(project.lockFile(withExtra("4.12.2")))].sort());
  });

  it("keeps the versions that are locked, until it is told to upgrade", async () => {
    const project = clone(standard);
    const file = project.lockFile(standard);
    const versionOfClick = () => /^click==([^ ;]+)/m.exec(read(file))?.[1];
    const newest = versionOfClick();
    writeFileSync(file, read(file).replace(/^click==[^ ;]+/m, "click==8.1.7"));
    expect((await project.run("scripts/lock.ts")).status).toBe(0);
    expect(versionOfClick()).toBe("8.1.7");
    expect((await project.run("scripts/lock.ts", ["--upgrade"])).status).toBe(0);
    // The newest of today, which may be newer than the file's.
    expect(versionOfClick()).not.toBe("8.1.7");
    expect(versionOfClick()?.localeCompare(newest ?? "", "en", { numeric: true })).toBeGreaterThanOrEqual(0);
  });

  it("says so when the index cannot be reached or has no such package, and leaves nothing behind", async () => {
    const project = clone(withExtra("4.12.3"));
    const before = project.locks;
    const unreachable = await project.run("scripts/lock.ts", [], {
      UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple",
      UV_INDEX_URL: "",
      UV_CACHE_DIR: join(project.folder, "uv-cache"),
      UV_HTTP_RETRIES: "0",
    });
    expect(unreachable.status).toBe(1);
    expect(unreachable.stderr).toMatch(/uv could not resolve marimo==0\.25\.2/);
    expect(unreachable.stderr).toContain("127.0.0.1:9");
    expect(unreachable.stderr).toContain("What to do: ");
    project.settings = withExtra("4.12.999");
    const missing = await project.run("scripts/lock.ts");
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/no version of humanize==4\.12\.999/);
    expect(project.locks).toEqual(before);
  });

  it("refuses a wrong command line and wrong settings, before it does anything", async () => {
    const project = clone({ ...standard, marimoVersion: "latest" });
    expect(await project.run("scripts/lock.ts", ["--updrade"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("there is no option --updrade"),
    });
    expect(await project.run("scripts/lock.ts")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('marimoVersion: "latest" is no exact release'),
    });
  });
});

// The packages are the image's: for Linux on x86-64.
describe.runIf(process.platform === "linux" && process.arch === "x64")("npm run wheelhouse", () => {
  let image: PythonEnvironment;
  let aws: LocalAws;
  let space: Space;
  const bucket = artifactBucketName({
    prefix: prefixOf("dev"),
    account: "123456789012",
    region: "us-east-1",
  });
  beforeAll(async () => {
    image = await pythonEnvironment("image");
    space = new Space();
    aws = await startLocalAws({
      python: (await pythonEnvironment("aws")).python,
      log: join(space.folder, "aws.log"),
    });
  });
  afterAll(async () => {
    await aws?.stop();
    await space?.dispose();
  });
  const environment = () => ({ ...aws.environment, AWS_DEFAULT_REGION: "us-east-1", no_proxy: "127.0.0.1" });
  const s3 = async (...args: string[]) =>
    space.run(join(image.prefix, "bin/aws"), ["s3", ...args], { ...space.environment, ...environment() });
  const imagePython = async () => {
    const version = "import sys; print('3.%d' % sys.version_info[1])";
    return (await space.run(image.python, ["-c", version])).stdout.trim();
  };

  it("says so when the bucket is not there yet, or a package is not the locked one, and uploads nothing", async () => {
    const project = clone(standard);
    const file = project.lockFile(standard);
    // The file as a whole takes long to fetch: one package shows as much.
    const [header, marimo] =
      /^(# npm run lock: [^\n]*\n).*?(^marimo==.*?)(?=^\S+==)/ms.exec(read(file))?.slice(1) ?? [];
    expect(marimo).toMatch(/^marimo==0\.25\.2 /);
    const markdown = /^markdown==.*?(?=^\S+==)/ms.exec(read(file))?.[0] ?? "";
    const altered = markdown.replaceAll(/sha256:[0-9a-f]{4}/g, "sha256:0000");
    writeFileSync(file, `${header}${altered}${marimo}`);
    const mismatch = await project.run(
      "scripts/wheelhouse.ts",
      ["--python", await imagePython()],
      environment(),
    );
    expect(mismatch.status).toBe(1);
    expect(mismatch.stderr).toMatch(/Could not download the packages:.*DO NOT MATCH THE HASHES/s);

    writeFileSync(file, `${header}${marimo}`);
    const noBucket = await project.run(
      "scripts/wheelhouse.ts",
      ["--python", await imagePython()],
      environment(),
    );
    expect(noBucket.status).toBe(1);
    expect(noBucket.stderr).toMatch(/Could not upload the packages:.*NoSuchBucket/s);
    expect(noBucket.stderr).toContain("only after npx cdktf deploy");
    expect(await aws.inventory()).toEqual([]);
  });

  it("uploads an environment's packages, from which a space without an index installs marimo", async () => {
    const project = clone(standard);
    const lock = readFileSync(project.lockFile(standard));
    const key = sha256(lock).slice(0, 16);
    expect((await s3("mb", `s3://${bucket}`)).stderr).toBe("");
    const uploaded = await project.run(
      "scripts/wheelhouse.ts",
      ["--python", await imagePython()],
      environment(),
    );
    expect(uploaded.status, uploaded.stderr).toBe(0);
    expect(uploaded.stdout).toContain(`uploaded to s3://${bucket}/marimo/wheels/${key}/`);
    const listed = (await s3("ls", `s3://${bucket}/marimo/wheels/${key}/`)).stdout.trim().split("\n");
    expect(uploaded.stdout).toContain(`${listed.length} packages for Python`);

    // Each is one that the lock file names by its hash.
    const fetched = join(space.folder, "fetched");
    mkdirSync(fetched);
    await s3("sync", "--only-show-errors", `s3://${bucket}/marimo/wheels/${key}/`, fetched);
    const files = readdirSync(fetched);
    expect(files).toHaveLength(listed.length);
    for (const name of files)
      expect(lock.toString(), name).toContain(sha256(readFileSync(join(fetched, name))));

    await space.run(image.python, ["-m", "venv", "--without-pip", space.prefix]);
    for (const name of ["uv", "aws"])
      symlinkSync(join(image.prefix, "bin", name), join(space.prefix, "bin", name));
    const payload = join(space.state, "payload/by-hand");
    for (const [name, content] of Object.entries(realPayload(lock)))
      space.write(join(payload, name), content);
    const install = () =>
      space.run("/bin/bash", [join(payload, "install.sh")], {
        ...space.environment,
        ...environment(),
        PATH: `${space.prefix}/bin:/usr/bin:/bin`,
        MARIMO_BUCKET: bucket,
        MARIMO_REGION: "us-east-1",
        UV_CACHE_DIR: join(space.folder, "uv-cache"),
        UV_DEFAULT_INDEX: "http://127.0.0.1:9/simple",
        UV_HTTP_RETRIES: "0",
      });
    const installed = await install();
    expect(installed.stdout, installed.stderr).toContain("installing the packages in the bucket");
    expect(installed.stdout).toContain("marimo is installed");
    expect(installed.stdout).not.toContain("127.0.0.1:9");
  });

  it("refuses a wrong command line", async () => {
    const wrong = await clone(standard).run("scripts/wheelhouse.ts", [
      "--environment",
      "prod",
      "--python",
      "2.7",
    ]);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('--environment takes one of dev (src/environments.ts), got "prod"');
    expect(wrong.stderr).toContain('--python takes 3.11 or later, such as 3.12, got "2.7"');
  });
});
