import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { startScript } from "../support/command.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-missing-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The environment variables of a machine with only Node.js and these programs. */
function machineWith(...programs: string[]): NodeJS.ProcessEnv {
  for (const path of [process.execPath, ...programs]) {
    symlinkSync(path, join(folder, path.slice(path.lastIndexOf("/") + 1)));
  }
  return { PATH: folder, HOME: folder };
}

describe("npm start on a machine with missing programs", () => {
  it("--check lists all missing programs with remedies, and starts nothing", async () => {
    const command = startScript("start", ["--check"], machineWith());
    expect(await command.status).toBe(1);
    const { stderr } = command.output;
    expect(stderr).toMatch(/Terraform 1\.10\.0 or later was not found.*\n {2}What to do: install Terraform/);
    expect(stderr).toMatch(/Python 3\.11 or later.* was not found.*\n {2}What to do: install Python/);
    expect(stderr).toMatch(/No Chromium, Chrome or Edge was found.*\n {2}What to do: install Chromium/);
    expect(stderr).not.toContain("prepare the Python environments");
    expect(stderr).not.toContain("    at ");
  });

  it("does not require a browser without --check", async () => {
    const command = startScript("start", [], machineWith());
    expect(await command.status).toBe(1);
    expect(command.output.stderr).not.toContain("Chromium");
  });
});

describe("npm start without access to the AWS provider", () => {
  it("fails with a remedy", async () => {
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

describe("an unknown environment", () => {
  it.each(["start", "verify"] as const)("is rejected by %s with the allowed names", async (script) => {
    const command = startScript(script, ["--chek", "--environment", "nowhere"]);
    expect(await command.status).toBe(2);
    expect(command.output.stderr).toMatch(
      /unknown option --chek[^"]*--environment must be one of .*, got "nowhere"/s,
    );
  });
});

describe("npm run bench", () => {
  it("--help lists the benchmarks, and runs none", async () => {
    const command = startScript("bench", ["--help"]);
    expect(await command.status).toBe(0);
    expect(command.output.stdout).toMatch(/^ {2}synthesis +main\.ts .*^ {2}--runs N /ms);
    expect(command.output.stderr).toBe("");
  });

  it("reports all errors of the command line", async () => {
    const command = startScript("bench", ["spaces", "--runs", "0"]);
    expect(await command.status).toBe(2);
    expect(command.output.stderr).toMatch(
      /expected one of synthesis.*, got "spaces"\n- --runs must be a whole number from 1 to 100, got "0"/,
    );
    expect(command.output.stdout).toBe("");
  });
});

describe("npm run verify without a deployment", () => {
  it("names the failed step", async () => {
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

describe("without AWS credentials", () => {
  it.each([["leftovers"], ["audit", "--person", "ana"], ["move-data"], ["plan"], ["verify"], ["wheelhouse"]])(
    "npm run %s says so in one sentence",
    async (script, ...args) => {
      // A copy, because a plan synthesizes.
      const project = copyProject();
      try {
        const { AWS_PROFILE, ...others } = process.env;
        const environment = { ...others, HOME: folder, AWS_EC2_METADATA_DISABLED: "true" };
        const command = startScript(script, args, environment, project.folder);
        expect(await command.status).toBe(1);
        const [first = "", ...rest] = command.output.stderr
          .split("\n")
          .filter((line) => !/^[✓✗] /.test(line));
        expect(first).toMatch(/^No valid AWS credentials were found: /);
        expect(rest).toEqual(["  What to do: set AWS_PROFILE, or run aws sso login", ""]);
      } finally {
        project.remove();
      }
    },
  );
});
