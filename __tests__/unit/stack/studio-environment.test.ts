import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { type App, TerraformStack } from "cdktf";
import {
  environmentTags,
  StudioEnvironment,
  type StudioEnvironmentSettings,
} from "sagemaker-marimo/constructs";
import { describe, expect, it } from "vitest";
import { type Block, synthesize, synthesizeApp } from "../../support/synthesize.ts";

interface Changes {
  readonly settings?: StudioEnvironmentSettings | undefined;
  readonly tags?: Record<string, string> | undefined;
  readonly region?: string | undefined;
}

const dev: StudioEnvironmentSettings = { name: "dev", tags: { Team: "research" } };

type Resources = Readonly<Record<string, Readonly<Record<string, Block>>>>;

/** The resources of another app's stack with an environment. */
function resourcesOf({ settings = dev, tags, region = "us-east-1" }: Changes = {}): Resources {
  const define = (app: App) => {
    const stack = new TerraformStack(app, "other");
    new AwsProvider(stack, "aws", { region, defaultTags: [{ tags: tags ?? environmentTags(settings) }] });
    new StudioEnvironment(stack, "notebooks", settings);
  };
  return synthesizeApp(
    define,
    (outdir) => JSON.parse(readFileSync(join(outdir, "stacks/other/cdk.tf.json"), "utf8")).resource,
    { assets: false },
  );
}

describe("an environment in another app's stack", () => {
  it("has the resources of a stack of its own", () => {
    const count = (resources: Resources) =>
      Object.fromEntries(Object.entries(resources).map(([type, named]) => [type, Object.keys(named).length]));
    expect(count(resourcesOf())).toEqual(count(synthesize(dev).resource));
  });

  it("is guarded in a destroy: the guard depends on each of its resources", () => {
    const resources = resourcesOf();
    const names = Object.entries(resources).flatMap(([type, named]) =>
      Object.keys(named).map((name) => `${type}.${name}`),
    );
    const guard = names.find((name) => name.includes("removal_guard")) ?? "";
    const step = resources.terraform_data?.[guard.replace("terraform_data.", "")];
    expect(step?.depends_on).toHaveLength(names.length - 1);
    expect(names.filter((name) => name !== guard)).toEqual(
      expect.arrayContaining(step?.depends_on as string[]),
    );
  });

  it("throws every problem of its settings", () => {
    const settings = { name: "Dev", idleTimeoutMinutes: 1 };
    expect(() => resourcesOf({ settings })).toThrow(/name: "Dev" .*\n.*idleTimeoutMinutes: 1 /);
    expect(() => resourcesOf({ settings: { name: "dev", extraPackages: ["polars==1.0.0"] } })).toThrow(
      "the lock file of",
    );
  });

  it("requires the provider's region and default tags", () => {
    expect(() => resourcesOf({ region: "eu-west-1" })).toThrow(
      "the AwsProvider's region is eu-west-1: it must be us-east-1",
    );
    expect(() => resourcesOf({ tags: { Team: "research", Project: "sagemaker-marimo" } })).toThrow(
      "the AwsProvider must have the default tag Environment: dev",
    );
  });
});
