import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";

/** What the comment of a setting says. */
export interface SettingDocumentation {
  readonly name: string;
  /** The text before `Limit:` and `@default`. */
  readonly meaning: string;
  readonly limit: string | undefined;
  readonly defaultValue: string | undefined;
}

/** The interfaces that make up `EnvironmentSettings`, each with the file that it is in, in the table's order. */
const groups = [
  ["basics", "BasicSettings"],
  ["network", "NetworkSettings"],
  ["studio", "StudioSettings"],
  ["marimo", "MarimoSettings"],
  ["environment", "EnvironmentSettings"],
  ["retention", "RetentionSettings"],
  ["terraform", "TerraformSettings"],
] as const;

/** Documentation of every setting of an environment, read from the comments of its interfaces. */
export function settingsDocumentation(): readonly SettingDocumentation[] {
  return groups.flatMap(([file, name]) =>
    documentationIn(readFileSync(join(projectFolder, `src/settings/${file}.ts`), "utf8"), name),
  );
}

/** Documentation of an interface's members; throws if a member has no comment. */
export function documentationIn(source: string, name: string): readonly SettingDocumentation[] {
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, "ms").exec(source)?.[1];
  if (body === undefined) throw new Error(`there is no interface ${name}`);
  const members = [...body.matchAll(/^ {2}(?:\/\*\*((?:(?!\*\/).)*)\*\/\n {2})?readonly (\w+)\??:/gms)];
  return members.map(([, comment, member = ""]) => {
    if (comment === undefined) throw new Error(`${name}.${member} has no comment`);
    const text = comment
      .split("\n")
      .map((line) => line.replace(/^\s*\* ?/, "").trim())
      .join(" ")
      .trim();
    const [, meaning = "", limit, defaultValue] =
      /^(.*?)(?:\s*Limit: (.*?))?(?:\s*@default (.*))?$/.exec(text) ?? [];
    return { name: member, meaning, limit, defaultValue };
  });
}

/** The settings as a Markdown table. */
export function settingsTable(settings: readonly SettingDocumentation[]): string {
  const cell = (text: string | undefined) => (text ?? "").replaceAll("|", "\\|");
  const rows = settings.map(({ name, meaning, limit, defaultValue }) => {
    const columns = [`\`${name}\``, cell(defaultValue ?? "required"), cell(meaning), cell(limit)];
    return `| ${columns.join(" | ")} |`;
  });
  return ["| Setting | Default | Meaning | Limit |", "|---|---|---|---|", ...rows].join("\n");
}

const markers = ["<!-- settings: start -->", "<!-- settings: end -->"] as const;

/** A document with its settings table replaced. Throws if the document has no markers for it. */
export function withSettingsTable(document: string): string {
  const [start, end] = markers.map((marker) => document.indexOf(marker));
  if (start === undefined || end === undefined || start < 0 || end < start)
    throw new Error(`the document must contain ${markers.join(" and ")}`);
  const before = document.slice(0, start + markers[0].length);
  return `${before}\n${settingsTable(settingsDocumentation())}\n${document.slice(end)}`;
}
