import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openKeptFolder } from "../../../src/local-studio/kept-folder.ts";

let parent: string;
let path: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "sagemaker-marimo-kept-"));
  path = join(parent, "kept");
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const problem = (environmentName = "dev") => {
  try {
    openKeptFolder(path, environmentName);
  } catch (error) {
    const { message, remedy } = error as { message: string; remedy: string };
    return `${message} ${remedy}`.replaceAll(path, "KEPT");
  }
  return "none";
};

describe("openKeptFolder", () => {
  it("creates a folder that only its owner can access, and continues with it at the next start", () => {
    const first = openKeptFolder(path, "dev");
    expect(first.continues).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    first.release();
    expect(openKeptFolder(path, "dev").continues).toBe(true);
  });

  it("accepts an empty folder", () => {
    mkdirSync(path, { mode: 0o755 });
    expect(problem()).toBe("none");
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it("rejects a folder that a running rehearsal uses", () => {
    const first = openKeptFolder(path, "dev");
    expect(problem()).toContain(
      `KEPT is in use by a running rehearsal (process ${process.pid}). end that rehearsal`,
    );
    writeFileSync(join(path, "pid"), "999999999\n");
    expect(problem()).toBe("none");
    expect(readFileSync(join(path, "pid"), "utf8")).toBe(`${process.pid}\n`);
    first.release();
    expect(problem()).toBe("none");
  });

  it("rejects other folders and does not change them", () => {
    mkdirSync(path);
    writeFileSync(join(path, "thesis.txt"), "");
    expect(problem()).toContain(
      "--keep KEPT is not empty and was not kept by a rehearsal. choose a new or empty folder",
    );
    expect(statSync(join(path, "thesis.txt")).size).toBe(0);
    rmSync(path, { recursive: true });
    writeFileSync(path, "");
    expect(problem()).toContain("--keep KEPT is not a folder.");
  });

  it("rejects the folder of another environment", () => {
    openKeptFolder(path, "dev").release();
    expect(problem("prod")).toBe(
      '--keep KEPT belongs to the environment "dev", not "prod". add --environment dev, or choose another folder',
    );
  });

  it("reports where the user files are when the folder is damaged", () => {
    openKeptFolder(path, "dev").release();
    mkdirSync(join(path, "spaces/d-1/rehearsal/home"), { recursive: true });
    expect(problem()).toContain("KEPT/aws.snapshot is missing");
    writeFileSync(join(path, "aws.snapshot"), "");
    expect(problem()).toBe("none");
    writeFileSync(join(path, "rehearsal.json"), "{");
    expect(problem()).toBe(
      "KEPT/rehearsal.json is damaged. delete KEPT to start over; the user files of each space are in its home folder " +
        "below KEPT/spaces",
    );
  });

  it("rejects a folder that is writable for other users, because Python unpickles a file in it", () => {
    mkdirSync(path);
    chmodSync(path, 0o770);
    expect(problem()).toContain("is writable for other users (mode 770");
  });
});
