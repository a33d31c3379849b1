import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { rehearsalOverride } from "../../src/local-studio/rehearsed-synthesis.ts";

const run = promisify(execFile);

/** Two environments with the same account, region and user names. One has all guard rails and no internet access. */
const environments = `[
  { name: "one", access: { athena: { bytesScannedCutoffGb: 100 } }, egress: "endpoints-only", vpcCidr: "10.1.0.0/16", userProfiles: [{ name: "ana" }],
    tags: { CostCenter: "42" }, homeFileSystemRetention: "Delete",
    guardRails: {
      allowedInstanceTypes: ["ml.t3.medium", "ml.m5.large"], maximumSpacesPerUser: 2,
      spaceVolumeGb: { default: 10, maximum: 20 }, requiredTags: ["CostCenter"],
      budget: { monthlyUsd: 500, alertAddresses: ["team@example.com"], stopAtPercent: 110 },
    } },
  { name: "two", vpcCidr: "10.2.0.0/16", userProfiles: [{ name: "ana" }], homeFileSystemRetention: "Delete" },
  { name: "china", region: "cn-north-1", egress: "endpoints-only", vpcCidr: "10.3.0.0/16" },
  { name: "gov", region: "us-gov-west-1", egress: "endpoints-only", vpcCidr: "10.3.0.0/16" },
]`;

let folder: string;
let project: ReturnType<typeof copyProject>;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;

const stackOf = (name: string) => join(project.folder, "cdktf.out", "stacks", name);

/** Exit status and output of Terraform in an environment's folder. */
async function terraformIn(name: string, ...args: string[]): Promise<{ code: number; output: string }> {
  try {
    const options = { cwd: stackOf(name), env: environment, maxBuffer: 64 << 20 };
    const { stdout, stderr } = await run(terraform, args, options);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    if (typeof code !== "number") throw error;
    return { code, output: stdout + stderr };
  }
}

async function succeed(name: string, ...args: string[]): Promise<string> {
  const { code, output } = await terraformIn(name, ...args);
  expect(code, output).toBe(0);
  return output;
}

