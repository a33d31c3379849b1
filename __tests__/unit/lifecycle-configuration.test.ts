import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, TerraformStack } from "cdktf";
import { describe, expect, it, onTestFinished } from "vitest";
import { LifecycleConfiguration } from "../../src/constructs/lifecycle-configuration.ts";
import { expression, resource, synthesize } from "./synthesize.ts";

const type = "aws_sagemaker_studio_lifecycle_config";

function withScript(script: string): () => LifecycleConfiguration {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "on-start.sh");
  writeFileSync(file, script);
  mkdirSync(join(folder, "out"));
  return () =>
    new LifecycleConfiguration(
      new TerraformStack(new App({ outdir: join(folder, "out") }), "s"),
      "lifecycle",
      {
        prefix: "marimo-dev",
        environment: "dev",
        region: "us-east-1",
        bucketName: "bucket",
        script: file,
        profiles: true,
      },
    );
}

describe("the lifecycle configuration", () => {
  it("is the script below a header that says where it runs", () => {
    const stack = synthesize();
    expect(resource(stack, type, "lifecycle_configuration_profiles")).toMatchObject({
      studio_lifecycle_config_app_type: "JupyterLab",
      studio_lifecycle_config_content: expression(
        'base64encode(join("\\n", [local.lifecycle_configuration_header, file(local.lifecycle_configuration_file)]))',
      ),
    });
    expect(stack.locals.lifecycle_configuration_header).toBe(
      [
        "#!/bin/bash",
        `export MARIMO_BUCKET='${expression("aws_s3_bucket.storage_artifacts_bucket.bucket")}'`,
        "export MARIMO_ENVIRONMENT='dev'",
        "export MARIMO_REGION='us-east-1'",
      ].join("\n"),
    );
    const file = String(stack.locals.lifecycle_configuration_file).replace(
      expression("path.module"),
      stack.folder,
    );
    expect(readFileSync(file, "utf8")).toBe(
      readFileSync(new URL("../../src/space/on-start.sh", import.meta.url), "utf8"),
    );
  });

  it("is replaced, new before old, by a name that its content decides", () => {
    const name = (settings: Parameters<typeof synthesize>[0]) =>
      resource(synthesize(settings), type, "lifecycle_configuration_profiles").studio_lifecycle_config_name;
    expect(name({})).toMatch(/^marimo-dev-[0-9a-f]{8}$/);
    expect(name({})).toBe(name({ idleTimeoutMinutes: 90, sampleNotebooks: false }));
    expect(name({ region: "eu-west-1" })).not.toBe(name({}));
    expect(resource(synthesize(), type, "lifecycle_configuration_profiles").lifecycle).toEqual({
      create_before_destroy: true,
    });
  });

  it("stays for the domain as the first apply made it, since a domain in VpcOnly cannot take another", () => {
    const stack = synthesize();
    const domain = resource(stack, type, "lifecycle_configuration_domain");
    expect(domain.studio_lifecycle_config_name).toMatch(/^marimo-dev-domain-[0-9a-f]{8}$/);
    expect(domain.lifecycle).toMatchObject({
      ignore_changes: ["studio_lifecycle_config_content", "studio_lifecycle_config_name"],
    });
  });

  it("takes a script that just fits, and refuses one that does not with its actual size", () => {
    // 16384 base64 characters are 12288 bytes; the header with the longest bucket name is what is left.
    const header =
      "#!/bin/bash\nexport MARIMO_BUCKET=''\nexport MARIMO_ENVIRONMENT='dev'\nexport MARIMO_REGION='us-east-1'\n";
    const fits = 12_288 - header.length - 63;
    expect(withScript("x".repeat(fits))).not.toThrow();
    expect(withScript("x".repeat(fits + 1))).toThrow(/on-start\.sh: .* 16388 base64 characters.* 16384/);
  });
});
