import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectFolder } from "../../../src/cli/paths.ts";
import {
  documentationIn,
  settingsDocumentation,
  settingsTable,
  withSettingsTable,
} from "../../../src/settings/documentation.ts";
import { environmentChecks, resolveEnvironment } from "../../../src/settings/environment.ts";

describe("the settings table", () => {
  it("has a row with a meaning for each setting that is checked", () => {
    const settings = settingsDocumentation();
    expect(settings.map(({ name }) => name).sort()).toEqual(Object.keys(environmentChecks).sort());
    expect(settings.filter(({ meaning }) => meaning === "")).toEqual([]);
    expect(settings.filter(({ defaultValue }) => defaultValue === undefined).map(({ name }) => name)).toEqual(
      ["name"],
    );
  });

  it("is in src/settings/README.md as npm run settings-table writes it", () => {
    const document = readFileSync(join(projectFolder, "src/settings/README.md"), "utf8");
    expect(document).toBe(withSettingsTable(document));
    expect(document.replace("`idleTimeoutMinutes` | 60", "`idleTimeoutMinutes` | 61")).not.toBe(
      withSettingsTable(document),
    );
  });

  it("names the defaults that resolveEnvironment fills in", () => {
    const resolved: Readonly<Record<string, unknown>> = { ...resolveEnvironment({ name: "dev" }) };
    const literals = settingsDocumentation().filter(({ defaultValue = "" }) =>
      /^("|\d|true$)/.test(defaultValue),
    );
    expect(literals.length).toBeGreaterThan(9);
    for (const { name, defaultValue = "" } of literals.filter(
      ({ defaultValue = "" }) => !/ /.test(defaultValue) || defaultValue.startsWith('"~'),
    ))
      expect(resolved[name], name).toBe(JSON.parse(defaultValue));
  });

  it("cannot be written for a setting without a comment, or into a document without a place for it", () => {
    expect(() => documentationIn("export interface A {\n  readonly one?: string;\n}\n", "A")).toThrow(
      "A.one has no comment",
    );
    expect(() => withSettingsTable("no markers")).toThrow("<!-- settings: start -->");
  });

  it("keeps a vertical line inside its cell", () => {
    const [setting] = documentationIn(
      'export interface A {\n  /** a | b\n   * @default "x" */\n  readonly one?: string;\n}\n',
      "A",
    );
    expect(settingsTable(setting ? [setting] : [])).toContain('| `one` | "x" | a \\| b |  |');
  });
});
