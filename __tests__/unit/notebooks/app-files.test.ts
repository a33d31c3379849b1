import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { appFiles } from "../../../src/notebooks/app-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "app-files-"));
  mkdirSync(join(folder, "source/layouts"), { recursive: true });
  for (const file of ["outside.css", "source/a.css", "source/layouts/a.json"]) {
    writeFileSync(join(folder, file), "");
  }
  symlinkSync("../outside.css", join(folder, "source/link.css"));
  symlinkSync("a.css", join(folder, "source/inner.css"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const named = (options: string, notebook = "nb.py") => {
  writeFileSync(join(folder, "source", notebook), `import marimo\napp = marimo.App(${options})\n`);
  return appFiles(join(folder, "source"), notebook);
};

it("finds the files that marimo.App names, on one line or on several", () => {
  expect(named('width="full", layout_file="layouts/a.json", css_file = \'a.css\'')).toEqual([
    "layouts/a.json",
    "a.css",
  ]);
  expect(named('\n    html_head_file="a.css",\n')).toEqual(["a.css"]);
  expect(named('css_file="a.json"', "layouts/nb.py")).toEqual(["layouts/a.json"]);
  expect(named('css_file="inner.css"')).toEqual(["inner.css"]);
});

it.each([
  ["a missing file", "none.css"],
  ["a folder", "layouts"],
  ["a file outside", "../outside.css"],
  ["a link that leads out", "link.css"],
  ["an absolute path", "/etc/passwd"],
  ["a data URI", `data:application/json;base64,${"e30=".repeat(1000)}`],
  ["nothing", ""],
])("leaves out %s, as marimo-job does", (_, name) => {
  expect(named(`layout_file="${name}"`)).toEqual([]);
});
