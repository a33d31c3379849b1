import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { checkProviderLocks, copyProviderLocks } from "../../../src/settings/provider-lock.ts";

/** As Terraform writes it, apart from the checksum. */
const lock = (version: string, constraints: string, provider = "registry.example.com/hashicorp/aws") => `\
# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.example.com/hashicorp/null" {
  version = "9.9.9"
}

provider "${provider}" {
  version     = "${version}"
  constraints = "${constraints}"
  hashes = [
    "h1:edXOJWE4ORX8Fm+dpVpICzMZJat4AX0VRCAy/xkcOc0=",
  ]
}
`;

function folderWith(text: string | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-provider-lock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  if (text !== undefined) writeFileSync(join(folder, "terraform.dev.lock.hcl"), text);
  return folder;
}

const problemsWith = (text: string | undefined, awsProviderVersion: string) =>
  checkProviderLocks([{ name: "dev", awsProviderVersion }], folderWith(text));

it.each([
  ["none", undefined, "~> 5.100"],
  ["one of the setting", lock("5.100.0", "~> 5.100"), "~> 5.100"],
  ["one of a wider setting", lock("6.62.0", ">= 5.100.0, < 7.0.0"), "~> 6.62"],
  ["one by hand, without a constraint", lock("5.100.0", "x").replace(/.*constraints.*\n/, ""), "~> 5.100"],
])("takes %s", (_, text, wanted) => {
  expect(problemsWith(text, wanted)).toEqual([]);
});

it.each([
  [
    "of another version",
    lock("5.100.0", "~> 5.100"),
    "~> 6.62",
    'locks hashicorp/aws 5.100.0, which awsProviderVersion "~> 6.62" does not allow',
  ],
  // cdktf would run `terraform init -upgrade`, and take another version than the locked one.
  [
    "for a narrower setting",
    lock("6.62.1", "~> 6.62"),
    "~> 6.40",
    'was made for "~> 6.62", and awsProviderVersion is "~> 6.40"',
  ],
  ["that is empty", "", "~> 5.100", "does not lock a version of hashicorp/aws"],
  [
    "of another provider",
    lock("5.100.0", "~> 5.100", "registry.example.com/acme/aws"),
    "~> 5.100",
    "does not lock a version of hashicorp/aws",
  ],
])("refuses one %s, and says what to do", (_, text, wanted, problem) => {
  expect(problemsWith(text, wanted)).toEqual([
    `environments[0] "dev": terraform.dev.lock.hcl ${problem}. Run: npm run provider-lock -- --environment dev (and commit the file).`,
  ]);
});

it("goes to its own stack, in place of an older one, and to no other", () => {
  const text = lock("5.100.0", "~> 5.100");
  const folder = folderWith(text);
  const stack = (name: string) => join(folder, "out/stacks", name);
  for (const name of ["dev", "prod"]) mkdirSync(stack(name), { recursive: true });
  writeFileSync(join(stack("dev"), ".terraform.lock.hcl"), "old");
  copyProviderLocks([{ name: "dev" }, { name: "prod" }], join(folder, "out"), folder);
  expect(readFileSync(join(stack("dev"), ".terraform.lock.hcl"), "utf8")).toBe(text);
  expect(readdirSync(stack("prod"))).toEqual([]);
});
