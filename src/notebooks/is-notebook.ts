import { readFileSync } from "node:fs";

/**
 * Whether a file is a marimo notebook, by marimo's own rule (marimo 0.25.2, `_server/files/directory_scanner.py`,
 * `is_marimo_app`). `sagemaker_marimo/served_path.py` has the same rule for spaces.
 */
export function isNotebook(file: string): boolean {
  if (!file.endsWith(".py")) return false;
  const text = readFileSync(file, "utf8");
  return text.includes("import marimo") && text.includes("marimo.App");
}
