import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openTofu } from "../../src/local-studio/go-tool.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";
import { StudioClient } from "../../src/local-studio/studio-client.ts";
import { findTerraform, terraformEnvironment } from "../../src/local-studio/terraform-cli.ts";
import { lockHeader } from "../../src/settings/locks.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";
import { Clone } from "./clone-fixture.ts";

const settings: EnvironmentSettings = {
  name: "dev",
  homeFileSystemRetention: "Delete",
  userProfiles: [{ name: "ana" }, { name: "bo" }],
};

let project: Clone;
let localAws: LocalAws;
let environment: NodeJS.ProcessEnv;
let terraform: string;
const stack = () => join(project.folder, "cdktf.out/stacks/dev");
const review = (...args: string[]) => project.run("scripts/plan.ts", args, environment);
const reviewOf = (changed: Partial<EnvironmentSettings>, ...args: string[]) => {
  project.settings = { ...settings, ...changed };
  return review(...args);
};
/** What Terraform says to the plan that the last review saved. */
async function apply() {
  const plan = join(project.folder, "cdktf.out/plan/dev.tfplan");
  const result = await capture(terraform, ["apply", "-no-color", plan], {
    cwd: stack(),
    env: { ...process.env, ...environment },
    timeout: 500_000,
  });
  return { status: result?.status, output: `${result?.stdout}${result?.stderr}` };
}

beforeAll(async () => {
  project = new Clone(settings);
  const { python } = await pythonEnvironment("aws");
  localAws = await startLocalAws({ python, log: join(project.folder, "local-aws.log") });
  terraform = (await findTerraform()).command;
  environment = {
    ...(await terraformEnvironment({ command: terraform, runFolder: project.folder })),
    ...localAws.environment,
  };
});
afterAll(async () => {
  await localAws?.stop();
  project?.remove();
});

