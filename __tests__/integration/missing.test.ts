import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startScript } from "./command.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-missing-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A machine with nothing but Node.js and these programs. */
function machineWith(...programs: string[]): NodeJS.ProcessEnv {
  for (const path of [process.execPath, ...programs]) {
    symlinkSync(path, join(folder, path.slice(path.lastIndexOf("/") + 1)));
  }
  return { PATH: folder, HOME: folder };
}

describe("npm start -- --check on a machine that lacks something", () => {
  it("names everything that is missing at once, each with what to do, and starts nothing", async () => {
    const command = startScript("start", ["--check"], machineWith());
    expect(await command.status).toBe(1);
    const { stderr } = command.output;
    expect(stderr).toMatch(/Terraform 1\.10\.0 or later was not found.*\n {2}What to do: install Terraform/);
    expect(stderr).toMatch(/Python 3\.11 or later.* was not found.*\n {2}What to do: install Python/);
    expect(stderr).toMatch(/No Chromium, Chrome or Edge was found.*\n {2}What to do: install Chromium/);
    expect(stderr).not.toContain("prepare the Python environments");
    expect(stderr).not.toContain("    at ");
  });

  it("without a browser, starts all the same when none is needed", async () => {
    const command = startScript("start", [], machineWith());
    expect(await command.status).toBe(1);
    expect(command.output.stderr).not.toContain("Chromium");
  });
});

describe("npm start where Terraform cannot get the provider", () => {
  it("says so, and what to do", async () => {
    const mirror = join(folder, "empty-mirror");
    const configuration = join(folder, "terraform.rc");
    mkdirSync(mirror);
    writeFileSync(
      configuration,
      `provider_installation {\n  filesystem_mirror {\n    path = "${mirror}"\n  }\n}\n`,
    );
    const command = startScript("start", [], { ...process.env, TF_CLI_CONFIG_FILE: configuration });
    expect(await command.status).toBe(1);
    expect(command.output.stderr).toMatch(
      /Terraform could not get the AWS provider.*\n {2}What to do: .*terraform providers mirror/,
    );
    const log = /Log: (.*deploy\.log)/.exec(command.output.stderr)?.[1] ?? "";
    expect(readFileSync(log, "utf8")).toContain("Error:");
    rmSync(dirname(log), { recursive: true });
  });
});

describe("an environment that is not there", () => {
  it.each(["start", "verify"] as const)("%s names those that are", async (script) => {
    const command = startScript(script, ["--environment", "nowhere", "--chek"]);
    expect(await command.status).toBe(2);
    expect(command.output.stderr).toMatch(
      /there is no option --chek[^"]*--environment takes one of .*, got "nowhere"/s,
    );
  });
});

describe("npm run bench", () => {
  it("--help names each benchmark, and measures nothing", async () => {
    const command = startScript("bench", ["--help"]);
    expect(await command.status).toBe(0);
    expect(command.output.stdout).toMatch(/^ {2}synthesis +main\.ts .*^ {2}--runs N /ms);
    expect(command.output.stderr).toBe("");
  });

  it("tells everything that is wrong with its command line", async () => {
    const command = startScript("bench", ["spaces", "--runs", "0"]);
    expect(await command.status).toBe(2);
    expect(command.output.stderr).toMatch(
      /one of synthesis.* is taken, got "spaces"\n- --runs takes a whole number from 1 to 100, got "0"/,
    );
    expect(command.output.stdout).toBe("");
  });
});

describe("npm run verify where nothing is deployed", () => {
  it("says that AWS cannot be reached, or that there is no domain", async () => {
    const command = startScript("verify", [], {
      ...process.env,
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    });
    expect(await command.status).toBe(1);
    expect(command.output.stderr).toContain('The step "find the Studio domain" failed');
  });
});
