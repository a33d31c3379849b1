import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TerraformStack } from "cdktf";

/**
 * Writes a file in Terraform's own language beside a stack's JSON, for what checkov 3.3.30 cannot parse in JSON: with
 * `required_version` or a `removed` block it checks nothing of the stack.
 */
export function addTerraformFile(stack: TerraformStack, name: string, text: string): void {
  const { synthesizer } = stack;
  stack.synthesizer = {
    synthesize(session) {
      synthesizer.synthesize(session);
      const { workingDirectory } = session.manifest.forStack(stack);
      writeFileSync(join(session.outdir, workingDirectory, name), text);
    },
  };
}
