import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checksums } from "../../settings/names.ts";
import { type Checksums, checksumsOf, sha256 } from "./checksums.ts";

/** Hidden files, bytecode and what marimo writes beside notebooks are never part of a payload. */
const leftOut = (name: string) =>
  name.startsWith(".") || name === "__pycache__" || name === "__marimo__" || name.endsWith(".pyc");

export interface PayloadSource {
  /** Folder whose files make up the payload: `spaceFiles.payload`. */
  readonly folder: string;
  /** Folder of the sample notebooks; its README.md is left out. @default none */
  readonly samplesFolder?: string | undefined;
  /** Lock file of marimo's virtual environment (`lockFileOf`), which becomes `requirements.txt` of the payload. */
  readonly requirements: string;
  /**
   * The environment's settings for spaces: `settings.env`, one `KEY=value` line for each, which
   * `sagemaker_marimo/state.py` reads.
   */
  readonly settings: Readonly<Record<string, string>>;
}

export interface PayloadFile {
  /** Path in the payload, with `/`. */
  readonly path: string;
  readonly source: string;
  readonly sha256: string;
}

export interface PayloadContent {
  readonly files: readonly PayloadFile[];
  /** Files made from settings, by name. */
  readonly generated: Readonly<Record<string, string>>;
  readonly checksums: Checksums;
  readonly pointer: string;
}

/** Reads a payload: the same files give the same answer in every folder and on every machine. */
export function readPayload(source: PayloadSource): PayloadContent {
  const files = [
    ...listFiles(source.folder).map((path) => ({ path, source: join(source.folder, path) })),
    ...(source.samplesFolder === undefined ? [] : listSamples(source.samplesFolder)).map((path) => ({
      path: `sample-notebooks/${path}`,
      source: join(source.samplesFolder ?? "", path),
    })),
    { path: "requirements.txt", source: source.requirements },
  ].map((file) => ({ ...file, sha256: sha256(readFileSync(file.source)) }));

  const generated = {
    "settings.env": settingsFile(source.settings),
  };
  const checked = [
    ...files,
    ...Object.entries(generated).map(([path, content]) => ({ path, sha256: sha256(content) })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  const taken = checked.find(({ path }, i) => path === checked[i + 1]?.path || path === checksums);
  if (taken)
    throw new Error(`${source.folder}: the payload has two files "${taken.path}", one of them generated`);

  const list = checksumsOf(checked);
  return { files, generated, checksums: list, pointer: `${list.sha256}  ${list.hash}\n` };
}

function settingsFile(settings: PayloadSource["settings"]): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  const wrong = lines.find((line) => !/^(MARIMO|MLFLOW)_[A-Z_]+=[^\r\n]*\n$/.test(line));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is not a valid line of settings.env`);
  return lines.join("");
}

function listFiles(folder: string, below = ""): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .filter((entry) => !leftOut(entry.name))
    .flatMap((entry) => {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      return entry.isDirectory() ? listFiles(folder, path) : [path];
    })
    .sort();
}

/** The README.md of this repository's folder is documentation for GitHub: spaces do not get it. */
export const listSamples = (folder: string): readonly string[] =>
  listFiles(folder).filter((path) => path !== "README.md");
