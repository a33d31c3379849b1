import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface NotebookOutcome {
  /** File name of the notebook. */
  readonly name: string;
  /** File name of its page, if it has one. */
  readonly page: string | undefined;
  /** Each failed step with its output. Empty if the notebook passes. */
  readonly failures: readonly string[];
}

/** Writes the index page with links to the notebooks' pages and their results. Plain HTML, for GitHub Pages. */
export function writeIndex(folder: string, outcomes: readonly NotebookOutcome[]): void {
  const rows = outcomes.map(({ name, page, failures }) => {
    const link =
      page === undefined ? escaped(name) : `<a href="${encodeURIComponent(page)}">${escaped(name)}</a>`;
    const messages = failures.map((failure) => `<pre>${escaped(failure)}</pre>`).join("");
    return `<tr><td>${link}</td><td>${failures.length === 0 ? "passed" : `failed${messages}`}</td></tr>`;
  });
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Notebooks</title>
<style>body { font-family: sans-serif; margin: 2rem } td { padding: 0.3rem 1rem; vertical-align: top } pre { white-space: pre-wrap }</style>
</head>
<body>
<h1>Notebooks</h1>
<table>
${rows.join("\n")}
</table>
</body>
</html>
`;
  writeFileSync(join(folder, "index.html"), html);
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character] ?? "");
