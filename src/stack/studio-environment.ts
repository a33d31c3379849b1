import type { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { TerraformProvider, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { type EnvironmentSettings, resolveEnvironment } from "../settings/environment.ts";
import { checkLocks } from "../settings/locks.ts";
import type { TerraformSettings } from "../settings/terraform.ts";
import { validateEnvironments } from "../settings/validate.ts";
import { environmentResources } from "./environment-resources.ts";
import { tagsOf } from "./support/environment-context.ts";
import type { Outputs } from "./support/outputs.ts";

/**
 * The settings of an environment, as in `src/environments.ts`. Terraform's settings are the app's. For schedules, whose
 * notebooks are in the app, there is `Schedules`.
 */
export type StudioEnvironmentSettings = Omit<EnvironmentSettings, keyof TerraformSettings | "schedules">;

/** The default tags that the app's `AwsProvider` must have: destroys and `npm run leftovers` find resources by them. */
export const environmentTags = (settings: StudioEnvironmentSettings): Record<string, string> =>
  tagsOf(settings);

/** A whole environment in another app's stack: what `StudioStack` has, without provider, backend and outputs. */
export class StudioEnvironment extends Construct {
  /** Description and value of each output that `StudioStack` would have, by name. */
  readonly outputs: Outputs;

  /** Throws if the settings are not valid, with every problem. */
  constructor(scope: Construct, id: string, settings: StudioEnvironmentSettings) {
    super(scope, id);
    fail(validateEnvironments([settings]));
    const environment = resolveEnvironment(settings);
    fail(checkLocks([environment]));
    this.outputs = environmentResources(this, environment);
    this.node.addValidation({ validate: () => providerProblems(this, environment.region, tagsOf(settings)) });
  }
}

function fail(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function providerProblems(
  scope: Construct,
  region: string,
  tags: Readonly<Record<string, string>>,
): string[] {
  const providers = TerraformStack.of(scope)
    .node.findAll()
    .filter((node) => TerraformProvider.isTerraformProvider(node) && node.terraformResourceType === "aws");
  const provider = (providers as AwsProvider[]).find(({ alias }) => alias === undefined);
  const given = Array.isArray(provider?.defaultTagsInput) ? provider.defaultTagsInput[0]?.tags : undefined;
  return [
    ...(provider?.regionInput === region
      ? []
      : [`the AwsProvider's region is ${provider?.regionInput}: it must be ${region}, as in the settings`]),
    ...Object.entries(tags)
      .filter(([key, value]) => given?.[key] !== value)
      .map(([key, value]) => `the AwsProvider must have the default tag ${key}: ${value} (environmentTags)`),
  ];
}
