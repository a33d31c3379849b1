import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TerraformStack } from "cdktf";

/**
 * Writes a file beside a stack's JSON at synthesis. `path` is relative to the stack's folder (`pathOfModule`).
 *
 * Files in Terraform's own language are for what checkov 3.3.30 cannot parse in JSON: with `required_version` or a
 * `removed` block it checks nothing of the stack.
 */
export function addFile(stack: TerraformStack, path: string, content: string | Uint8Array): void {
  const { synthesizer } = stack;
  stack.synthesizer = {
    synthesize(session) {
      synthesizer.synthesize(session);
      const { workingDirectory } = session.manifest.forStack(stack);
      const file = join(session.outdir, workingDirectory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    },
  };
}
