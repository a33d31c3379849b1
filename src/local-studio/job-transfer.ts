import { createReadStream, createWriteStream, lstatSync } from "node:fs";
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, PutObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { capture } from "../cli/processes.ts";
import { type JobFolder, PlatformFailure } from "./job-folder.ts";
import type { JobInput, JobOutput } from "./job-order.ts";

export async function downloadInputs(
  client: S3Client,
  inputs: readonly JobInput[],
  folder: JobFolder,
): Promise<void> {
  for (const { uri, path, optional } of inputs) {
    const { bucket, key: prefix } = parseUri(uri);
    const root = folder.local(path);
    let found = 0;
    try {
      for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
        for (const { Key = "" } of page.Contents ?? []) {
          if (Key.endsWith("/")) continue; // the console creates such objects as folders
          const file = join(root, relativeTo(prefix, Key));
          if (!file.startsWith(root + sep)) continue;
          const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
          await mkdir(dirname(file), { recursive: true });
          await pipeline(Body as Readable, createWriteStream(file));
          found += 1;
        }
      }
    } catch (error) {
      // AWS's message begins like this: aws-samples/sagemaker-run-notebook#32.
      throw new PlatformFailure(`ClientError: Failed to download data. ${uri}: ${messageOf(error)}`);
    }
    if (found === 0 && !optional) {
      throw new PlatformFailure(`ClientError: Failed to download data. No objects found in ${uri}`);
    }
  }
}

/** Seconds between two uploads of continuous outputs. Guess: AWS documents no interval. */
const uploadSeconds = 2;

/**
 * Uploads a job's outputs: continuous ones while the container runs and at its end, the others at the end. AWS does not
 * document whether it uploads the outputs of a processing job that failed or was stopped.
 */
export class OutputUpload {
  private readonly client: S3Client;
  private readonly outputs: readonly JobOutput[];
  private readonly folders: readonly JobFolder[];
  /** Size and modification time of each uploaded file, by its path. */
  private readonly uploaded = new Map<string, string>();

  constructor(client: S3Client, outputs: readonly JobOutput[], folders: readonly JobFolder[]) {
    this.client = client;
    this.outputs = outputs;
    this.folders = folders;
  }

  /** Leaves out the files that a continuous output contains before the container starts: they come from S3. */
  async skipRestored(): Promise<void> {
    for (const { path } of this.outputs.filter(({ when }) => when === "continuously")) {
      for (const file of (await this.files(path)).map((one) => one.file)) {
        this.uploaded.set(file, stateOf(file));
      }
    }
  }

  /** Uploads continuous outputs until the promise settles. Returns its value. */
  async during<Value>(running: Promise<Value>): Promise<Value> {
    const ended = new AbortController();
    const uploading = (async () => {
      while (await passes(uploadSeconds, ended.signal)) {
        // A file may vanish meanwhile. What remains is tried again at the end.
        await this.upload("continuously").catch(() => {});
      }
    })();
    try {
      return await running;
    } finally {
      ended.abort();
      await uploading;
    }
  }

  /**
   * Uploads the outputs that are due while the job runs, or at its end.
   *
   * @throws PlatformFailure if a file cannot be uploaded
   */
  async upload(now: JobOutput["when"]): Promise<void> {
    const due = { continuously: ["continuously"], ended: ["continuously", "ended"], completed: undefined }[
      now
    ];
    for (const output of this.outputs.filter(({ when }) => due?.includes(when) ?? true)) {
      try {
        await (output.archive ? this.putArchive(output) : this.putFiles(output));
      } catch (error) {
        // Guess: the wording.
        throw new PlatformFailure(`ClientError: Failed to upload data. ${output.uri}: ${messageOf(error)}`);
      }
    }
  }

  /** The files below a container's folder on all instances. */
  private async files(path: string): Promise<readonly { readonly name: string; readonly file: string }[]> {
    const found = await Promise.all(
      this.folders.map(async (folder) => {
        const root = folder.local(path);
        return (await filesBelow(root)).map((name) => ({ name, file: join(root, name) }));
      }),
    );
    return found.flat();
  }

  private async putFiles(output: JobOutput): Promise<void> {
    for (const { name, file } of await this.files(output.path)) {
      const state = stateOf(file);
      if (this.uploaded.get(file) === state) continue;
      await this.put(output, [output.uri.replace(/\/$/, ""), name].join("/"), file);
      this.uploaded.set(file, state);
    }
  }

  /**
   * Makes one archive of the files of all instances. Guess: of two files with the same path, the later host's is kept.
   * Guess: without files, AWS makes no archive (aws/sagemaker-training-toolkit warns of it).
   */
  private async putArchive(output: JobOutput): Promise<void> {
    const [first, ...others] = this.folders;
    if (first === undefined || (await this.files(output.path)).length === 0) return;
    let root = first.local(output.path);
    if (others.length > 0) {
      root = join(first.path, "archive");
      await rm(root, { recursive: true, force: true });
      for (const folder of this.folders) {
        const own = folder.local(output.path);
        // Without files it is still read-only, and so would its copy be.
        if ((await filesBelow(own)).length > 0) await cp(own, root, copying);
      }
    }
    const archive = join(first.path, "archive.tar.gz");
    const result = await capture("tar", ["-czf", archive, "-C", root, "--", ...(await readdir(root))]);
    if (result?.status !== 0) throw new Error(result?.stderr ?? "tar cannot be run");
    await this.put(output, output.uri, archive);
  }

  private async put({ keyId }: JobOutput, uri: string, path: string): Promise<void> {
    const { bucket, key } = parseUri(uri);
    await this.client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: createReadStream(path),
        ContentLength: lstatSync(path).size,
        ServerSideEncryption: keyId ? "aws:kms" : undefined,
        SSEKMSKeyId: keyId || undefined,
      }),
    );
  }
}

const copying = { recursive: true, verbatimSymlinks: true };

function stateOf(path: string): string {
  const { size, mtimeMs } = lstatSync(path);
  return `${size} ${mtimeMs}`;
}

/** Whether the time has passed before the signal. */
const passes = (seconds: number, signal: AbortSignal) =>
  sleep(seconds * 1000, true, { signal }).catch(() => false);

function parseUri(uri: string): { bucket: string; key: string } {
  const [bucket = "", ...key] = uri.replace(/^s3:\/\//, "").split("/");
  return { bucket, key: key.join("/") };
}

/** The path of an object relative to the input's folder. For an input that is a single object: the object's name. */
function relativeTo(prefix: string, key: string): string {
  if (prefix.endsWith("/") || prefix === "") return key.slice(prefix.length);
  if (key.startsWith(`${prefix}/`)) return key.slice(prefix.length + 1);
  return key.slice(prefix.lastIndexOf("/") + 1);
}

/**
 * Lists regular files. Symbolic links are not followed (SageMaker Developer Guide, "How Amazon SageMaker Processing
 * Configures Input and Output").
 */
async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
