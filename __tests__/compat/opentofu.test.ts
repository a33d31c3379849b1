import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeError } from "../../src/cli/problem.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, type TerraformBinary, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";
import type { EnvironmentSettings } from "../../src/settings/environment.ts";
import { Clone } from "../support/clone-fixture.ts";
import { openTofu } from "../support/opentofu.ts";

const settings: EnvironmentSettings = { name: "dev", userProfiles: [{ name: "ana" }, { name: "bo" }] };

let tofu: TerraformBinary;
let localAws: LocalAws;
const clones: Clone[] = [];

/** Runs the review of the first plan with one program, in a separate clone. */
async function review({ command }: TerraformBinary) {
  const clone = new Clone(settings);
  clones.push(clone);
  const environment = {
    ...(await terraformEnvironment({ command, runFolder: clone.folder })),
    ...localAws.environment,
    TERRAFORM_BINARY_NAME: command,
  };
  const stack = join(clone.folder, "cdktf.out/stacks/dev");
  return {
    ...(await clone.run("scripts/plan.ts", ["--environment", "dev"], environment)),
    stack,
    environment,
  };
}

beforeAll(async () => {
  tofu = await openTofu();
  const { python } = await pythonEnvironment("aws");
  const log = new Clone(settings);
  clones.push(log);
  localAws = await startLocalAws({ python, log: join(log.folder, "local-aws.log") });
});
afterAll(async () => {
  await localAws?.stop();
  for (const clone of clones) clone.remove();
});

describe("OpenTofu", () => {
  it("is found with TOFU_PATH, and a wrong path is an error with a remedy", async () => {
    expect(await openTofu({ ...process.env, TOFU_PATH: tofu.command })).toEqual(tofu);
    const problem = await openTofu({ ...process.env, TOFU_PATH: "/nowhere/tofu" }).catch((error) => error);
    expect(describeError(problem)).toMatch(/\/nowhere\/tofu[\s\S]*What to do: install/);
    const version = await capture(tofu.command, ["version"]);
    expect(version?.stdout).toMatch(/^OpenTofu v/);
  });

  it("validates the stack and creates the same plan as Terraform", async () => {
    const [ours, theirs] = [await review(tofu), await review(await findTerraform())];
    expect(ours.status, ours.stderr).toBe(4);
    expect(ours.stdout).toContain("- add user profile `ana`");
    // Only the last command differs, because a plan needs the program that made it.
    const chosen = (command: string) => `TERRAFORM_BINARY_NAME=${command} npm run apply`;
    expect(ours.stdout).toContain(chosen(tofu.command));
    expect(ours.stdout).toBe(
      theirs.stdout.replace(chosen((await findTerraform()).command), chosen(tofu.command)),
    );
    const lock = readFileSync(join(ours.stack, ".terraform.lock.hcl"), "utf8");
    expect(lock).toContain('maintained automatically by "tofu init"');

    const options = { cwd: ours.stack, env: { ...process.env, ...ours.environment } };
    const valid = await capture(tofu.command, ["validate", "-no-color"], options);
    expect(valid?.status, valid?.stderr).toBe(0);
  });
});
