import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Header } from "tar";
import { checksums } from "../../settings/names.ts";
import { type Checksums, checksumsOf, sha256 } from "./checksums.ts";

/** Holds all files but `apart`: Terraform writes its state once for each object, so each makes every change slower. */
const archive = "files.tar";

/**
 * The files that are objects of their own. The lifecycle configuration of a domain cannot be updated, so it knows only
 * these: what runs before the archive is unpacked. `marimo-job` reads the requirements.
 */
const apart: readonly string[] = [
  "start.sh",
  "image.sh",
  "unpack.py",
  "job/run.sh",
  "job/row.sh",
  "requirements.txt",
];

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

interface UploadedFile {
  /** Path in the payload, with `/`. */
  readonly path: string;
  readonly content: Uint8Array;
}

export interface PayloadContent {
  /** One of them is the archive that `unpack.py` unpacks. */
  readonly files: readonly (UploadedFile & { readonly sha256: string })[];
  /** Files made from settings, by name. */
  readonly generated: Readonly<Record<string, string>>;
  readonly checksums: Checksums;
  readonly pointer: string;
}

/** Reads a payload: the same files give the same answer in every folder and on every machine. */
export function readPayload(source: PayloadSource): PayloadContent {
  const all = [
    ...listFiles(source.folder).map((path) => ({ path, source: join(source.folder, path) })),
    ...(source.samplesFolder === undefined ? [] : listSamples(source.samplesFolder)).map((path) => ({
      path: `sample-notebooks/${path}`,
      source: join(source.samplesFolder ?? "", path),
    })),
    { path: "requirements.txt", source: source.requirements },
  ].map(({ path, source }) => ({ path, content: readFileSync(source) }));
  const generated = {
    "settings.env": settingsFile(source.settings),
  };
  const paths = [...all.map(({ path }) => path), ...Object.keys(generated), checksums, archive].sort();
  const twice = paths.find((path, i) => path === paths[i + 1]);
  if (twice) throw new Error(`${source.folder}: the payload has two files "${twice}", one of them generated`);

  const files = packed(all).map((file) => ({ ...file, sha256: sha256(file.content) }));
  const list = checksumsOf(
    [
      ...files,
      ...Object.entries(generated).map(([path, content]) => ({ path, sha256: sha256(content) })),
    ].sort((a, b) => (a.path < b.path ? -1 : 1)),
  );
  return { files, generated, checksums: list, pointer: `${list.sha256}  ${list.hash}\n` };
}

/**
 * The archive, and the files apart. The archive is uncompressed and without times, so that its bytes depend on the files
 * only: zlib differs between versions of Node.js.
 */
export function packed(files: readonly UploadedFile[]): readonly UploadedFile[] {
  const entries = files.flatMap(({ path, content }) => {
    if (apart.includes(path)) return [];
    const header = new Header({ path, size: content.length, mode: 0o644, mtime: new Date(0), type: "File" });
    if (header.encode()) throw new Error(`${path}: too long a path for the header of an archive`);
    return [header.block ?? Buffer.alloc(0), content, Buffer.alloc(-content.length & 511)];
  });
  return [
    ...files.filter(({ path }) => apart.includes(path)),
    { path: archive, content: Buffer.concat([...entries, Buffer.alloc(1024)]) },
  ];
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
