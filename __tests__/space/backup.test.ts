import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { bucket, type Container, realPayload, Space, until } from "../support/space-fixture.ts";

let python: string;
let folder: string;
let localAws: LocalAws;
let s3: S3Client;
const spaces: Space[] = [];
beforeAll(async () => {
  const [aws, image] = await Promise.all([pythonEnvironment("aws"), pythonEnvironment("image")]);
  python = image.python;
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-backup-"));
  localAws = await startLocalAws({ python: aws.python, log: join(folder, "local-aws.log") });
  s3 = new S3Client(localAws.clientSettings());
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
});
afterAll(async () => {
  for (const space of spaces) await space.dispose();
  await localAws?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A private space with an empty home. Backups need no marimo, so none is installed. */
function newSpace(name: string, user: string, setting: object | undefined): Space {
  const space = new Space();
  spaces.push(space);
  const line = setting === undefined ? "" : `MARIMO_HOME_BACKUP=${JSON.stringify(setting)}\n`;
  space.upload({ ...realPayload(""), "settings.env": `MARIMO_TRANSPORT=auto\n${line}` });
  const metadata = {
    SpaceName: name,
    ExecutionRoleArn: `arn:aws:iam::123456789012:role/marimo-dev-user-${user}`,
  };
  space.write(join(space.folder, "resource-metadata.json"), JSON.stringify(metadata));
  return space;
}

const environmentOf = (space: Space, seconds = "3600") => ({
  ...space.environment,
  ...localAws.environment,
  MARIMO_BACKUP_SECONDS: seconds,
});

async function start(space: Space, seconds?: string): Promise<Container> {
  const container = await space.start(python, { environment: environmentOf(space, seconds) });
  expect(container.events.at(-1)).toMatchObject({ event: "ready" });
  await until("the commands", () => existsSync(join(space.prefix, "bin/marimo-backup")) || undefined);
  return container;
}

const marimoBackup = (space: Space, ...args: readonly string[]) =>
  space.run(join(space.prefix, "bin/marimo-backup"), args, environmentOf(space));

/** The objects of a user, without the part that begins each of them. */
async function objects(user: string): Promise<readonly string[]> {
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: `people/${user}/` }),
  );
  return Contents.map(({ Key = "" }) => Key.replace(/^people\/\w+\/backup\/(\w+)\/\d{8}T\d{6}Z\//, "$1: "));
}

const isRunning = (space: Space) => existsSync(join(space.state, "backup/loop.lock")) || undefined;

const files = [
  ["marimo-notebooks/plan für 2027.py", "first", 0o644],
  ["project/run.sh", "#!/bin/bash\n", 0o755],
  ["project/.git/config", "[core]\n", 0o600],
  ["data/table.bin", "\0".repeat(9 * 2 ** 20), 0o444], // in two parts
] as const;

describe("the home of a space", () => {
  it("is backed up while the space runs and when it stops, and a new space has it back", async () => {
    const space = newSpace("mine", "ana", {});
    for (const [path, content, mode] of files) {
      space.write(join(space.home, path), content);
      chmodSync(join(space.home, path), mode);
    }
    mkdirSync(join(space.home, "project/.git/refs"));
    symlinkSync("run.sh", join(space.home, "project/link"));
    space.write(join(space.home, ".netrc"), "password");
    space.write(join(space.home, "env/pyvenv.cfg"), "");

    const container = await start(space, "2");
    const manifest = () => existsSync(join(space.state, "backup/manifest.json")) || undefined;
    await until("the first backup", manifest);
    space.write(join(space.home, "late.py"), "last words");
    await container.stop();

    const kept = await objects("ana");
    expect(kept).toEqual(expect.arrayContaining(files.map(([path]) => `mine: files/${path}`)));
    expect(kept).toContain("mine: files/late.py");
    expect(kept).toContain("mine: manifest.json");
    expect(kept.join("\n")).not.toMatch(/netrc|pyvenv|sagemaker-marimo/);

    const other = newSpace("second", "ana", undefined);
    const running = await start(other);
    const list = await marimoBackup(other, "list");
    expect(list.stdout, list.stderr).toMatch(/^mine\/\d{8}T\d{6}Z: .*Z, \d+ files, 9\.\d MB\n {2}s3:\/\//);
    const restored = await marimoBackup(other, "restore", "--space", "mine");
    expect(restored.stderr).not.toContain("beside");
    expect(restored.status, restored.stderr).toBe(0);
    for (const [path, content, mode] of [...files, ["late.py", "last words", 0o644] as const]) {
      const file = join(other.home, path);
      expect(readFileSync(file, "utf8") === content, path).toBe(true);
      expect(lstatSync(file).mode & 0o777, path).toBe(mode);
      expect(Math.trunc(lstatSync(file).mtimeMs)).toBe(Math.trunc(lstatSync(join(space.home, path)).mtimeMs));
    }
    expect(readlinkSync(join(other.home, "project/link"))).toBe("run.sh");
    expect(existsSync(join(other.home, "project/.git/refs"))).toBe(true);
    expect(existsSync(join(other.home, ".netrc"))).toBe(false);
    await running.stop();
  }, 300_000);

  it("is backed up at JupyterLab's end, where a process in the background gets no signal", async () => {
    const space = newSpace("cut", "cy", {});
    const container = await start(space);
    await until("the loop", () => isRunning(space));
    const processes = async (pattern: RegExp) => {
      const { stdout } = await space.run("ps", ["axeww", "-o", "pid=,command="]);
      const lines = stdout
        .split("\n")
        .filter((line) => line.includes(`HOME=${space.home}`) && pattern.test(line));
      return lines.map((line) => Number.parseInt(line, 10));
    };
    for (const pid of await processes(/backup\/loop\.py/)) process.kill(pid, "SIGKILL");
    space.write(join(space.home, "late.py"), "last words");
    for (const pid of await processes(/jupyter-?lab/)) process.kill(pid, "SIGTERM");
    await container.exited;
    expect(await objects("cy")).toContain("cut: files/late.py");
  }, 120_000);

  it("is not backed up without the setting, except by hand", async () => {
    const space = newSpace("off", "bo", undefined);
    space.write(join(space.home, "a.py"), "1");
    await (await start(space, "1")).stop();
    expect(isRunning(space)).toBeUndefined();
    expect(await objects("bo")).toEqual([]);
    const byHand = await marimoBackup(space, "now");
    expect(byHand.status, byHand.stderr).toBe(0);
    expect(await objects("bo")).toContain("off: files/a.py");
  }, 120_000);
});
