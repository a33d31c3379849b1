import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type PythonEnvironment, pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { artifactBucketName, prefixOf } from "../../src/settings/basics.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";
import { Clone } from "../support/clone-fixture.ts";
import { realPayload, Space } from "../support/space-fixture.ts";

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

  it("writes the lock file that the synthesis requires for new settings, and removes an unused one", async () => {
    const project = clone(withExtra("4.12.3"));
    const others = project.locks;
    expect((await project.run("main.ts")).stderr).toContain("is missing. Run: npm run lock");
    const made = await project.run("scripts/lock.ts");
    expect(made.status, made.stderr).toBe(0);
    const file = project.lockFile(withExtra("4.12.3"));
    expect(made.stdout).toContain(
      `src/space/locks/${basename(file)}  marimo==${marimoDefaults.marimoVersion} humanize==4.12.3`,
    );
    expect(project.locks).toEqual([...others, basename(file)].sort());

    // It has the same pins and hashes as the default lock file, plus the new package. The default one is unchanged.
    const standardLock = read(project.lockFile(standard));
    expect(standardLock).toBe(read(lockFileOf(resolveEnvironment(standard))));
    const pins = (text: string) =>
      text
        .replaceAll("\\\n", "")
        .replaceAll(/ +/g, " ")
        .split("\n")
        .filter((line) => /^[a-z0-9]/.test(line));
    expect(read(file).split("\n")[0]).toBe(
      `# npm run lock: marimo==${marimoDefaults.marimoVersion} humanize==4.12.3`,
    );
    const added = pins(read(file)).filter((line) => !pins(standardLock).includes(line));
    expect(added, added.join("\n")).toHaveLength(1);
    expect(added[0]).toMatch(/^humanize==4\.12\.3( --hash=sha256:[0-9a-f]{64})+$/);
    const synthesized = await project.run("main.ts");
    expect(synthesized.status, synthesized.stderr).toBe(0);

    project.settings = withExtra("4.12.2");
    expect((await project.run("main.ts")).status).toBe(1);
    expect((await project.run("scripts/lock.ts")).stdout).toContain(`${basename(file)}  removed`);
    expect(project.locks).toEqual([...others, basename(project.lockFile(withExtra("4.12.2")))].sort());
  });

  it("keeps locked versions without --upgrade", async () => {
    const project = clone(standard);
    const file = project.lockFile(standard);
    const versionOfClick = () => /^click==([^ ;]+)/m.exec(read(file))?.[1];
    const newest = versionOfClick();
    writeFileSync(file, read(file).replace(/^click==[^ ;]+/m, "click==8.1.7"));
    expect((await project.run("scripts/lock.ts")).status).toBe(0);
    expect(versionOfClick()).toBe("8.1.7");
    expect((await project.run("scripts/lock.ts", ["--upgrade"])).status).toBe(0);
    // The newest version can be newer than the one in the committed lock file.
    expect(versionOfClick()).not.toBe("8.1.7");
    expect(versionOfClick()?.localeCompare(newest ?? "", "en", { numeric: true })).toBeGreaterThanOrEqual(0);
  });

  it("reports an unreachable index or a missing package, and leaves no files", async () => {
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

  it("rejects an invalid command line and invalid settings before it does anything", async () => {
    const project = clone({ ...standard, marimoVersion: "latest" });
    expect(await project.run("scripts/lock.ts", ["--updrade"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("unknown option --updrade"),
    });
    expect(await project.run("scripts/lock.ts")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('marimoVersion: "latest" is not an exact release'),
    });
  });
});

// The packages are for the image: Linux on x86-64.
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

  it("reports a missing bucket or a package with another hash, and uploads nothing", async () => {
    const project = clone(standard);
    const file = project.lockFile(standard);
    // Only one package, because downloading all of them takes long.
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
    expect(noBucket.stderr).toContain("npx cdktf deploy creates the bucket");
    expect(await aws.inventory()).toEqual([]);
  });

  it("uploads packages from which a space without a package index installs marimo", async () => {
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

    // The lock file contains the hash of each package.
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
    expect(installed.stdout, installed.stderr).toContain("installing the packages from the bucket");
    expect(installed.stdout).toContain("marimo is installed");
    expect(installed.stdout).not.toContain("127.0.0.1:9");
  });

  it("rejects an invalid command line", async () => {
    const wrong = await clone(standard).run("scripts/wheelhouse.ts", [
      "--environment",
      "prod",
      "--python",
      "2.7",
    ]);
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('--environment must be one of dev (src/environments.ts), got "prod"');
    expect(wrong.stderr).toContain('--python must be 3.11 or later, such as 3.12, got "2.7"');
  });
});
