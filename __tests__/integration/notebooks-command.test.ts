import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";

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
  it("passes the samples, as the workflow runs it", async () => {
    const result = await command();
    expect(result?.stdout, result?.stderr).toContain("3 notebooks, 0 failures");
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
    const result = await command("--folder", some);
    expect(result?.status).toBe(1);
    expect(result?.stderr).toMatch(/- check .*twice\.py/);
    expect(result?.stderr).toMatch(/- run .*raises\.py[\s\S]*of its own/);
    expect(result?.stderr).not.toMatch(/- (check|run) .*fine\.py/);
  });

  it("refuses a folder without any", async () => {
    const result = await command("--folder", join(folder, "none"));
    expect(result?.status).toBe(1);
    expect(result?.stderr).toContain("There is no notebook");
  });
});
