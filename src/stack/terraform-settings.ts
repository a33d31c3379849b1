import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider/index.js";
import { LocalBackend, S3Backend, type TerraformStack } from "cdktf";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { stateFileOf } from "../settings/state-file.ts";
import { tagsOf } from "./support/environment-context.ts";

/** Sets a stack's Terraform version, AWS provider and backend. */
export function configureTerraform(stack: TerraformStack, environment: ResolvedEnvironment): void {
  const { account, awsProviderVersion, backend, name, region } = environment;
  const allowedAccounts = account === undefined ? {} : { allowedAccountIds: [account] };
  // The first version with `use_lockfile`.
  requireVersion(stack, ">= 1.10");
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

/** In a file of its own: checkov 3.3.30 cannot parse a `.tf.json` with `required_version`, and then checks nothing. */
function requireVersion(stack: TerraformStack, version: string): void {
  const { synthesizer } = stack;
  stack.synthesizer = {
    synthesize(session) {
      synthesizer.synthesize(session);
      const { workingDirectory } = session.manifest.forStack(stack);
      const file = join(session.outdir, workingDirectory, "versions.tf");
      writeFileSync(file, `terraform {\n  required_version = "${version}"\n}\n`);
    },
  };
}
