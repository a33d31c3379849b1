import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Captured, capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { lockedProvider } from "../../src/settings/provider-lock.ts";
import { Clone } from "../support/clone-fixture.ts";

const platforms = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];

let project: Clone;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
/**
 * A mirror with this machine's real provider package. Packages of other platforms and versions are placeholder files.
 */
let mirror: string;
let tested: string;

const lockFile = () => join(project.folder, "terraform.dev.lock.hcl");
const read = (file: string) => readFileSync(file, "utf8");
const checksums = (text: string) => text.match(/"h1:[^"]+"/g) ?? [];
const providerLock = (...args: string[]) =>
  project.run(
    "scripts/provider-lock.ts",
    ["--environment", "dev", "--fs-mirror", relative(project.folder, mirror), ...args],
    environment,
  );
const plan = () => project.run("scripts/plan.ts", ["--environment", "dev"], environment);

/** Runs `cdktf diff`. cdktf's own provider lock would need the registry. */
async function cdktfDiff(more: NodeJS.ProcessEnv = {}): Promise<Captured> {
  const cdktf = join(project.folder, "node_modules/cdktf-cli/bundle/bin/cdktf");
  const result = await capture(process.execPath, [cdktf, "diff", "dev", "--no-color"], {
    cwd: project.folder,
    env: { ...process.env, ...environment, ...more },
    timeout: 300_000,
  });
  if (result === undefined) throw new Error("Node.js was not found");
  return result;
}

function addToMirror(version: string): void {
  const [host = ""] = readdirSync(mirror);
  const folder = join(mirror, host, "hashicorp/aws", version);
  const there = version === tested ? readdirSync(folder) : [];
  for (const platform of platforms.filter((one) => !there.includes(one))) {
    mkdirSync(join(folder, platform), { recursive: true });
    writeFileSync(join(folder, platform, `terraform-provider-aws_v${version}`), `${version} ${platform}`);
  }
}

beforeAll(async () => {
  project = new Clone({ name: "dev" });
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  const { command } = await findTerraform();
  environment = {
    ...(await terraformEnvironment({ command, runFolder: project.folder })),
    ...localAws.environment,
    TERRAFORM_BINARY_NAME: command,
  };
  const cwd = join(project.folder, "provider");
  mkdirSync(cwd);
  const aws = { source: "hashicorp/aws", version: "~> 5.100" };
  writeFileSync(join(cwd, "main.tf.json"), JSON.stringify({ terraform: { required_providers: { aws } } }));
  const init = await capture(command, ["init", "-no-color"], {
    cwd,
    env: { ...process.env, ...environment },
  });
  expect(init?.status, init?.stderr).toBe(0);
  tested = lockedProvider(read(join(cwd, ".terraform.lock.hcl")))?.version ?? "";
  // The folder where Terraform installs providers has the layout of a mirror.
  mirror = join(cwd, ".terraform/providers");
  addToMirror(tested);
});
beforeEach(async () => {
  project.settings = { name: "dev" };
  const { status, stderr } = await providerLock("--upgrade");
  expect(status, stderr).toBe(0);
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

describe("npm run provider-lock", () => {
  it("locks one version for four platforms, and writes no other file", async () => {
    const { stdout } = await providerLock();
    expect(stdout).toBe(`terraform.dev.lock.hcl  hashicorp/aws ${tested} for ${platforms.join(", ")}\n`);
    expect(lockedProvider(read(lockFile()))).toEqual({ version: tested, constraint: "~> 5.100" });
    expect(checksums(read(lockFile()))).toHaveLength(4);
    expect(readdirSync(project.folder).filter((name) => /lock\.hcl|main\.tf/.test(name))).toEqual([
      "terraform.dev.lock.hcl",
    ]);
  });

  it("reports an unreachable registry with a remedy, and does not change the lock", async () => {
    const before = read(lockFile());
    const proxy = { HTTPS_PROXY: "http://127.0.0.1:9", https_proxy: "http://127.0.0.1:9" };
    const { status, stderr } = await project.run("scripts/provider-lock.ts", [], {
      ...environment,
      ...proxy,
    });
    expect(status).toBe(1);
    expect(stderr).toContain("Could not retrieve providers for locking");
    expect(stderr).toContain("set a mirror with --fs-mirror or --net-mirror");
    expect(read(lockFile())).toBe(before);
  });

  it("rejects two mirrors", async () => {
    const { status, stderr } = await providerLock("--net-mirror", "https://example.com/");
    expect(status).toBe(2);
    expect(stderr).toContain("--fs-mirror and --net-mirror cannot be combined");
  });
});

describe("a committed lock", () => {
  it("is used by npm run plan and cdktf without a registry, and is not changed", async () => {
    const committed = read(lockFile());
    const planned = await plan();
    expect(planned.status, planned.stderr).toBe(4);
    const diff = await cdktfDiff({ TF_CLI_ARGS_init: "-lockfile=readonly" });
    expect(diff.status, diff.stdout + diff.stderr).toBe(0);
    expect(diff.stdout).toContain("to add, 0 to change, 0 to destroy");
    expect(read(join(project.folder, "cdktf.out/stacks/dev/.terraform.lock.hcl"))).toBe(committed);
    expect(read(lockFile())).toBe(committed);
  });

  it("rejects a package with another checksum, with a remedy", async () => {
    const other = read(lockFile()).replaceAll(/"h1:..../g, '"h1:AAAA');
    writeFileSync(lockFile(), other);
    const { status, stderr } = await plan();
    expect(status).toBe(1);
    expect(stderr).toMatch(/hashicorp\/aws \S+ doesn't match any of the checksums previously recorded/);
    expect(stderr).toContain("What to do: if this provider is the right one, run `npm run provider-lock");
    const diff = await cdktfDiff();
    expect(diff.status).not.toBe(0);
    expect((diff.stdout + diff.stderr).replaceAll(/[\s│]+/g, " ")).toContain(
      "doesn't match any of the checksums",
    );
    expect(read(lockFile())).toBe(other);
  });

  it("is rejected without this platform's checksum, which Terraform would add to a writable lock", async () => {
    writeFileSync(
      lockFile(),
      read(lockFile()).replace(/hashes = \[[^\]]*\]/, `hashes = [\n    "zh:${"0".repeat(64)}",\n  ]`),
    );
    expect(checksums(read(lockFile()))).toEqual([]);
    const { status, stderr } = await plan();
    expect(status, stderr).toBe(1);
    expect(stderr).toContain("npm run provider-lock");
  });

  it("keeps its version until --upgrade, and is rejected if it does not match the setting", async () => {
    addToMirror("5.999.0");
    addToMirror("6.62.0");
    expect((await providerLock()).stdout).toContain(`hashicorp/aws ${tested} for`);
    expect((await providerLock("--upgrade")).stdout).toContain("hashicorp/aws 5.999.0 for");

    project.settings = { name: "dev", awsProviderVersion: "~> 6.62" };
    const refused = await project.run("main.ts");
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(
      'locks hashicorp/aws 5.999.0, which awsProviderVersion "~> 6.62" does not allow',
    );
    const diff = await cdktfDiff();
    expect(diff.status).not.toBe(0);
    expect(diff.stdout + diff.stderr).toContain("Run: npm run provider-lock -- --environment dev");

    expect((await providerLock()).stdout).toContain("hashicorp/aws 6.62.0 for");
    const synthesized = await project.run("main.ts");
    expect(synthesized.status, synthesized.stderr).toBe(0);
  });
});
