import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { copyProject } from "../../scripts/lib/project-copy.ts";
import { environments } from "../../src/environments.ts";
import {
  checkLocks,
  lockFileOf,
  locksFolder,
  requirementsOf,
  unusedLocks,
} from "../../src/settings/locks.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";

const packages = { marimoVersion: "0.25.2", extraPackages: ["polars==1.30.0", "altair==5.5.0"] };

describe("a lock file", () => {
  it("belongs to the packages, in any order, and to nothing else of an environment", () => {
    expect(requirementsOf(packages)).toEqual(["marimo==0.25.2", "altair==5.5.0", "polars==1.30.0"]);
    const file = lockFileOf(packages);
    expect(lockFileOf({ ...packages, extraPackages: packages.extraPackages.toReversed() })).toBe(file);
    expect(lockFileOf({ ...packages, marimoVersion: "0.25.1" })).not.toBe(file);
    expect(lockFileOf({ ...packages, extraPackages: [] })).not.toBe(file);
    expect(lockFileOf(resolveEnvironment({ name: "a" }))).toBe(
      lockFileOf(resolveEnvironment({ name: "b", region: "eu-west-1" })),
    );
  });

  it("is in place for each environment and the defaults, and none is left over", () => {
    const all = [...environments, { name: "dev" }].map(resolveEnvironment);
    expect(checkLocks(all)).toEqual([]);
    expect(unusedLocks(all)).toEqual([]);
    expect(unusedLocks([])).toEqual([...new Set(all.map((one) => lockFileOf(one)))].sort());
  });

  it("names no index, no folder and no package without a hash", () => {
    for (const name of readdirSync(locksFolder)) {
      const text = readFileSync(join(locksFolder, name), "utf8");
      expect(text).not.toMatch(/:\/\/|index-url|find-links|file:|\/root|\/home/);
      expect(text.match(/^\S+==\S+/gm)?.length).toBeGreaterThan(20);
    }
  });
});

describe("main.ts", () => {
  const synthesize = (environment: string, change: (file: string) => void) => {
    const copy = copyProject(`[${environment}]`);
    onTestFinished(copy.remove);
    change(join(copy.folder, "src/space/locks", basename(lockFileOf(resolveEnvironment({ name: "dev" })))));
    const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", "main.ts"], {
      cwd: copy.folder,
      encoding: "utf8",
    });
    return { status, stderr, wrote: existsSync(join(copy.folder, "cdktf.out")) };
  };

  it.each<[string, string, (file: string) => void, string]>([
    ["missing", '{ name: "dev" }', (file) => rmSync(file), "is missing"],
    [
      "missing for new settings",
      '{ name: "dev", extraPackages: ["polars==1.30.0"] }',
      () => {},
      "the lock file of marimo==0.25.2 polars==1.30.0 is missing",
    ],
    [
      "of other settings",
      '{ name: "dev" }',
      (file) => writeFileSync(file, readFileSync(file, "utf8").replace("0.25.2", "0.25.1")),
      "was made for other settings",
    ],
    [
      "cut short",
      '{ name: "dev" }',
      (file) => writeFileSync(file, readFileSync(file, "utf8").slice(0, 300)),
      "does not name marimo",
    ],
    [
      "without a hash",
      '{ name: "dev" }',
      (file) => writeFileSync(file, `${readFileSync(file, "utf8")}extra==1.0\n`),
      '"extra==1.0", which is no pinned package with hashes',
    ],
  ])("refuses a lock file that is %s, and writes nothing", (_, environment, change, expected) => {
    const { status, stderr, wrote } = synthesize(environment, change);
    expect(stderr).toContain(expected);
    expect(stderr).toContain("npm run lock");
    expect(status).toBe(1);
    expect(wrote).toBe(false);
  });
});
