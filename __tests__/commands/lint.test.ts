import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkers } from "../../scripts/checks/checkers.ts";

/** A file for each checker that it must reject. */
const bad: Readonly<Record<string, readonly [name: string, text: string]>> = {
  biome: ["bad.ts", "var  unused: any = 1\n"],
  shellcheck: ["bad.sh", "#!/bin/bash\nrm -rf $1/*\n"],
  shfmt: ["bad.sh", "#!/bin/bash\nif true\nthen\n        echo x\nfi\n"],
  hadolint: ["bad.Dockerfile", "FROM debian\n"],
  ruff: ["bad.py", "import os\n"],
  "ruff format": ["bad.py", "x = {  'a':1 }\n"],
  actionlint: [
    "bad.yml",
    "on: push\njobs:\n  bad:\n    runs-on: ubuntu-latest\n    steps: [{ run: ls, uses: a/b@c }]\n",
  ],
  // In two pieces: this file is checked too.
  wording: ["bad.md", `A number ${"is"} no text.\n`],
  tsc: ["bad.ts", 'export const wrong: number = "text";\n'],
  mypy: ["bad.py", 'number: int = "text"\n'],
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-lint-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run lint and npm run typecheck", () => {
  it.each(checkers)("$name rejects a bad file", async ({ name, checkFile }) => {
    const [file, text] = bad[name] ?? ["", ""];
    writeFileSync(join(folder, file), text);
    const { status, output } = await checkFile(join(folder, file));
    expect(status, output).not.toBe(0);
    expect(output).toContain(file);
  });
});