describe("npm run plan", () => {
  it("reviews the first plan, on the terminal and in a file, and applies nothing", async () => {
    const { status, stdout, stderr } = await review("dev");
    expect(status, stderr).toBe(2);
    expect(stdout).toContain("No risk found. Fixed monthly cost: +37.50.");
    expect(stdout).toContain("- add user profile `ana`");
    expect(readFileSync(join(project.folder, "cdktf.out/plan/dev.md"), "utf8")).toBe(stdout.slice(0, -1));
    expect(await localAws.inventory()).toEqual([]);
  });

  it("reviews OpenTofu's plan of the same, word for word", async () => {
    const { command } = await openTofu();
    const other = new Clone(settings);
    onTestFinished(() => other.remove());
    const { status, stdout, stderr } = await other.run("scripts/plan.ts", ["dev"], {
      ...(await terraformEnvironment({ command, runFolder: other.folder })),
      ...localAws.environment,
      TERRAFORM_BINARY_NAME: command,
    });
    expect(status, stderr).toBe(2);
    expect(stdout).toBe(`${readFileSync(join(project.folder, "cdktf.out/plan/dev.md"), "utf8")}\n`);
    const lock = readFileSync(join(other.folder, "cdktf.out/stacks/dev/.terraform.lock.hcl"), "utf8");
    expect(lock).toContain('maintained automatically by "tofu init"');
  });

  it("saves the very plan that Terraform then applies, and finds no change after it", async () => {
    const { status, output } = await apply();
    expect(status, output).toBe(0);
    const after = await review();
    expect(after.status, after.stderr).toBe(0);
    expect(after.stdout).toBe("# Plan review: `dev`\n\nNo changes.\n\n");
  });

  it("tells what replacing the domain would cost its people, until somebody accepts that", async () => {
    const out = join(project.folder, "review.md");
    const moved = { vpcCidr: "10.9.0.0/16" };
    const first = await reviewOf(moved, "--out", out);
    expect(first.status, first.stderr).toBe(3);
    expect(first.stdout).toContain("2 people (`ana`, `bo`)");
    expect(first.stdout).toContain("`--accept replaced-domain:studio_domain`");
    expect(readFileSync(out, "utf8")).toBe(first.stdout.slice(0, -1));

    const saved = join(project.folder, "cdktf.out/plan/dev.tfplan");
    const names = [...first.stdout.matchAll(/`--accept (\S+)`/g)].flatMap(([, name = ""]) => name);
    // The policies of jobs name the private subnets, which this plan makes anew.
    const unknown = names.filter((name) => name.startsWith("unknown-permissions:"));
    expect(names).toEqual(["replaced-domain:studio_domain", ...unknown]);
    expect(unknown.length).toBeLessThanOrEqual(3);
    const accepted = await review(
      "--plan",
      saved,
      "--in",
      stack(),
      ...names.flatMap((name) => ["--accept", name]),
    );
    expect(accepted.status, accepted.stderr).toBe(2);
    const mistyped = await review("--plan", saved, "--in", stack(), "--accept", "replaced-domain");
    expect(mistyped.status).toBe(1);
    expect(mistyped.stderr).toContain(
      "no risk `replaced-domain`; its risks are:\n    replaced-domain:studio_domain",
    );
  });

  it("sees an app that is in the way, and says so when it could not ask", async () => {
    const client = new SageMakerClient(localAws.clientSettings());
    const studio = await StudioClient.find(client, "dev", 100, "bo");
    await studio.createSpace("notes");
    await studio.createApp("notes");
    const blocked = await reviewOf({ idleTimeoutMinutes: 120 });
    expect(blocked.status, blocked.stderr).toBe(3);
    expect(blocked.stdout).toContain("`JupyterLab` in space `notes` of `bo`");
    expect(blocked.stdout).toContain("running-app:studio_profiles.bo");
    expect(blocked.stdout).not.toContain("running-app:studio_profiles.ana");
    const saved = join(project.folder, "cdktf.out/plan/dev.tfplan");
    const unasked = await review("--plan", saved, "--in", stack());
    expect(unasked.status, unasked.stderr).toBe(2);
    expect(unasked.stdout).toContain("was not asked: `--ask-aws was not given`");
    const asked = await review("--plan", saved, "--in", stack(), "--ask-aws");
    expect(asked.status, asked.stderr).toBe(3);
    await studio.delete("notes");
  });

  it("finds no update of the domain in what changes often, and that applies", async () => {
    const packages = { marimoVersion: "0.25.1", extraPackages: ["humanize==4.12.3"] };
    const usual = readFileSync(project.lockFile(settings), "utf8");
    const lock =
      lockHeader(resolveEnvironment({ ...settings, ...packages })) + usual.split("\n").slice(1).join("\n");
    writeFileSync(project.lockFile({ ...settings, ...packages }), lock);
    const { status, stdout, stderr } = await reviewOf({
      ...packages,
      transport: "sse",
      sampleNotebooks: false,
      idleTimeoutMinutes: 120,
      defaultInstanceType: "ml.m5.large",
      userProfiles: [{ name: "ana", defaultInstanceType: "ml.t3.large" }, { name: "bo" }, { name: "cy" }],
    });
    expect(status, stderr + stdout).toBe(2);
    expect(stdout).toContain("No risk found.");
    expect(stdout).toMatch(/- change the payload from version `[0-9a-f]{16}` to version `[0-9a-f]{16}`/);
    expect(stdout).toContain("instance type of new spaces");
    expect(stdout).toContain("- add user profile `cy`");
    expect(stdout).not.toContain("aws_sagemaker_domain");
    const { status: applied, output } = await apply();
    expect(applied, output).toBe(0);
  });

  it("names the update of the domain that the provider then fails to make", async () => {
    const { status, stdout } = await reviewOf({
      homeFileSystemRetention: "Retain",
      removalProtection: false,
      bucketForceDestroy: true,
    });
    expect(status).toBe(3);
    expect(stdout).toContain("refused-domain-update:studio_domain");
    const { status: applied, output } = await apply();
    expect(applied).toBe(1);
    expect(output).toContain("VpcId and Subnet IDs are required");
  });

  it("refuses a wrong command line with 1, since 2 says that something changes", async () => {
    const wrong = await review("prod", "--in", "x", "--acept", "y");
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('one of dev is taken, got "prod"');
    expect(wrong.stderr).toContain("there is no option --acept");
    expect(wrong.stderr).toContain("--in goes with --plan only");
    const missing = await review("--plan", "no-such-file");
    expect(missing.status).toBe(1);
    expect(missing.stderr).toContain("no-such-file");
    const help = await review("--help");
    expect(help.status).toBe(0);
    expect(help.stdout).toContain("3 for changes with a risk that no --accept names");
  });
});
