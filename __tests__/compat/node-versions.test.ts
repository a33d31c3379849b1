import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { type Captured, capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import {
  type NodeInstallation,
  type NodeVersion,
  nodeInstallation,
  nodeVersions,
} from "../support/node-versions.ts";

/** The folder of this test's files. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-node-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Captured> {
  const result = await capture(command, args, { ...options, timeout: 600_000 });
  if (result === undefined) throw new Error(`${command} cannot be run`);
  return result;
}

const textOf = ({ stdout, stderr }: Captured) => `${stdout}${stderr}`;
/** npm's warnings, without those about the machine's settings. */
const warnings = (result: Captured) =>
  textOf(result).match(/^npm warn (?!Unknown (user|global|env) config).*/gim) ?? [];

/** Unit tests that depend on Node.js: servers, child processes, signals, workers, the TypeScript loader. */
const unitTests = [
  "local-studio/app-host",
  "local-studio/gateway",
  "cli/interrupt",
  "main",
  "cli/program",
  "removal/removal-guard",
];

/** Copies the project's tracked and untracked files, without ignored ones, like a clone. */
async function cloneInto(target: string): Promise<void> {
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: projectFolder,
  });
  for (const file of listed.stdout.split("\0").filter(Boolean))
    cpSync(join(projectFolder, file), join(target, file));
}

describe.each(Object.keys(nodeVersions) as NodeVersion[])("Node.js %s", (version) => {
  let clone: string;
  let installation: NodeInstallation;
  let localAws: LocalAws;
  let environment: NodeJS.ProcessEnv;
  let installed: Captured;

  const node = (args: readonly string[], env = installation.environment) =>
    run(installation.node, args, { cwd: clone, env });
  const cdktf = (...args: string[]) => node([installation.npx, "--no", "cdktf", ...args], environment);

  beforeAll(async () => {
    installation = await nodeInstallation(version);
    clone = join(folder, `clone-${version}`);
    await cloneInto(clone);
    installed = await node([installation.npm, "ci", "--prefer-offline"]);

    localAws = await startLocalAws({
      python: (await pythonEnvironment("aws")).python,
      log: join(clone, "local-aws.log"),
    });
    const terraform = (await findTerraform()).command;
    environment = {
      ...installation.environment,
      ...(await terraformEnvironment({ command: terraform, runFolder: clone })),
      ...localAws.environment,
      TERRAFORM_BINARY_NAME: terraform,
      CDKTF_DISABLE_PLUGIN_CACHE_ENV: "1",
      CI: "1",
    };
  });
  afterAll(() => localAws?.stop());

  it("is the expected version, with its own npm", async () => {
    expect((await node(["--version"])).stdout).toMatch(new RegExp(`^v${version}\\.`));
    expect((await node([installation.npm, "--version"])).stdout).toMatch(
      new RegExp(`^${nodeVersions[version]}\\.`),
    );
  });

  it("installs without a warning", () => {
    expect(installed.status, textOf(installed)).toBe(0);
    expect(warnings(installed)).toEqual([]);
  });

  it("synthesizes the same files", async () => {
    const synthesize = async (program: string, output: string) => {
      const env = { ...installation.environment, CDKTF_OUTDIR: output };
      const result = await run(program, ["--import", "tsx", "main.ts"], { cwd: clone, env });
      expect(result.status, textOf(result)).toBe(0);
      return readFileSync(join(output, "stacks/dev/cdk.tf.json"), "utf8");
    };
    const here = await synthesize(process.execPath, join(folder, `here-${version}`));
    expect(await synthesize(installation.node, join(folder, `there-${version}`))).toBe(here);
  });

  // The other suites deploy with the Node.js that runs them. Only version 24 needed another terminal library.
  if (version === "24")
    it("deploys and destroys with cdktf", async () => {
      // The provider waits 50 s for a bucket's lifecycle rules, independently of Node.js. Terraform merges this file.
      const stack = join(clone, "cdktf.out/stacks/dev");
      mkdirSync(stack, { recursive: true });
      const rules = Object.keys(
        (
          JSON.parse(readFileSync(join(folder, `there-${version}`, "stacks/dev/cdk.tf.json"), "utf8")) as {
            resource: { aws_s3_bucket_lifecycle_configuration: object };
          }
        ).resource.aws_s3_bucket_lifecycle_configuration,
      );
      const none = Object.fromEntries(rules.map((name) => [name, { count: 0 }]));
      const override = { resource: { aws_s3_bucket_lifecycle_configuration: none } };
      writeFileSync(join(stack, "rules_override.tf.json"), JSON.stringify(override));

      const flags = ["--auto-approve", "--skip-provider-lock", "--no-color"];
      const deployed = await cdktf("deploy", "dev", ...flags);
      expect(deployed.status, textOf(deployed)).toBe(0);
      expect((await localAws.inventory()).length).toBeGreaterThan(20);
      const destroyed = await cdktf("destroy", "dev", ...flags);
      expect(destroyed.status, textOf(destroyed)).toBe(0);
      expect(await localAws.inventory()).toEqual([]);
    });
  else
    it("plans with cdktf", async () => {
      const planned = await cdktf("diff", "dev", "--skip-provider-lock", "--no-color");
      expect(planned.status, textOf(planned)).toBe(0);
      expect(textOf(planned)).toMatch(/Plan: \d{2,} to add, 0 to change, 0 to destroy/);
    });

  it("passes the unit tests that depend on it", async () => {
    const files = unitTests.map((name) => `__tests__/unit/${name}.test.ts`);
    const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "__tests__/vitest.config.ts"];
    const result = await node([...vitest, ...files], { ...installation.environment, NO_COLOR: "1" });
    expect(result.status, textOf(result)).toBe(0);
    expect(result.stdout).toMatch(new RegExp(`Test Files +${files.length} passed`));
  });
});

