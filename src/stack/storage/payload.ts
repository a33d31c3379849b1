import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { S3Object, type S3ObjectConfig } from "@cdktf/provider-aws/lib/s3-object/index.js";
import {
  AssetType,
  type ITerraformDependable,
  TerraformAsset,
  TerraformIterator,
  TerraformLocal,
  TerraformStack,
} from "cdktf";
import { Construct } from "constructs";
import { bucketPrefixes, payloadPointer } from "../../settings/names.ts";
import { pathOfModule } from "../support/path-of-module.ts";
import type { EnvironmentBucket } from "./artifact-bucket.ts";

/** Hidden files, bytecode and what marimo writes beside notebooks are never part of a payload. */
const leftOut = (name: string) =>
  name.startsWith(".") || name === "__pycache__" || name === "__marimo__" || name.endsWith(".pyc");

const contentTypes: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".css": "text/css",
  ".html": "text/html",
  ".ipynb": "application/x-ipynb+json",
  ".js": "text/javascript",
  ".json": "application/json",
  ".md": "text/markdown",
  ".py": "text/x-python",
  ".sh": "text/x-shellscript",
  ".svg": "image/svg+xml",
  ".toml": "application/toml",
  ".txt": "text/plain",
};

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
  /** Names this version: the first 16 digits of the checksum list's own SHA-256. */
  readonly hash: string;
  readonly files: readonly PayloadFile[];
  /** Files made from settings, by name. */
  readonly generated: Readonly<Record<string, string>>;
  /** In the format of `sha256sum -c`. */
  readonly checksums: string;
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
  const taken = checked.find(({ path }, i) => path === checked[i + 1]?.path || path === "SHA256SUMS");
  if (taken)
    throw new Error(`${source.folder}: the payload has two files "${taken.path}", one of them generated`);

  const checksums = checked.map((file) => `${file.sha256}  ${file.path}\n`).join("");
  const digest = sha256(checksums);
  const hash = digest.slice(0, 16);
  return {
    hash,
    files,
    generated,
    checksums,
    pointer: `${digest}  ${hash}\n`,
  };
}

/** What every object of the stack has. */
export const encryptedObject = (encryptionKeyArn: string) =>
  ({
    serverSideEncryption: "aws:kms",
    kmsKeyId: encryptionKeyArn,
    // S3 takes ten tags an object, and a team may have set more: the bucket carries them.
    overrideProvider: { defaultTags: { tags: {} } },
  }) satisfies Partial<S3ObjectConfig>;

export interface PayloadProps {
  readonly source: PayloadSource;
  /** A bucket with versions, such as `ArtifactBucket`. */
  readonly bucket: EnvironmentBucket;
  /** KMS key of the bucket. */
  readonly encryptionKeyArn: string;
}

/** Uploads what the spaces fetch at each start: a version of its own for each change, then the pointer to it. */
export class Payload extends Construct {
  /** The last object written: a resource that depends on it finds the payload complete. */
  readonly pointer: ITerraformDependable;
  /** Names this version: its folder in the bucket. */
  readonly hash: string;

  constructor(scope: Construct, id: string, props: PayloadProps) {
    super(scope, id);
    const payload = readPayload(props.source);
    this.hash = payload.hash;
    const common = {
      bucket: props.bucket.name,
      ...encryptedObject(props.encryptionKeyArn),
    };
    const key = (path: string) => `${bucketPrefixes.payload}/${payload.hash}/${path}`;

    // A new version is a new key, hence a new object; the old ones go only once the pointer has moved.
    const files = TerraformIterator.fromMap(
      new TerraformLocal(
        this,
        "files",
        Object.fromEntries(
          payload.files.map(({ path, source, sha256 }) => [
            path,
            {
              source: new TerraformAsset(this, path, {
                path: source,
                assetHash: sha256,
                type: AssetType.FILE,
              }).path,
              sha256,
              content_type: contentTypes[extname(path)] ?? "application/octet-stream",
            },
          ]),
        ),
      ).asAnyMap,
    );
    const uploaded = new S3Object(this, "file", {
      ...common,
      forEach: files,
      key: key(files.key),
      source: pathOfModule(TerraformStack.of(this), files.getString("source")),
      sourceHash: files.getString("sha256"),
      contentType: files.getString("content_type"),
      lifecycle: { createBeforeDestroy: true },
      dependsOn: [...props.bucket.ready],
    });

    const texts = TerraformIterator.fromMap({
      ...Object.fromEntries(
        Object.entries(payload.generated).map(([path, content]) => [path, literal(content)]),
      ),
      SHA256SUMS: literal(payload.checksums),
    });
    const generated = new S3Object(this, "generated", {
      ...common,
      forEach: texts,
      key: key(texts.key),
      content: texts.value,
      contentType: "text/plain",
      lifecycle: { createBeforeDestroy: true },
      dependsOn: [...props.bucket.ready],
    });

    this.pointer = new S3Object(this, "current", {
      ...common,
      key: payloadPointer,
      content: literal(payload.pointer),
      contentType: "text/plain",
      dependsOn: [uploaded, generated],
    });
  }
}

function settingsFile(settings: PayloadSource["settings"]): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  const wrong = lines.find((line) => !/^MARIMO_[A-Z_]+=[^\r\n]*\n$/.test(line));
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

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Text that Terraform takes as it is: `${` and `%{` would begin its own templates. */
function literal(text: string): string {
  return text.replaceAll(/([$%])\{/g, "$1$1{");
}
