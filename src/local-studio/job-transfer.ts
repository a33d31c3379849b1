import { createReadStream, createWriteStream, lstatSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, PutObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { type JobFolder, PlatformFailure } from "./job-folder.ts";
import type { JobConfiguration } from "./job-order.ts";

export async function downloadInputs(
  client: S3Client,
  { ProcessingInputs }: JobConfiguration,
  folder: JobFolder,
): Promise<void> {
  for (const { S3Input } of ProcessingInputs ?? []) {
    const { bucket, key: prefix } = parseUri(S3Input.S3Uri);
    let found = 0;
    try {
      for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
        for (const { Key = "" } of page.Contents ?? []) {
          if (Key.endsWith("/")) continue; // the console creates such objects as folders
          const path = join(folder.local(S3Input.LocalPath), relativeTo(prefix, Key));
          if (!path.startsWith(folder.local(S3Input.LocalPath) + sep)) continue;
          const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
          await mkdir(dirname(path), { recursive: true });
          await pipeline(Body as Readable, createWriteStream(path));
          found += 1;
        }
      }
    } catch (error) {
      // AWS's message begins like this: aws-samples/sagemaker-run-notebook#32.
      throw new PlatformFailure(
        `ClientError: Failed to download data. ${S3Input.S3Uri}: ${messageOf(error)}`,
      );
    }
    if (found === 0) {
      throw new PlatformFailure(`ClientError: Failed to download data. No objects found in ${S3Input.S3Uri}`);
    }
  }
}

/** Seconds between two uploads of continuous outputs. Guess: AWS documents no interval. */
const uploadSeconds = 2;

/**
 * Uploads a job's outputs: continuous ones while the container runs and at its end, the others only if the job
 * completes. AWS does not document whether it uploads those of a failed or stopped job.
 */
export class OutputUpload {
  private readonly client: S3Client;
  private readonly configuration: JobConfiguration;
  private readonly folder: JobFolder;
  /** Size and modification time of each uploaded file, by its path. */
  private readonly uploaded = new Map<string, string>();

  constructor(client: S3Client, configuration: JobConfiguration, folder: JobFolder) {
    this.client = client;
    this.configuration = configuration;
    this.folder = folder;
  }

  /** Uploads continuous outputs until the promise settles. Returns its value. */
  async during<Value>(running: Promise<Value>): Promise<Value> {
    const ended = new AbortController();
    const uploading = (async () => {
      while (await passes(uploadSeconds, ended.signal)) {
        // A file may vanish meanwhile. What remains is tried again at the end.
        await this.upload(false).catch(() => {});
      }
    })();
    try {
      return await running;
    } finally {
      ended.abort();
      await uploading;
    }
  }

  /** @throws PlatformFailure if a file cannot be uploaded */
  async upload(completed: boolean): Promise<void> {
    const { Outputs, KmsKeyId } = this.configuration.ProcessingOutputConfig ?? {};
    for (const { S3Output } of Outputs ?? []) {
      if (!completed && S3Output.S3UploadMode === "EndOfJob") continue;
      const { bucket, key } = parseUri(S3Output.S3Uri);
      const root = this.folder.local(S3Output.LocalPath);
      try {
        for (const file of await filesBelow(root)) {
          const path = join(root, file);
          const { size, mtimeMs } = lstatSync(path);
          const state = `${size} ${mtimeMs}`;
          if (this.uploaded.get(path) === state) continue;
          await this.client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: [key.replace(/\/$/, ""), file].filter(Boolean).join("/"),
              Body: createReadStream(path),
              ContentLength: size,
              ServerSideEncryption: KmsKeyId ? "aws:kms" : undefined,
              SSEKMSKeyId: KmsKeyId || undefined,
            }),
          );
          this.uploaded.set(path, state);
        }
      } catch (error) {
        // Guess: the wording.
        throw new PlatformFailure(
          `ClientError: Failed to upload data. ${S3Output.S3Uri}: ${messageOf(error)}`,
        );
      }
    }
  }
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
