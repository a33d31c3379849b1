import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkLock, setAside, stepOf } from "../../../src/state/migration.ts";

const ids = (...names: string[]) => names.map((id) => ({ attributes: { id } }));
const state = (lineage: string, serial: number, ...names: string[]) => ({
  lineage,
  serial,
  resources: [{ mode: "managed", type: "aws_vpc", instances: ids(...names) }],
});
const local = (found?: object) => ({ place: "terraform.dev.tfstate", state: found });
const remote = (found?: object) => ({ place: "s3://b/k", state: found });

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-migration-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe("the step of a migration", () => {
  it("is a copy if the backend has no state, or an older one of the same lineage", () => {
    expect(stepOf(local(state("a", 7, "one")), remote())).toBe("copy");
    expect(stepOf(local(state("a", 7, "one", "two")), remote(state("a", 6, "one")))).toBe("copy");
  });

  it("is a copy over another state only if that has no resources", () => {
    expect(stepOf(local(state("a", 7, "one")), remote(state("b", 9)))).toBe("copy");
    expect(stepOf(local(state("a", 7, "one")), remote({}))).toBe("copy");
  });

  it("is over if the backend has the state, also after later applies, and as Terraform copies it", () => {
    expect(stepOf(local(state("a", 7, "one")), remote(state("b", 1, "one")))).toBe("copied");
    expect(stepOf(local(state("a", 7, "one")), remote(state("a", 7, "one")))).toBe("copied");
    expect(stepOf(local(state("a", 7, "one")), remote(state("a", 9, "one", "two")))).toBe("copied");
  });

  it("is nothing without resources to move", () => {
    expect(stepOf(local(), remote(state("b", 9, "one")))).toBe("nothing");
    expect(stepOf(local(state("a", 7)), remote())).toBe("nothing");
  });

  it("is refused if the backend has the resources of another state", () => {
    expect(() => stepOf(local(state("a", 7, "one")), remote(state("b", 7, "two")))).toThrow(
      /^s3:\/\/b\/k \(serial 7\) has 1 resources, and it is not a copy of terraform\.dev\.tfstate \(serial 7\)/,
    );
  });

  it("is refused if the newer state lacks a resource of the older one", () => {
    const [fewer, more] = [state("a", 8, "one"), state("a", 7, "one", "two")];
    for (const refused of [
      () => stepOf(local(more), remote(fewer)),
      () => stepOf(local(fewer), remote(more)),
    ])
      expect(refused).toThrow(/is the newer one, but does not have these of \S+: aws_vpc two\. Nothing was/);
  });
});

it("keeps a moved state file under a name that says so, and never replaces another", () => {
  const folder = emptyFolder();
  const file = join(folder, "terraform.dev.tfstate");
  for (const text of ["first", "second"]) {
    writeFileSync(file, text);
    setAside("dev", folder);
  }
  expect(existsSync(file)).toBe(false);
  expect(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")])).toEqual([
    ["terraform.dev.tfstate.moved-to-s3", "first"],
    ["terraform.dev.tfstate.moved-to-s3-2", "second"],
  ]);
});

it("refuses a state that Terraform is using", () => {
  const folder = emptyFolder();
  expect(() => checkLock("dev", folder)).not.toThrow();
  writeFileSync(join(folder, ".terraform.dev.tfstate.lock.info"), "{}");
  expect(() => checkLock("dev", folder)).toThrow(/Terraform is using terraform\.dev\.tfstate/);
});
