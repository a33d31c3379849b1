import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { synthesizeEvery } from "../support/every-environment.ts";

type Stacks = ReadonlyMap<string, { readonly text: string }>;

/** The used part of `checkov -o json`. */
interface Report {
  readonly results?: {
    readonly passed_checks: readonly Finding[];
    readonly failed_checks: readonly Finding[];
    readonly parsing_errors: readonly string[];
  };
}
interface Finding {
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
  readonly file_path: string;
}

interface Skips {
  /** Checks that are skipped for all resources, in `.checkov.yaml`. */
  readonly everywhere: readonly string[];
  /** `CHECK RESOURCE` of `.checkov.baseline`. */
  readonly single: readonly string[];
}

const readRoot = (file: string) => readFileSync(join(projectFolder, file), "utf8");
const config = readRoot(".checkov.yaml");
const [, listed = ""] = config.split("skip-check:\n");
const baseline = JSON.parse(readRoot(".checkov.baseline")) as {
  readonly failed_checks: readonly {
    readonly findings: readonly {
      readonly resource: string;
      readonly check_ids: readonly string[];
      readonly reason: string;
    }[];
  }[];
};
const findings = baseline.failed_checks.flatMap((one) => one.findings);
const skips: Skips = {
  everywhere: [...listed.matchAll(/^ {2}- (\w+)$/gm)].map(([, id = ""]) => id),
  single: findings.flatMap(({ check_ids, resource }) => check_ids.map((id) => `${id} ${resource}`)),
};

let checkov: string;
beforeAll(async () => {
  checkov = join((await pythonEnvironment("scan")).prefix, "bin/checkov");
});

/** Writes stacks as `npx cdktf synth` does, and runs checkov on them. */
async function run(stacks: Stacks, cwd: string, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-checkov-"));
  try {
    for (const [name, { text }] of stacks) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "cdk.tf.json"), text);
    }
    const result = await capture(checkov, ["-d", folder, ...args], {
      cwd,
      env: { ...process.env, CKV_SKIP_PACKAGE_UPDATE_CHECK: "true" },
      timeout: 400_000,
    });
    if (result === undefined) throw new Error("checkov could not be started");
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Scans all stacks in one run without our files, and compares the findings with them. */
async function problemsOf(stacks: Stacks, { everywhere, single }: Skips): Promise<readonly string[]> {
  const args = ["--framework", "terraform_json", "-o", "json", "--compact", "--skip-download"];
  const { stdout, stderr } = await run(stacks, tmpdir(), ...args);
  if (!stdout.startsWith("{")) throw new Error(`checkov wrote no report:\n${stdout}${stderr}`);
  const { results } = JSON.parse(stdout) as Report;
  const problems = (results?.parsing_errors ?? []).map((file) => `${file}: not parsed`);
  const checks = [...(results?.passed_checks ?? []), ...(results?.failed_checks ?? [])];
  const used = new Set<string>();
  for (const name of stacks.keys()) {
    const of = (finding: Finding) => finding.file_path === `/${name}/cdk.tf.json`;
    if (!checks.some(of)) problems.push(`${name}: nothing was checked`);
    for (const finding of results?.failed_checks.filter(of) ?? []) {
      const { check_id: id, check_name, resource } = finding;
      const skip = [id, `${id} ${resource}`].find((one) => everywhere.includes(one) || single.includes(one));
      if (skip === undefined) problems.push(`${name}: ${id} ${resource}: ${check_name}`);
      else used.add(skip);
    }
  }
  const unused = [...everywhere, ...single].filter((skip) => !used.has(skip));
  return [...problems, ...unused.map((skip) => `${skip}: skipped, but not found`)];
}

const dev = () => new Map([["dev", synthesizeEvery().values().next().value as { text: string }]]);

/** A stack with one more resource. */
function withResource(type: string, name: string, block: object): Stacks {
  const stack = JSON.parse(dev().get("dev")?.text ?? "");
  stack.resource[type] = { ...stack.resource[type], [name]: block };
  return new Map([["dev", { text: JSON.stringify(stack) }]]);
}
const openToTheWorld = withResource("aws_security_group", "bad", {
  description: "Bad",
  ingress: [
    {
      ...{ description: "SSH from anywhere", from_port: 22, to_port: 22, protocol: "tcp" },
      cidr_blocks: ["0.0.0.0/0"],
    },
  ],
});

describe("checkov", () => {
  it("has no findings in any environment but those with a reason, and no reason is left over", async () => {
    expect(await problemsOf(synthesizeEvery(), skips)).toEqual([]);
  });

  it("has a reason for each check that is skipped", () => {
    expect([...listed.matchAll(/^ {2}# \S.*\n {2}- \w+$/gm)]).toHaveLength(skips.everywhere.length);
    expect(skips.everywhere.length).toBeGreaterThan(0);
    expect(skips.single.length).toBeGreaterThan(0);
    expect(findings.filter(({ reason }) => !/\w+ \w+/.test(reason ?? ""))).toEqual([]);
  });

  it("ends with status 0 as a user runs it in the project's folder", async () => {
    const { status, stdout, stderr } = await run(dev(), projectFolder);
    expect(status, stdout + stderr).toBe(0);
    // It has found what the baseline skips, so it has read the stack.
    expect(stdout).toMatch(/Failed checks: 0, Skipped checks: [1-9]/);
    // Control: a finding of the user's own.
    const open = await run(openToTheWorld, projectFolder);
    expect(open.status).toBe(1);
    expect(open.stdout).toContain("CKV_AWS_24");
  });

  it("would report an insecure resource, a reason that nothing needs, and a stack that it cannot parse", async () => {
    const problems = await problemsOf(openToTheWorld, skips);
    expect(problems).toContainEqual(expect.stringMatching(/^dev: CKV_AWS_24 \S*bad: /));
    const everywhere = [...skips.everywhere, "CKV_AWS_1"];
    expect(await problemsOf(dev(), { ...skips, everywhere })).toContain("CKV_AWS_1: skipped, but not found");
    const stack = JSON.parse(dev().get("dev")?.text ?? "");
    stack.terraform.required_version = ">= 1.10";
    const unparsed = await problemsOf(new Map([["dev", { text: JSON.stringify(stack) }]]), skips);
    expect(unparsed.slice(0, 2)).toEqual([
      expect.stringMatching(/cdk\.tf\.json: not parsed$/),
      "dev: nothing was checked",
    ]);
  });
});
