import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";

/** The sources that the synthesis and the commands read. `node_modules` is linked, not copied. */
const sources = [
  "main.ts",
  "src",
  "scripts",
  "sample-notebooks",
  "cdktf.json",
  "package.json",
  "tsconfig.json",
];

/**
 * Copies the project to a temporary folder, like a clone. `environments`, a TypeScript expression, replaces the
 * settings. The caller removes the copy with `remove`. `from` is another version of the project.
 */
export function copyProject(
  environments?: string,
  from = projectFolder,
): {
  readonly folder: string;
  readonly remove: () => void;
} {
  const folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-copy-"));
  for (const source of sources) cpSync(join(from, source), join(folder, source), { recursive: true });
  symlinkSync(join(from, "node_modules"), join(folder, "node_modules"), "dir");
  if (environments !== undefined) {
    writeFileSync(join(folder, "src", "environments.ts"), `export const environments = ${environments};\n`);
  }
  return {
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