beforeAll(async () => {
  mkdirSync(workFolder, { recursive: true });
  folder = mkdtempSync(join(workFolder, "test-environments-"));
  project = copyProject(environments);
  localAws = await startLocalAws({
    python: (await pythonEnvironment("aws")).python,
    log: join(folder, "local-aws.log"),
  });
  terraform = (await findTerraform()).command;
  environment = {
    ...process.env,
    ...(await terraformEnvironment({ command: terraform, runFolder: folder })),
    ...localAws.environment,
  };
  await run(process.execPath, ["--import", "tsx", "main.ts"], { cwd: project.folder, env: environment });
  for (const name of ["one", "two", "china", "gov"]) {
    const stack = JSON.parse(readFileSync(join(stackOf(name), "cdk.tf.json"), "utf8"));
    const override = rehearsalOverride(stack, "terraform.tfstate");
    writeFileSync(join(stackOf(name), "rehearsal_override.tf.json"), JSON.stringify(override));
    await succeed(name, "init", "-no-color");
  }
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe("two environments in one account and region", () => {
  const own = (lines: readonly string[]) => lines.filter((line) => /marimo-two(?![a-z])/.test(line));
  const others = (lines: readonly string[]) => lines.filter((line) => /marimo-one/.test(line));

  it("apply at the same time, and their second plans are empty", async () => {
    const both = ["one", "two"];
    await Promise.all(both.map((name) => succeed(name, "apply", "-auto-approve", "-no-color")));
    for (const name of both) await succeed(name, "plan", "-detailed-exitcode", "-no-color");
    const inventory = await localAws.inventory();
    expect(inventory).toContain("budgets budget marimo-one");
    expect(inventory.filter((line) => line.startsWith("athena"))).toEqual([
      "athena workgroup marimo-one-shared",
      "athena workgroup marimo-one-user-ana",
    ]);
    expect(inventory.filter((line) => line.startsWith("budgets action"))).toHaveLength(1);
    expect(inventory.filter((line) => line.startsWith("sagemaker domain"))).toHaveLength(2);
  });

  it("have a plan with changes after a change of a guard rail", async () => {
    const file = join(stackOf("one"), "changed_override.tf.json");
    const changed = { resource: { aws_budgets_budget: { budget_budget: { limit_amount: "501" } } } };
    writeFileSync(file, JSON.stringify(changed));
    const { code, output } = await terraformIn("one", "plan", "-detailed-exitcode", "-no-color");
    rmSync(file);
    expect(code, output).toBe(2);
  });

  it("change the limit of a query in place", async () => {
    const file = join(stackOf("one"), "changed_override.tf.json");
    const { resource } = JSON.parse(readFileSync(join(stackOf("one"), "cdk.tf.json"), "utf8"));
    // Terraform replaces a whole block by that of an override.
    const configuration = {
      ...resource.aws_athena_workgroup.athena_shared.configuration,
      bytes_scanned_cutoff_per_query: 200 * 1024 ** 3,
    };
    writeFileSync(
      file,
      JSON.stringify({ resource: { aws_athena_workgroup: { athena_shared: { configuration } } } }),
    );
    const applied = await succeed("one", "apply", "-auto-approve", "-no-color");
    expect(applied).toContain("0 added, 1 changed, 0 destroyed");
    await succeed("one", "plan", "-detailed-exitcode", "-no-color");
    rmSync(file);
    await succeed("one", "apply", "-auto-approve", "-no-color");
  });

  it("can be destroyed one by one, even after the budget is spent, without a change of the other", async () => {
    const before = await localAws.inventory();
    // Attaches the policy like AWS Budgets, outside of Terraform. The dependencies contain no IAM client for this.
    const attached = await fetch(localAws.endpoint, {
      method: "POST",
      headers: {
        Authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, Signature=0",
      },
      body: new URLSearchParams({
        Action: "AttachRolePolicy",
        Version: "2010-05-08",
        RoleName: "marimo-one-execution",
        PolicyArn: "arn:aws:iam::123456789012:policy/marimo-one-budget-stop",
      }),
    });
    expect(attached.status, await attached.text()).toBe(200);
    await succeed("one", "destroy", "-auto-approve", "-no-color");
    const after = await localAws.inventory();
    expect(own(after)).toEqual(own(before));
    expect(own(after).length).toBeGreaterThan(5);
    expect(others(after)).toEqual([]);
    expect(others(before).length).toBeGreaterThan(5);
    await succeed("two", "plan", "-detailed-exitcode", "-no-color");

    await succeed("two", "destroy", "-auto-approve", "-no-color");
    expect(await localAws.inventory()).toEqual([]);
  });
});

describe("other partitions", () => {
  it.each([
    ["china", "aws-cn", "amazonaws.com.cn"],
    ["gov", "aws-us-gov", "amazonaws.com"],
  ])("%s: plans contain only ARNs of %s", async (name, partition, suffix) => {
    await succeed(name, "plan", "-out", "plan", "-no-color");
    const plan = JSON.parse(await succeed(name, "show", "-json", "plan"));
    // All known policy documents and names: the planned values and the values that the provider read.
    const read: readonly { readonly type: string }[] = plan.prior_state.values.root_module.resources;
    const known = [plan.planned_values, read.filter(({ type }) => type !== "aws_service_principal")];
    const text = JSON.stringify(known).replaceAll('\\"', '"');
    const partitions = text.match(/arn:aws[\w-]*:/g) ?? [];
    expect(partitions.length).toBeGreaterThan(20);
    expect(partitions.filter((found) => found !== `arn:${partition}:`)).toEqual([]);
    // These service principals have the same name in every partition, as far as the provider knows.
    const hosts = (text.match(/[\w.-]*\bamazonaws\.com[\w.]*/g) ?? []).filter(
      (host) =>
        !/^(cloudtrail|cloudwatch|events|logging\.s3|sagemaker|scheduler|states|vpc-flow-logs)\.amazonaws\.com$/.test(
          host,
        ),
    );
    expect(hosts.length).toBeGreaterThan(10);
    expect(hosts.filter((host) => !host.endsWith(suffix))).toEqual([]);
  });
});
