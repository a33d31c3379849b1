import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { LocalBackend, S3Backend, type TerraformStack } from "cdktf";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { stateFileOf } from "../settings/state-file.ts";
import { tagsOf } from "./support/environment-context.ts";
import { addFile } from "./support/stack-file.ts";

/** Sets a stack's Terraform version, AWS provider and backend. */
export function configureTerraform(stack: TerraformStack, environment: ResolvedEnvironment): void {
  const { account, awsProviderVersion, backend, name, region } = environment;
  const allowedAccounts = account === undefined ? {} : { allowedAccountIds: [account] };
  // The first version with `use_lockfile`.
  addFile(stack, "versions.tf", 'terraform {\n  required_version = ">= 1.10"\n}\n');
  // The bindings require exactly the version that they were generated from.
  stack.addOverride("terraform.required_providers.aws.version", awsProviderVersion);
  if (backend.type === "local") {
    // Relative to the stack's folder: the file is beside cdktf.json. cdktf's default is an absolute path.
    new LocalBackend(stack, { path: `../../../${stateFileOf(name)}` });
  } else {
    const { bucket, key, kmsKeyId, region: bucketRegion } = backend;
    new S3Backend(stack, {
      bucket,
      key,
      region: bucketRegion,
      encrypt: true,
      ...allowedAccounts,
      ...(kmsKeyId === undefined ? {} : { kmsKeyId }),
    }).addOverride("use_lockfile", true);
  }
  new AwsProvider(stack, "aws", {
    region,
    // With the default of 25, the provider retries for 51 minutes when EC2 reports an expired token (provider issue
    // 15618). Pauses double from at most 1 s, so 8 attempts take two minutes at most.
    maxRetries: 8,
    ...allowedAccounts,
    defaultTags: [{ tags: tagsOf(environment) }],
  });
}
