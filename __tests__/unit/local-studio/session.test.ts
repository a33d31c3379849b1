import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readState } from "../../../src/local-studio/rehearsed-state.ts";
import {
  exportsFileOf,
  exportsOf,
  findSession,
  removeSession,
  type Session,
  writeExports,
  writeSession,
} from "../../../src/local-studio/session.ts";

let runs: string;
beforeEach(() => {
  runs = mkdtempSync(join(tmpdir(), "sagemaker-marimo-sessions-"));
});
afterEach(() => rmSync(runs, { recursive: true, force: true }));

function session(run: string, props: Partial<Session> & { readonly pid?: number } = {}): Session {
  const folder = join(runs, run);
  mkdirSync(folder);
  writeFileSync(join(folder, "pid"), `${props.pid ?? process.pid}\n`);
  const written: Session = {
    ...{ run, folder, environmentName: "dev", project: "/project", stackFolder: join(folder, "stack") },
    ...{
      statePath: join(folder, "terraform.tfstate"),
      variables: { AWS_ENDPOINT_URL: "http://127.0.0.1:1" },
    },
    ...props,
  };
  writeSession(written);
  return written;
}

const find = (wanted: Parameters<typeof findSession>[0] = {}) => findSession(wanted, runs, "/project").run;

describe("findSession", () => {
  it("finds the only running rehearsal of this project", () => {
    session("1-mine");
    session("2-killed", { pid: 999_999_999 });
    session("3-of-another-clone", { project: "/other" });
    expect(find()).toBe("1-mine");
    expect(find({ environmentName: "dev", run: "1-mine" })).toBe("1-mine");
  });

  it("requires an environment or a run name when several rehearsals are running", () => {
    session("1");
    session("2", { environmentName: "prod" });
    session("3", { environmentName: "prod" });
    expect(() => find()).toThrow("3 rehearsals are running:\n    1 of dev\n    2 of prod\n    3 of prod");
    expect(find({ environmentName: "dev" })).toBe("1");
    expect(() => find({ environmentName: "prod" })).toThrow("2 rehearsals are running");
    expect(find({ run: "3" })).toBe("3");
  });

  it("reports that no rehearsal, or not the requested one, is running", () => {
    expect(() => findSession({}, join(runs, "nothing"))).toThrow(/^No rehearsal is running\.$/);
    removeSession(session("1"));
    expect(() => find()).toThrow("No rehearsal is running.");
    session("2");
    expect(() => find({ environmentName: "prod" })).toThrow(
      "No rehearsal of prod is running. Running rehearsals:\n    2 of dev",
    );
  });
});

describe("a session's files", () => {
  it("are readable only by their owner, even if they had other permissions", () => {
    const written = session("1");
    chmodSync(exportsFileOf(written), 0o666);
    writeSession(written);
    for (const name of ["session.json", "exports.sh"]) {
      expect(statSync(join(written.folder, name)).mode & 0o777).toBe(0o600);
    }
  });

  it("are not written again after the rehearsal has ended", () => {
    const written = session("1");
    rmSync(written.folder, { recursive: true });
    writeExports(written);
    expect(() => statSync(exportsFileOf(written))).toThrow("ENOENT");
  });
});

describe("exportsOf", () => {
  const environment = {
    PATH: process.env.PATH,
    AWS_PROFILE: "production",
    AWS_SESSION_TOKEN: "secret",
    AWS_ENDPOINT_URL_S3: "https://s3.example.com",
    AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true",
    NO_PROXY: "example.com",
  };
  const variables = { AWS_ENDPOINT_URL: "http://127.0.0.1:1", CDKTF_OUTPUT: "/it's a folder/$HOME" };
  const shell = (text: string) =>
    execFileSync("sh", ["-c", `${text}\nenv`], { env: environment, encoding: "utf8" })
      .split("\n")
      .filter((line) => /^(AWS_|CDKTF_|MARIMO_|NO_PROXY)/.test(line))
      .sort();

  it("removes all settings of real AWS accounts from a shell, and quotes the exported values", () => {
    const written = exportsOf({ variables, statePath: "/nothing" });
    expect(shell(written)).toEqual([
      "AWS_ENDPOINT_URL=http://127.0.0.1:1",
      "CDKTF_OUTPUT=/it's a folder/$HOME",
      "NO_PROXY=example.com,127.0.0.1",
    ]);
    // Control: without the first line, the shell keeps its own variables.
    const [, ...rest] = written.split("\n");
    expect(shell(rest.join("\n"))).toContain("AWS_PROFILE=production");
  });

  it("exports the current bucket of the state's output for marimo-job", () => {
    const statePath = join(runs, "terraform.tfstate");
    writeFileSync(statePath, JSON.stringify({ outputs: { artifact_bucket: { value: "marimo-dev" } } }));
    expect(shell(exportsOf({ variables, statePath }))).toContain("MARIMO_BUCKET=marimo-dev");
  });

  it("works in other shells", () => {
    const file = join(runs, "exports.sh");
    writeFileSync(file, exportsOf({ variables, statePath: "/nothing" }));
    for (const name of ["bash", "dash", "zsh"]) {
      const { status, stdout, error } = spawnSync(name, ["-c", `. ${file}; env`], { env: environment });
      if (error !== undefined) continue; // not installed on this machine
      expect(status, name).toBe(0);
      expect(String(stdout), name).not.toContain("production");
    }
    expect(readFileSync(file, "utf8")).toContain("export AWS_ENDPOINT_URL=");
  });
});

describe("readState", () => {
  it("counts managed instances by type, and reads outputs that are strings", () => {
    const path = join(runs, "terraform.tfstate");
    const resources = [
      { mode: "managed", type: "aws_subnet", instances: [{}, {}] },
      { mode: "managed", type: "aws_subnet", instances: [{}] },
      { mode: "data", type: "aws_subnet", instances: [{}] },
    ];
    const outputs = { studio_domain_id: { value: "d-1" }, user_profile_names: { value: ["ana"] } };
    writeFileSync(path, JSON.stringify({ resources, outputs }));
    const state = readState(path);
    expect([...state.resources]).toEqual([["aws_subnet", 3]]);
    expect(state.output("studio_domain_id")).toBe("d-1");
    expect(state.output("user_profile_names")).toBeUndefined();
  });

  it("treats a missing or empty file as an empty state, and fails for a damaged file", () => {
    const path = join(runs, "terraform.tfstate");
    expect(readState(path).resources.size).toBe(0);
    writeFileSync(path, "");
    expect(readState(path).resources.size).toBe(0);
    writeFileSync(path, "{");
    expect(() => readState(path)).toThrow();
  });
});
