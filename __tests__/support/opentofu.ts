import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { Problem } from "../../src/cli/problem.ts";
import { findTerraform, type TerraformBinary } from "../../src/cli/terraform-cli.ts";

/** Folder of the Go module whose `go.sum` locks the sources of OpenTofu. */
export const moduleFolder = join(projectFolder, "__tests__/compat/opentofu");

/** Path of the executable that `npm run build-opentofu` builds. */
export function builtOpenTofu(): string {
  const sums = readFileSync(join(moduleFolder, "go.sum"));
  const key = createHash("sha256").update(sums).digest("hex").slice(0, 12);
  return join(workFolder, `opentofu-${key}`, "tofu");
}

/** Finds OpenTofu: in `TOFU_PATH`, on the PATH, or built by `npm run build-opentofu`. */
export async function openTofu(environment: NodeJS.ProcessEnv = process.env): Promise<TerraformBinary> {
  const named = (command: string) => findTerraform({ ...environment, TERRAFORM_BINARY_NAME: command });
  if (environment.TOFU_PATH) return named(resolve(environment.TOFU_PATH));
  const built = builtOpenTofu();
  try {
    return await named("tofu");
  } catch (error) {
    if (existsSync(built)) return named(built);
    if (!(error instanceof Problem)) throw error;
    throw new Problem({
      message: error.message,
      remedy:
        "install OpenTofu, set TOFU_PATH to the path of its executable, or run `npm run build-opentofu`",
    });
  }
}
