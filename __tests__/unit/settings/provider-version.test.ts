import { describe, expect, it } from "vitest";
import { allowsVersion, compareVersions, firstVersion } from "../../../src/settings/provider-version.ts";

describe("a version constraint", () => {
  it.each([
    ["1.10.0", "1.9.9", 1],
    ["5.100.0", "5.100.0", 0],
    ["1.10.0-rc1", "1.10.0", 0],
    ["6.9.0", "7.0.0", -1],
  ])("compares %s and %s", (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));

  // Terraform 1.11.4, with a mirror that has 5.100.0 only, says the same of that version.
  it.each([
    ["~> 5.100", "5.100.0", true],
    ["~> 5.100", "5.101.3", true],
    ["~> 5.100", "6.0.0", false],
    ["~> 5.100", "5.99.9", false],
    ["~> 5.100.0", "5.100.9", true],
    ["~> 5.100.0", "5.101.0", false],
    ["~> 5", "5.100.0", true],
    ["~> 4", "5.100.0", false],
    ["5.100", "5.100.0", true],
    ["=5.100.0", "5.100.0", true],
    ["= 5.100.0", "5.100.1", false],
    [">=5.100.0,<6", "5.100.0", true],
    [">= 5.100.0, < 6", "6.0.0", false],
    ["> 5.100.0", "5.100.0", false],
    ["<= 5.100", "5.100.0", true],
    ["~> 5.100, != 5.100.1", "5.100.1", false],
    ["v5.100.0", "5.100.0", false],
    ["", "5.100.0", false],
    ["~> 5.100,", "5.100.0", false],
  ])("%j and %s: %s", (constraint, version, allowed) => {
    expect(allowsVersion(constraint, version)).toBe(allowed);
  });

  it("begins with a version", () => {
    expect(firstVersion(">= 6.40, < 7")).toBe("6.40.0");
    expect(firstVersion("latest")).toBeUndefined();
  });
});
