import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, TerraformStack } from "cdktf";
import { describe, expect, it, onTestFinished } from "vitest";
import { isLifecycleConfigurationOf } from "../../../src/leftovers/studio.ts";
import { LifecycleConfiguration } from "../../../src/stack/studio/lifecycle-configuration.ts";
import { spaceFiles } from "../../../src/stack/studio/space-files.ts";
import { expression, resource, resourceNames, synthesize } from "../../support/synthesize.ts";

const type = "aws_sagemaker_studio_lifecycle_config";

function withScript(script: string): () => LifecycleConfiguration {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-unit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "on-start.sh");
  writeFileSync(file, script);
  writeFileSync(join(folder, "image.sh"), "image\n");
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
        script: [join(folder, "image.sh"), file],
        profiles: true,
      },
    );
}

describe("the lifecycle configuration", () => {
  it.each([
    ["JupyterLab", ""],
    ["CodeEditor", "code_editor_"],
  ])("of %s is the script below a header that says where it runs", (appType, id) => {
    const stack = synthesize();
    const header = `lifecycle_configuration_${id}header`;
    const files = ["image", "on-start"].map((name) => `lifecycle_configuration_file-${name}`);
    for (const who of ["profiles", "domain"]) {
      expect(resource(stack, type, `lifecycle_configuration_${id}${who}`)).toMatchObject({
        studio_lifecycle_config_app_type: appType,
        studio_lifecycle_config_content: expression(
          `base64encode(join("\\n", [local.${header}, ${files.map((file) => `file(local.${file})`).join(", ")}]))`,
        ),
      });
    }
    expect(stack.locals[header]).toBe(
      [
        "#!/bin/bash",
        `export MARIMO_BUCKET='${expression("aws_s3_bucket.storage_artifacts_bucket.bucket")}'`,
        "export MARIMO_ENVIRONMENT='dev'",
        "export MARIMO_REGION='us-east-1'",
        `export MARIMO_APP_TYPE='${appType}'`,
      ].join("\n"),
    );
    const contents = files.map((file) =>
      stack.files.get(String(stack.locals[file]).replace(`${expression("path.module")}/`, ""))?.toString(),
    );
    expect(contents).toEqual(spaceFiles.startScript.map((file) => readFileSync(file, "utf8")));
  });

  it("is replaced, new before old, by a name that its content decides", () => {
    const name = (settings: Parameters<typeof synthesize>[0], id = "profiles") =>
      resource(synthesize(settings), type, `lifecycle_configuration_${id}`).studio_lifecycle_config_name;
    expect(name({})).toMatch(/^marimo-dev-[0-9a-f]{8}$/);
    expect(name({}, "code_editor_profiles")).toMatch(/^marimo-dev-code-editor-[0-9a-f]{8}$/);
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

  it("has names by which `npm run leftovers` finds it", () => {
    const stack = synthesize();
    const names = resourceNames(stack, type).map((id) =>
      String(resource(stack, type, id).studio_lifecycle_config_name),
    );
    expect(names).toHaveLength(4);
    expect(names.filter((name) => !isLifecycleConfigurationOf("marimo-dev", name))).toEqual([]);
    expect(names.filter((name) => isLifecycleConfigurationOf("marimo", name))).toEqual([]);
  });

  it("takes a script that just fits, and refuses one that does not with its actual size", () => {
    // 16384 base64 characters are 12288 bytes; the header with the longest bucket name is what is left.
    const header = [
      "#!/bin/bash\nexport MARIMO_BUCKET=''\nexport MARIMO_ENVIRONMENT='dev'\nexport MARIMO_REGION='us-east-1'\n",
      "export MARIMO_APP_TYPE='JupyterLab'\nimage\n\n",
    ].join("");
    const fits = 12_288 - header.length - 63;
    expect(withScript("x".repeat(fits))).not.toThrow();
    expect(withScript("x".repeat(fits + 1))).toThrow(/on-start\.sh: .* 16388 base64 characters.* 16384/);
  });
});
