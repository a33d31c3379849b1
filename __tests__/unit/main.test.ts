import { execFile, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf, lockHeader } from "../../src/settings/locks.ts";

const run = promisify(execFile);
const copies: { remove: () => void }[] = [];
afterAll(() => {
  for (const copy of copies) copy.remove();
});

function copyWith(environments?: string): string {
  const copy = copyProject(environments);
  copies.push(copy);
  return copy.folder;
}

const argumentsFor = (folder: string) => ["--import", import.meta.resolve("tsx"), join(folder, "main.ts")];

/** The content of all files in a folder, in base64, by relative path. */
function tree(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length + 1), readFileSync(path).toString("base64")]),
  );
}

describe("the output of main.ts", () => {
  const packages = { marimoVersion: "99.0.0", extraPackages: [] };
  const folders = [
    copyWith(),
    copyWith(),
    copyWith('[{ name: "dev", marimoVersion: "99.0.0" }, { name: "prod", vpcCidr: "10.1.0.0/16" }]'),
  ] as const;
  let outputs: Record<string, string>[];
  let errors: string[];

  beforeAll(async () => {
    writeFileSync(
      join(folders[2], "src/space/locks", basename(lockFileOf(packages))),
      `${lockHeader(packages)}marimo==99.0.0 --hash=sha256:${"0".repeat(64)}\n`,
    );
    const machines = [
      { TZ: "UTC", LANG: "C", HOME: homedir(), USER: "ana" },
      { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", HOME: "/nowhere", USER: "bo" },
      { CDKTF_OUTDIR: join(folders[2], "cdktf.out") },
    ];
    const results = await Promise.all(
      folders.map(async (folder, i) => {
        const { stderr } = await run(process.execPath, argumentsFor(folder), {
          // The last one is run outside of the project folder's root.
          cwd: i === 2 ? join(folder, "src") : folder,
          env: { PATH: process.env.PATH, ...machines[i] },
        });
        return { stderr, files: tree(join(folder, "cdktf.out")) };
      }),
    );
    outputs = results.map(({ files }) => files);
    errors = results.map(({ stderr }) => stderr);
  });

  it("is the same in another folder, time zone, language and home folder", () => {
    expect(Object.keys(outputs[0] as object)).toContain("stacks/dev/cdk.tf.json");
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("changes with the settings (control)", () => {
    const stack = "stacks/dev/cdk.tf.json";
    expect(outputs[2]?.[stack]).not.toEqual(outputs[0]?.[stack]);
  });

  it("warns only of a version of marimo that is newer than the tested one", () => {
    const warning = /^warning: dev: marimoVersion "99\.0\.0" is newer than [^\n]+\n$/;
    expect(errors).toEqual(["", "", expect.stringMatching(warning)]);
  });

  it("does not contain folders of the machine", () => {
    for (const [file, content] of Object.entries(outputs[0] as Record<string, string>)) {
      const text = Buffer.from(content, "base64").toString();
      expect(text, file).not.toContain(folders[0]);
      expect(text, file).not.toContain(homedir() === "/" ? folders[0] : `${homedir()}/`);
    }
  });

  it("has one stack for each environment, for any working folder", () => {
    expect(Object.keys(outputs[2] as object)).toEqual(
      expect.arrayContaining(["stacks/dev/cdk.tf.json", "stacks/prod/cdk.tf.json"]),
    );
    expect(existsSync(join(folders[2], "src", "cdktf.out"))).toBe(false);
  });
});

describe("main.ts", () => {
  /** Runs it outside of the project folder's root, and expects an error without output files. */
  function refused(folder: string): string {
    const outdir = join(folder, "out");
    const { status, stdout, stderr } = spawnSync(process.execPath, argumentsFor(folder), {
      cwd: join(folder, "src"),
      env: { ...process.env, CDKTF_OUTDIR: outdir },
      encoding: "utf8",
    });
    expect(status).toBe(1);
    expect(stdout).toBe("");
    for (const path of [outdir, join(folder, "cdktf.out"), join(folder, "src", "cdktf.out")])
      expect(existsSync(path)).toBe(false);
    return stderr;
  }

  it("prints all errors of invalid settings, exits with 1 and writes nothing", () => {
    const stderr = refused(copyWith('[{ name: "Dev", idleTimeoutMinutes: 5, vpcCidr: "8.8.8.0/24" }]'));
    expect(stderr).toContain("Dev");
    expect(stderr).toContain("5");
    expect(stderr).toContain("8.8.8.0/24");
    expect(stderr.split("\n").filter((line) => line.startsWith("- ")).length).toBeGreaterThanOrEqual(3);
  });

  it("rejects a missing lock file, and writes nothing", () => {
    const folder = copyWith('[{ name: "dev" }]');
    rmSync(join(folder, "src/space/locks", basename(lockFileOf(resolveEnvironment({ name: "dev" })))));
    expect(refused(folder)).toContain("npm run lock");
  });
});
