import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { environments } from "../../../src/environments.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../../src/settings/environment.ts";
import {
  checkLocks,
  lockFileOf,
  lockHeader,
  locksFolder,
  requirementsOf,
  unusedLocks,
} from "../../../src/settings/locks.ts";
import { marimoDefaults } from "../../../src/settings/marimo.ts";

const packages = {
  marimoVersion: marimoDefaults.marimoVersion,
  extraPackages: ["polars==1.30.0", "altair==5.5.0"],
};

const withAi = { name: "dev", ai: { chatModel: "amazon.nova-lite-v1:0" } };

describe("a lock file", () => {
  it("belongs to the packages, in any order, and to nothing else of an environment", () => {
    expect(requirementsOf(packages)).toEqual([
      `marimo==${marimoDefaults.marimoVersion}`,
      "altair==5.5.0",
      "polars==1.30.0",
    ]);
    const file = lockFileOf(packages);
    expect(lockFileOf({ ...packages, extraPackages: packages.extraPackages.toReversed() })).toBe(file);
    expect(lockFileOf({ ...packages, marimoVersion: "0.25.1" })).not.toBe(file);
    expect(lockFileOf({ ...packages, extraPackages: [] })).not.toBe(file);
    expect(lockFileOf(resolveEnvironment({ name: "a" }))).toBe(
      lockFileOf(resolveEnvironment({ name: "b", region: "eu-west-1" })),
    );
  });

  it("is in place for each environment and the defaults, and none is left over", () => {
    const all = [...environments, { name: "dev" }, withAi].map(resolveEnvironment);
    expect(checkLocks(all)).toEqual([]);
    expect(unusedLocks(all)).toEqual([]);
    expect(unusedLocks([])).toEqual([...new Set(all.map((one) => lockFileOf(one)))].sort());
  });

  it("with `ai` has the same versions, and neither boto3 nor botocore, which are the image's", () => {
    const pins = (settings: EnvironmentSettings) =>
      readFileSync(lockFileOf(resolveEnvironment(settings)), "utf8").match(/^[a-z0-9._-]+==\S+/gim) ??
      ([] as string[]);
    const [plain, ai] = [pins({ name: "dev" }), pins(withAi)];
    expect(ai).toEqual(expect.arrayContaining(plain));
    const added = ai.filter((pin) => !plain.includes(pin)).map((pin) => pin.split("==")[0]);
    expect(added).toContain("pydantic-ai-slim");
    expect(added).not.toContain("boto3");
    expect(added).not.toContain("botocore");
  });

  it("leaves the version of a package to `extraPackages`", () => {
    const own = { ...resolveEnvironment(withAi), extraPackages: ["pydantic-ai-slim[openai]==2.60.0"] };
    expect(requirementsOf(own).filter((one) => one.startsWith("pydantic"))).toEqual(own.extraPackages);
  });

  it("names no index, no folder and no package without a hash", () => {
    for (const name of readdirSync(locksFolder)) {
      const text = readFileSync(join(locksFolder, name), "utf8");
      expect(text).not.toMatch(/:\/\/|index-url|find-links|file:|\/root|\/home/);
      expect(text.match(/^\S+==\S+/gm)?.length).toBeGreaterThan(20);
    }
  });
});

describe("the check of lock files", () => {
  const environment = { ...resolveEnvironment({ name: "dev" }), ...packages };

  /** What is wrong with the default lock file, when it is written for these packages with a change to it. */
  function problems(change: (text: string) => string): readonly string[] {
    const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [, ...pins] = readFileSync(lockFileOf(resolveEnvironment({ name: "dev" })), "utf8").split("\n");
    writeFileSync(lockFileOf(environment, folder), change(lockHeader(environment) + pins.join("\n")));
    return checkLocks([environment], folder);
  }

  it("finds nothing wrong with one that is in place and whole", () => {
    expect(problems((text) => text)).toEqual([]);
  });

  it("reports one that is missing, with the packages that it is for", () => {
    const [problem] = checkLocks([environment]);
    expect(problem).toMatch(/missing.*npm run lock/);
    for (const requirement of requirementsOf(packages)) expect(problem).toContain(requirement);
  });

  it.each<[string, (text: string) => string, string]>([
    ["of other settings", (text) => text.replace(marimoDefaults.marimoVersion, "0.25.1"), "other settings"],
    ["cut short", (text) => text.slice(0, 300), "marimo"],
    ["without a hash", (text) => `${text}extra==1.0\n`, '"extra==1.0"'],
  ])("reports one that is %s", (_, change, expected) => {
    const [problem, ...others] = problems(change);
    expect(problem?.split("npm run lock")[0]?.split(requirementsOf(packages).join(" "))[1]).toContain(
      expected,
    );
    expect(problem).toContain("npm run lock");
    expect(others).toEqual([]);
  });
});
