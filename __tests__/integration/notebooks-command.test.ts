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
import { projectFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { pythonEnvironment } from "../../src/local-studio/python-environment.ts";

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
    'import marimo\n\n__generated_with = "0.25.2"\napp = marimo.App()\n',
    ...cells.map((cell) => `\n@app.cell\ndef _():\n    ${cell}\n    return\n`),
    '\nif __name__ == "__main__":\n    app.run()\n',
  ].join("\n");

describe("npm run notebooks", () => {
  it("passes the samples", async () => {
    const result = await command();
    expect(result?.stdout, result?.stderr).toContain("4 notebooks, 0 failures");
    expect(result?.status).toBe(0);
  });

  it("names each notebook that does not pass, and finds no credentials in them", async () => {
    const some = join(folder, "some");
    mkdirSync(some);
    writeFileSync(join(some, "twice.py"), notebook("x = 1", "x = 2"));
    writeFileSync(join(some, "raises.py"), notebook('raise ValueError("of its own")'));
    writeFileSync(
      join(some, "fine.py"),
      notebook('import os\n    assert "AWS_ACCESS_KEY_ID" not in os.environ'),
    );
    // A module beside them that the folder's notebooks could import: it would fail as one of them.
    writeFileSync(join(some, "helper.py"), 'raise ValueError("no notebook")\n');
    const pages = join(folder, "pages");
    mkdirSync(pages);
    writeFileSync(join(pages, "twice.html"), "of an earlier run");
    const result = await command("--folder", some, "--pages", pages);
    expect(result?.status).toBe(1);
    expect(result?.stdout).toContain("3 notebooks, ");
    expect(result?.stderr).toMatch(/- check .*twice\.py/);
    expect(result?.stderr).toMatch(/- run .*raises\.py[\s\S]*of its own/);
    expect(result?.stderr).not.toMatch(/- (check|run|page of) .*fine\.py/);

    const read = (name: string) => readFileSync(join(pages, name), "utf8");
    expect(read("fine.html")).toContain("<marimo-code");
    // Where it raised can be read on its page, and the index says that it did, in text that is no HTML of its own.
    expect(result?.stderr).toMatch(/- page of .*raises\.py/);
    expect(read("raises.html")).toContain("of its own");
    expect(existsSync(join(pages, "twice.html")) && read("twice.html")).not.toBe("of an earlier run");
    const index = read("index.html");
    expect(index).toContain('<a href="fine.html">fine.py</a></td><td>passed<');
    expect(index).toMatch(/<a href="raises\.html">raises\.py<\/a><\/td><td>failed<pre>[^<>]*of its own/);
    expect(readdirSync(some).sort()).toEqual(["fine.py", "helper.py", "raises.py", "twice.py"]);
  });

  it("refuses a folder without any", async () => {
    const result = await command("--folder", join(folder, "none"));
    expect(result?.status).toBe(1);
    expect(result?.stderr).toContain("There is no notebook");
  });

  it("puts what a notebook has locked before what the spaces have, hash by hash", async () => {
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
      expect.stringMatching(/^- packages of .*altered\.py/),
      expect.stringMatching(/^- run .*none\.py/),
      expect.stringMatching(
        /^- packages of .*older\.py: older\.py\.lock has marimo 0\.23\.14, and spaces have /,
      ),
    ]);
    expect(result?.stderr).toMatch(/- packages of .*altered\.py[\s\S]*hash/i);
  });
});
