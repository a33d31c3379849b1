import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import type { EnvironmentSettings } from "../../../src/settings/environment.ts";
import { partition, servicePrincipal, statements, synthesize } from "../../support/synthesize.ts";

/** What only the partition `aws` has: elsewhere it is `aws-cn`, and here and there `amazonaws.com.cn`. */
const literal = /\barn:aws[\w-]*:|\bamazonaws\.com/;

/** Lines with such a literal; comments may name one. */
const literalsIn = (source: string) =>
  source
    .replaceAll(/\/\*.*?\*\//gs, "")
    .replaceAll(/(^|\s)(\/\/|#).*$/gm, "")
    .split("\n")
    .filter((line) => literal.test(line));

const china = { region: "cn-north-1" } as const;
const govCloud = { region: "us-gov-west-1" } as const;
const modes: readonly (readonly [string, Partial<EnvironmentSettings>])[] = [
  ["AWS", {}],
  ["AWS China", china],
  ["AWS China without internet", { ...china, egress: "endpoints-only" }],
  ["AWS GovCloud", govCloud],
  ["AWS GovCloud without internet", { ...govCloud, egress: "endpoints-only" }],
  [
    "CodeArtifact",
    {
      egress: "endpoints-only",
      packageIndexUrl: "https://team-123456789012.d.codeartifact.us-east-1.amazonaws.com/pypi/python/simple/",
    },
  ],
];

describe("partitions", () => {
  it.each(modes)("are named only by data sources: %s", (_, settings) => {
    const { resource, data, locals, output } = synthesize(settings);
    // The address of a package index is the person's own, and is written as it was given; an image's is its region's.
    const text = JSON.stringify({ resource, data, locals, output })
      .replaceAll(settings.packageIndexUrl ?? /$^/g, "")
      .replaceAll(/\d{12}\.dkr\.ecr\.us-east-1\.amazonaws\.com/g, "");
    expect(text).toContain(`arn:${partition}:`);
    expect(text.match(literal)).toBeNull();
  });

  it("have the principals that the provider knows there", () => {
    const stack = synthesize(china);
    const asked = Object.values(stack.data.aws_service_principal ?? {}).map((data) => data.service_name);
    expect(asked.sort()).toEqual([
      "cloudtrail",
      "cloudwatch",
      "events",
      "logging.s3",
      "sagemaker",
      "scheduler",
      "states",
      "vpc-flow-logs",
    ]);
    expect(statements(stack, "execution_trust").SageMaker?.principals).toEqual([
      { type: "Service", identifiers: [servicePrincipal("sagemaker")] },
    ]);
  });

  it("appear in no source of the stack or of a space", () => {
    // Settings are left out: they read addresses and ARNs that people write, of every partition.
    const files = ["src/stack", "src/space"].flatMap((path) =>
      path.endsWith(".ts")
        ? [path]
        : readdirSync(join(projectFolder, path), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile() && /\.(ts|sh|py|js)$/.test(entry.name))
            .map((entry) => join(entry.parentPath, entry.name).slice(projectFolder.length)),
    );
    expect(files.length).toBeGreaterThan(30);
    for (const file of files)
      expect(literalsIn(readFileSync(join(projectFolder, file), "utf8")), file).toEqual([]);
  });

  it.each(["const role = `arn:aws:iam::1:root`;", 'service: "sagemaker.amazonaws.com",', "  arn:aws-cn:s3"])(
    "would be found: %s",
    (line) => {
      expect(literalsIn(`/* arn:aws:s3 */\n${line}\n// amazonaws.com`)).toEqual([line]);
    },
  );
});
