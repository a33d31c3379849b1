import { runInThisContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { validateEnvironments } from "../../../src/settings/validate.ts";
import {
  brokenReferences,
  codeBlocks,
  docs,
  excesses,
  npmScripts,
  readDoc,
  sourceFolders,
} from "../../support/docs.ts";

const limits = { words: 899, lines: 139, lineLength: 400 };

describe("the documentation", () => {
  it.each(docs)("names only links, npm scripts and paths that exist: %s", (doc) => {
    expect(brokenReferences(doc, readDoc(doc), Object.keys(npmScripts()))).toEqual([]);
  });

  it("would report each reference that does not exist", () => {
    const text = [
      "[gone](src/gone.md), [no heading](README.md#gone), [outside](../other/README.md)",
      '<img src=".readme/gone.png">, `src/gone.ts`, `.github/gone.yml`',
      "`npm run gone -- --help`, `npm run --silent missing`",
      "[there](src/README.md#the-folders), `src/environments.ts`, `npm run plan`, `npm test`",
      "```bash\nnpm run none\n```",
    ].join("\n");
    expect(brokenReferences("README.md", text, Object.keys(npmScripts()))).toEqual([
      "link src/gone.md",
      "link README.md#gone",
      "link ../other/README.md",
      "link .readme/gone.png",
      "npm run gone",
      "npm run missing",
      "npm run none",
      "path src/gone.ts",
      "path .github/gone.yml",
    ]);
  });

  it("has a paragraph for each folder of src in src/README.md", () => {
    const tour = readDoc("src/README.md");
    expect(sourceFolders().filter((folder) => !tour.includes(`**\`${folder}\`**`))).toEqual([]);
  });

  it("keeps README.md short", () => {
    expect(excesses(readDoc("README.md"), limits)).toEqual([]);
  });

  it("would report a README.md that is too long", () => {
    const row = `| ${"a".repeat(401)} |`;
    const code = `\`\`\`\n${"b".repeat(401)}\n\`\`\``;
    expect(excesses([row, code, "word"].join("\n"), limits)).toEqual([]);
    expect(excesses(`${"word ".repeat(80)}\n`.repeat(12), limits)).toEqual(["960 words"]);
    expect(excesses(`${"c".repeat(401)}\n`.repeat(140), limits)).toEqual([
      "140 lines",
      ...Array(140).fill(`401 characters: ${"c".repeat(40)}…`),
    ]);
  });
});

describe("the examples of src/settings/README.md", () => {
  const examples = codeBlocks(readDoc("src/settings/README.md"), "ts");

  it("are entries of src/environments.ts that pass every check", () => {
    expect(examples.length).toBeGreaterThanOrEqual(3);
    const entries = examples.map((example) => runInThisContext(`(${example.trim().replace(/,$/, "")})`));
    for (const entry of entries) expect(validateEnvironments([entry])).toEqual([]);
  });
});