describe("the terminal library of cdktf-cli", () => {
  const load =
    'require(process.argv[1]).spawn("true", [], {}).onExit(({ exitCode }) => process.exit(exitCode))';

  it("has no binary for Node.js 24, which is why package.json replaces it", async () => {
    const packed = await run(
      "npm",
      ["pack", "--silent", "--prefer-offline", "@cdktf/node-pty-prebuilt-multiarch@0.10.2"],
      { cwd: folder },
    );
    expect(packed.status, packed.stderr).toBe(0);
    expect((await run("tar", ["-xzf", packed.stdout.trim()], { cwd: folder })).status).toBe(0);

    const original = async (version: NodeVersion) => {
      const { node } = await nodeInstallation(version);
      return run(node, ["-e", load, join(folder, "package")], { cwd: folder });
    };
    expect((await original("22")).status).toBe(0);
    const failed = await original("24");
    expect(failed.status).not.toBe(0);
    expect(failed.stderr).toContain("Cannot find module '../build/");
  });

  it("is replaced for cdktf-cli and each of its packages", async () => {
    const { node, npm } = await nodeInstallation("24");
    const listed = await run(node, [npm, "ls", "--json", "@cdktf/node-pty-prebuilt-multiarch"], {
      cwd: projectFolder,
    });
    const found = [
      ...listed.stdout.matchAll(/"@cdktf\/node-pty-prebuilt-multiarch": \{\s*"version": "(.*?)"/g),
    ];
    expect(found.map(([, version]) => version)).toEqual(["1.1.0", "1.1.0"]);
  });
});

describe("a package with an install script that package.json does not allow or deny", () => {
  it("causes a warning of npm 11", async () => {
    const { node, npm, environment } = await nodeInstallation("24");
    const project = join(folder, "undecided");
    const script = join(project, "scripted");
    mkdirSync(script, { recursive: true });
    const scripted = { name: "scripted", version: "1.0.0", scripts: { postinstall: "true" } };
    writeFileSync(join(script, "package.json"), JSON.stringify(scripted));
    const write = (allowScripts: object) =>
      writeFileSync(
        join(project, "package.json"),
        JSON.stringify({ private: true, dependencies: { scripted: "file:scripted" }, ...allowScripts }),
      );
    write({});
    const options = { cwd: project, env: environment };
    const result = await run(node, [npm, "install", "--install-links"], options);
    expect(warnings(result).join("\n")).toContain("not yet covered by allowScripts");
  });
});
