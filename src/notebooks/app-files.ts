import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The options of `marimo.App` that name a file relative to the notebook, as marimo writes them. */
const options = /\b(?:layout_file|css_file|html_head_file)\s*=\s*(["'])(.+?)\1/g;

const isInside = (path: string) => path !== "" && path !== ".." && !path.startsWith("../");

/**
 * The layout, style sheet and HTML head that a notebook's `marimo.App` names, as paths from `folder`, if they are files in
 * it. `jobs/sources.py` finds them for `marimo-job`. Its rule is the same: links that lead out are not followed.
 */
export function appFiles(folder: string, notebook: string): readonly string[] {
  const text = readFileSync(join(folder, notebook), "utf8");
  return [...text.matchAll(options)]
    .map(([, , name = ""]) => join(dirname(notebook), name))
    .filter((path) => {
      const file = join(folder, path);
      // Terraform would take `${` and `%{` for its own.
      if (!isInside(path) || /[$%]\{/.test(path) || !existsSync(file) || !statSync(file).isFile())
        return false;
      return isInside(relative(realpathSync(folder), realpathSync(file)));
    });
}
