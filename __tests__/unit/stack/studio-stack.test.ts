import { type App, TerraformOutput } from "cdktf";
import { Construct } from "constructs";
import { describe, expect, it } from "vitest";
import { resolveEnvironment } from "../../../src/settings/environment.ts";
import { StudioStack } from "../../../src/stack/studio-stack.ts";
import { expression, synthesize, synthesizeApp } from "../../support/synthesize.ts";

describe("the stack", () => {
  it("is as reviewed", async () => {
    // Hashes of files stand for themselves in payload.test.ts; here they would change with every edit of a script.
    const text = synthesize({ homeFileSystemRetention: "Delete" })
      .text.replaceAll(/(?<=\b|\\n)[0-9a-f]{64}\b/g, "<sha256>")
      .replaceAll(/\b[0-9a-f]{16}\b/g, "<payload>")
      .replaceAll(/-[0-9a-f]{8}"/g, '-<content>"');
    await expect(text).toMatchFileSnapshot("__snapshots__/dev.tf.json");
  });

  it("takes the provider that was tested, or the setting's, from Terraform 1.10 on", () => {
    const { required_providers } = synthesize({ awsProviderVersion: "~> 6.62" }).terraform;
    expect(required_providers).toEqual({ aws: { source: "aws", version: "~> 6.62" } });
    expect(synthesize().terraform).toEqual({
      backend: { local: { path: "../../../terraform.dev.tfstate" } },
      required_providers: { aws: { source: "aws", version: "~> 5.100" } },
    });
    expect(String(synthesize().files.get("versions.tf"))).toBe(
      'terraform {\n  required_version = ">= 1.10"\n}\n',
    );
  });

  it("keeps its state in S3, locked there, where the setting says so", () => {
    const kmsKeyId = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const backend = { type: "s3", bucket: "acme-states", region: "eu-west-1", kmsKeyId } as const;
    expect(synthesize({ backend }).terraform.backend).toEqual({
      s3: {
        bucket: "acme-states",
        key: "sagemaker-marimo/dev.tfstate",
        region: "eu-west-1",
        encrypt: true,
        kms_key_id: kmsKeyId,
        use_lockfile: true,
      },
    });
  });

  it("tags everything once, at the provider", () => {
    expect(synthesize({ tags: { CostCenter: "42" } }).provider.aws).toEqual([
      {
        region: "us-east-1",
        max_retries: 8,
        default_tags: [{ tags: { CostCenter: "42", Environment: "dev", Project: "sagemaker-marimo" } }],
      },
    ]);
  });

  it("lets Terraform and its backend take credentials of the environment's account only", () => {
    const backend = { type: "s3", bucket: "acme-states" } as const;
    const one = synthesize({ account: "111122223333", backend });
    expect(one.provider.aws).toEqual([expect.objectContaining({ allowed_account_ids: ["111122223333"] })]);
    expect(one.terraform.backend).toMatchObject({ s3: { allowed_account_ids: ["111122223333"] } });
    expect(synthesize({ backend }).text).not.toContain("allowed_account_ids");
  });

  it("keeps the account in the state, and compares that of the credentials with it", () => {
    const { resource, text } = synthesize();
    const current = "data.aws_caller_identity.account_identity.account_id";
    expect(resource.terraform_data?.state_account).toMatchObject({
      input: expression(current),
      lifecycle: { ignore_changes: ["input"] },
    });
    expect(JSON.parse(text).locals.state_account_check).toContain(
      `(terraform_data.state_account.input == ${current}) ? terraform_data.state_account.input : tobool("The Terraform state belongs to`,
    );
  });

  it("names everything by where it is, without hashes", () => {
    const stack = synthesize();
    for (const name of Object.values(stack.resource).flatMap((ofType) => Object.keys(ofType))) {
      expect(name).not.toMatch(/[0-9A-F]{8}/);
    }
  });

  it("refuses two things of the same name", () => {
    const define = (app: App) => {
      const stack = new StudioStack(app, resolveEnvironment({ name: "dev" }));
      new TerraformOutput(new Construct(stack, "vpc"), "id", { value: 1 });
    };
    expect(() => synthesizeApp(define, () => undefined)).toThrow(
      /"dev\/vpc_id" and "dev\/vpc\/id" would both be named "vpc_id"/,
    );
  });

  it("describes every output", () => {
    const { output } = synthesize();
    expect(Object.keys(output)).toEqual([
      "artifact_bucket",
      "audit_alert_topic_arn",
      "audit_bucket",
      "console_url",
      "execution_role_arn",
      "lifecycle_configuration_arn",
      "marimo_job_environment",
      "studio_domain_id",
      "studio_url",
      "user_profile_names",
      "vpc_id",
    ]);
    for (const { description } of Object.values(output)) expect(description.length).toBeGreaterThan(15);
    expect(output.console_url?.value).toBe(
      `https://us-east-1.console.aws.amazon.com/sagemaker/home?region=us-east-1#/studio/${expression("aws_sagemaker_domain.studio_domain.id")}`,
    );
    expect(output.user_profile_names?.value).toBe(expression("keys(local.user_profiles)"));
  });

  it.each([
    ["us-gov-west-1", "console.amazonaws-us-gov.com"],
    ["cn-north-1", "console.amazonaws.cn"],
  ])("knows the console of %s", (region, host) => {
    expect(synthesize({ region }).output.console_url?.value).toContain(`https://${host}/`);
  });

  it("has each file that the JSON names", () => {
    const { files, text } = synthesize();
    const named = [...text.matchAll(/assets\/[^"\\]+/g)].map(([path]) => path);
    expect(named.length).toBeGreaterThan(2);
    for (const path of named) expect(files.has(path), path).toBe(true);
    expect(String(files.get("cdk.tf.json"))).toBe(text);
    const top = [...files.keys()].map((path) => path.split("/")[0]);
    expect([...new Set(top)].sort()).toEqual(["assets", "cdk.tf.json", "payload", "versions.tf"]);
  });
});
