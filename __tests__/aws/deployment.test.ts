import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { workFolder } from "../../src/cli/paths.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { findTerraform, terraformEnvironment } from "../../src/cli/terraform-cli.ts";
import { Deployment } from "../../src/local-studio/deployment.ts";
import { type LocalAws, startLocalAws } from "../../src/local-studio/local-aws.ts";

const run = promisify(execFile);

describe("npm start's Terraform", () => {
  /** Inside the project, like a rehearsal's folder, so that the clean-up step finds its packages. */
  let folder: string;
  let localAws: LocalAws;
  let environment: NodeJS.ProcessEnv;
  let terraform: string;

  /** Exit status and output of Terraform in a folder. */
  async function terraformIn(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
    try {
      const { stdout, stderr } = await run(terraform, args, { cwd, env: environment, maxBuffer: 64 << 20 });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
      if (typeof code !== "number") throw error;
      return { code, output: stdout + stderr };
    }
  }

  beforeAll(async () => {
    mkdirSync(workFolder, { recursive: true });
    folder = mkdtempSync(join(workFolder, "test-deployment-"));
    const { python } = await pythonEnvironment("aws");
    localAws = await startLocalAws({ python, log: join(folder, "local-aws.log") });
    terraform = (await findTerraform()).command;
    environment = {
      ...process.env,
      ...(await terraformEnvironment({ command: terraform, runFolder: folder })),
      ...localAws.environment,
    };
  });
  afterAll(async () => {
    await localAws?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  describe("the stack with the real provider and the local AWS", () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = new Deployment({
        environmentName: "dev",
        folder,
        logs: join(folder, "logs"),
        complete: true,
        python: (await pythonEnvironment("aws")).python,
        environment: { ...environment, TERRAFORM_BINARY_NAME: terraform },
      });
    });

    it("is valid", async () => {
      await deployment.synthesize();
      const init = await terraformIn(deployment.stackFolder, "init", "-no-color");
      expect(init.code, init.output).toBe(0);
      const { code, output } = await terraformIn(deployment.stackFolder, "validate", "-no-color");
      expect(code, output).toBe(0);
    });

    it("is rejected with an attribute that the provider does not have", async () => {
      const file = join(deployment.stackFolder, "cdk.tf.json");
      const json = readFileSync(file, "utf8");
      writeFileSync(file, json.replace('"enable_dns_support"', '"enable_dns_suport"'));
      const { code, output } = await terraformIn(deployment.stackFolder, "validate", "-no-color");
      writeFileSync(file, json);
      expect(code).not.toBe(0);
      expect(output).toContain("enable_dns_suport");
    });

    it("applies, and its second plan is empty", async () => {
      const created = await deployment.deploy();
      expect(created.get("aws_sagemaker_domain")).toBe(1);
      expect(created.get("aws_sagemaker_user_profile")).toBe(1);
      expect(created.get("aws_s3_bucket_lifecycle_configuration")).toBe(3);
      expect(created.get("aws_cloudtrail")).toBe(1);
      expect((await localAws.inventory()).length).toBeGreaterThan(20);
      const { code, output } = await terraformIn(
        deployment.stackFolder,
        "plan",
        "-no-color",
        "-detailed-exitcode",
      );
      expect(code, output).toBe(0);
    });

    it("has a plan with changes after a change of the configuration (control)", async () => {
      const file = join(deployment.stackFolder, "changed_override.tf.json");
      writeFileSync(
        file,
        JSON.stringify({ resource: { aws_vpc: { network_vpc: { tags: { Name: "other" } } } } }),
      );
      const { code } = await terraformIn(deployment.stackFolder, "plan", "-no-color", "-detailed-exitcode");
      rmSync(file);
      expect(code).toBe(2);
    });

    it("can be destroyed, and nothing is left", async () => {
      await deployment.destroy();
      expect(await localAws.inventory()).toEqual([]);
    });
  });

  describe("every egress, backend and authentication", () => {
    const names = ["zones", "closed", "sso"];
    let project: ReturnType<typeof copyProject>;
    beforeAll(async () => {
      project = copyProject(`[
      { name: "zones", egress: "nat-per-zone", vpcCidr: "10.1.0.0/16", userProfiles: [{ name: "ana" }, { name: "bo" }] },
      { name: "closed", egress: "endpoints-only", vpcCidr: "10.2.0.0/16", sampleNotebooks: false },
      { name: "sso", authentication: "SSO", vpcCidr: "10.3.0.0/20", region: "eu-west-1",
        userProfiles: [{ name: "ana", ssoUserName: "ana@example.com" }, { name: "bo" }],
        backend: { type: "s3", bucket: "our-terraform-state" } },
    ]`);
      await run(process.execPath, ["--import", "tsx", "main.ts"], { cwd: project.folder, env: environment });
    });
    afterAll(() => project.remove());

    it.each(names)("%s: is valid and plans", async (name) => {
      const stack = join(project.folder, "cdktf.out", "stacks", name);
      // Terraform cannot reach a state bucket here, so the plan starts from an empty local state.
      writeFileSync(
        join(stack, "local_override.tf.json"),
        JSON.stringify({ terraform: { backend: { local: { path: "plan.tfstate" } } } }),
      );
      for (const args of [["init"], ["validate"], ["plan", "-detailed-exitcode"]]) {
        const { code, output } = await terraformIn(stack, ...args, "-no-color");
        expect(code, output).toBe(args[0] === "plan" ? 2 : 0);
        if (name !== "sso" || args[0] !== "plan") continue;
        const users = [...output.matchAll(/single_sign_on_user_value\s+= "(.+)"/g)].map(([, user]) => user);
        expect(users.sort()).toEqual(["ana@example.com", "bo"]);
      }
    });
  });
});
