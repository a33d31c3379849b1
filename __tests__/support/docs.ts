import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";

/** Every Markdown file of the repository, by its path from the project's folder. */
export const docs: readonly string[] = [
  "README.md",
  ...["src", "scripts", "__tests__", "sample-notebooks", ".github"].flatMap((folder) =>
    readdirSync(join(projectFolder, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".md"))
      .map((path) => `${folder}/${path}`),
  ),
].sort();

export const readDoc = (doc: string): string => readFileSync(join(projectFolder, doc), "utf8");

const fence = /^```[\s\S]*?^```$/gm;

/** The npm scripts that a text names: `npm run NAME`, `npm start` and `npm test`. */
export function scriptsIn(text: string): readonly string[] {
  const named = text.matchAll(/\bnpm (?:run (?:--\S+ )*([a-z][\w:-]*)|(start|test)\b)/g);
  return [...new Set([...named].map(([, script, lifecycle]) => script ?? lifecycle ?? ""))].sort();
}

/** Links, npm scripts and paths in a document that lead nowhere. */
export function brokenReferences(
  doc: string,
  text: string,
  npmScripts: readonly string[],
): readonly string[] {
  const prose = text.replaceAll(fence, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)|\bsrc="([^"]+)"/g)]
    .map(([, link, image]) => link ?? image ?? "")
    .filter((target) => !/^(https?|mailto):/.test(target));
  const paths = [...prose.matchAll(/`((?:src|scripts|__tests__|sample-notebooks|\.github)\/[^`\s]*)`/g)];
  return [
    ...links.filter((target) => !leadsSomewhere(doc, text, target)).map((target) => `link ${target}`),
    ...scriptsIn(text)
      .filter((script) => !npmScripts.includes(script))
      .map((script) => `npm run ${script}`),
    ...paths
      .map(([, path = ""]) => path)
      .filter((path) => !existsSync(join(projectFolder, path)))
      .map((path) => `path ${path}`),
  ];
}

function leadsSomewhere(doc: string, text: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? doc : normalize(join(dirname(doc), path));
  if (file.startsWith("..") || !existsSync(join(projectFolder, file))) return false;
  if (anchor === undefined || !file.endsWith(".md")) return true;
  return anchorsOf(file === doc ? text : readDoc(file)).includes(anchor);
}

/** As GitHub makes them from headings: lower case, without punctuation, a hyphen for each space. */
function anchorsOf(text: string): readonly string[] {
  return [...text.replaceAll(fence, "").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

export interface Limits {
  readonly words: number;
  readonly lines: number;
  /** Characters of a line outside code blocks and tables. */
  readonly lineLength: number;
}

/** What of a document exceeds its limits. */
export function excesses(text: string, limits: Limits): readonly string[] {
  const words = text.split(/\s+/).filter((word) => word !== "").length;
  const lines = text.trimEnd().split("\n").length;
  const long = text
    .replaceAll(fence, "")
    .split("\n")
    .filter((line) => !line.startsWith("|") && line.length > limits.lineLength);
  return [
    ...(words > limits.words ? [`${words} words`] : []),
    ...(lines > limits.lines ? [`${lines} lines`] : []),
    ...long.map((line) => `${line.length} characters: ${line.slice(0, 40)}…`),
  ];
}

/** Code blocks of a language, in the order of the document. */
export const codeBlocks = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, code = ""]) => code,
  );

/** The commands of the npm scripts in package.json, by name. */
export function npmScripts(): Readonly<Record<string, string>> {
  const { scripts } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  return scripts;
}

/** The folders of `src` that have files of their own or below them. */
export const sourceFolders = (): readonly string[] =>
  readdirSync(join(projectFolder, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => relative("", join("src", entry.name)))
    .sort();
