import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const type = "aws_s3_bucket_lifecycle_configuration";

/**
 * Part of an override file for a synthesized stack that leaves out the lifecycle rules of the buckets. The AWS provider
 * (5.100.0) waits until S3 has returned the same rules for 50 s. No other resource depends on the rules.
 */
export function withoutLifecycleRules(resources: Readonly<Record<string, object>>) {
  const names = Object.keys(resources[type] ?? {});
  return names.length === 0 ? {} : { [type]: Object.fromEntries(names.map((name) => [name, { count: 0 }])) };
}

/** Writes this override into the folder of a synthesized stack, for the next apply. */
export function leaveOutLifecycleRules(stackFolder: string): void {
  const stack = JSON.parse(readFileSync(join(stackFolder, "cdk.tf.json"), "utf8"));
  const resource = withoutLifecycleRules(stack.resource);
  // Terraform rejects an override without a resource.
  if (Object.keys(resource).length === 0) return;
  const override = { resource };
  writeFileSync(join(stackFolder, "lifecycle_rules_override.tf.json"), JSON.stringify(override));
}
