import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { pythonEnvironment } from "../../src/cli/python/python-environment.ts";
import { marimoDefaults } from "../../src/settings/marimo.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-notebooks-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const command = (...args: string[]) =>
  capture(process.execPath, ["--import", "tsx", "scripts/notebooks.ts", ...args], {
    cwd: projectFolder,
    env: { ...process.env, AWS_ACCESS_KEY_ID: "nobody's", AWS_SECRET_ACCESS_KEY: "none" },
    timeout: 600_000,
  });
const notebook = (...cells: string[]) =>
  [
    `import marimo\n\n__generated_with = "${marimoDefaults.marimoVersion}"\napp = marimo.App()\n`,
    ...cells.map((cell) => `\n@app.cell\ndef _():\n    ${cell}\n    return\n`),
    '\nif __name__ == "__main__":\n    app.run()\n',
  ].join("\n");

describe("npm run notebooks", () => {
  it("passes for the sample notebooks", async () => {
    const result = await command();
    expect(result?.stdout, result?.stderr).toContain("8 notebooks, 0 failures");
    expect(result?.status).toBe(0);
  });

  it("reports each failed notebook, and runs notebooks without AWS credentials", async () => {
    const mixed = join(folder, "mixed");
    mkdirSync(mixed);
    writeFileSync(join(mixed, "twice.py"), notebook("x = 1", "x = 2"));
    writeFileSync(join(mixed, "raises.py"), notebook('raise ValueError("of its own")'));
    writeFileSync(
      join(mixed, "fine.py"),
      notebook('import os\n    assert "AWS_ACCESS_KEY_ID" not in os.environ'),
    );
    // A module that notebooks can import. It would fail if it were run as a notebook.
    writeFileSync(join(mixed, "helper.py"), 'raise ValueError("no notebook")\n');
    const pages = join(folder, "pages");
    mkdirSync(pages);
    writeFileSync(join(pages, "twice.html"), "of an earlier run");
    const result = await command("--folder", mixed, "--pages", pages);
    expect(result?.status).toBe(1);
    expect(result?.stdout).toContain("3 notebooks, ");
    expect(result?.stderr).toMatch(/- check .*twice\.py/);
    expect(result?.stderr).toMatch(/- run .*raises\.py[\s\S]*of its own/);
    expect(result?.stderr).not.toMatch(/- (check|run|export) .*fine\.py/);

    const read = (name: string) => readFileSync(join(pages, name), "utf8");
    expect(read("fine.html")).toContain("<marimo-code");
    // The page shows the error, and the index shows it as escaped text.
    expect(result?.stderr).toMatch(/- export .*raises\.py/);
    expect(read("raises.html")).toContain("of its own");
    expect(existsSync(join(pages, "twice.html")) && read("twice.html")).not.toBe("of an earlier run");
    const index = read("index.html");
    expect(index).toContain('<a href="fine.html">fine.py</a></td><td>passed<');
    expect(index).toMatch(/<a href="raises\.html">raises\.py<\/a><\/td><td>failed<pre>[^<>]*of its own/);
    expect(readdirSync(mixed).sort()).toEqual(["fine.py", "helper.py", "raises.py", "twice.py"]);
  });

  it("rejects a folder without notebooks", async () => {
    const result = await command("--folder", join(folder, "none"));
    expect(result?.status).toBe(1);
    expect(result?.stderr).toContain("contains no marimo notebooks");
  });

  it("prefers the packages that a notebook locks, and checks their hashes", async () => {
    const own = join(folder, "own");
    mkdirSync(own);
    const { prefix } = await pythonEnvironment("image");
    const locked = async (name: string, dependency: string) => {
      const script = `# /// script\n# requires-python = ">=3.11"\n# dependencies = ["${dependency}"]\n# ///\n`;
      const cell = 'import packaging\n    assert packaging.__version__ == "25.0", packaging.__version__';
      writeFileSync(join(own, name), script + notebook(cell));
      const lock = ["lock", "--quiet", "--script", join(own, name), "--python", join(prefix, "bin/python")];
      const result = await capture(join(prefix, "bin/uv"), lock, { timeout: 120_000 });
      expect(result?.status, result?.stderr).toBe(0);
    };
    await locked("own.py", "packaging==25.0");
    await locked("altered.py", "packaging==25.0");
    await locked("older.py", "marimo==0.23.14");
    copyFileSync(join(own, "own.py"), join(own, "none.py"));
    const altered = join(own, "altered.py.lock");
    const before = readFileSync(altered, "utf8");
    writeFileSync(altered, before.replaceAll(/sha256:[0-9a-f]{8}/g, "sha256:01234567"));
    expect(readFileSync(altered, "utf8")).not.toBe(before);

    const result = await command("--folder", own);
    const failures = (result?.stderr ?? "").split("\n").filter((line) => line.startsWith("- "));
    expect(failures, result?.stderr).toEqual([
      expect.stringMatching(/^- install packages of .*altered\.py/),
      expect.stringMatching(/^- run .*none\.py/),
      expect.stringMatching(
        /^- install packages of .*older\.py: older\.py\.lock has marimo 0\.23\.14, but spaces have /,
      ),
    ]);
    expect(result?.stderr).toMatch(/- install packages of .*altered\.py[\s\S]*hash/i);
  });
});
