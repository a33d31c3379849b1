import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import { quickFiles, slowFiles, suites } from "../../suites.ts";

describe("the test suites", () => {
  it("contain every test file", () => {
    const files = readdirSync(join(projectFolder, "__tests__"), { recursive: true, encoding: "utf8" });
    const folders = new Set(
      files.filter((file) => file.endsWith(".test.ts")).map((file) => file.split("/")[0]),
    );
    expect([...folders].sort()).toEqual([...suites, "unit"].sort());
  });

  it("list only existing files", () => {
    expect([...quickFiles, ...slowFiles].filter((file) => !existsSync(join(projectFolder, file)))).toEqual(
      [],
    );
  });
});
