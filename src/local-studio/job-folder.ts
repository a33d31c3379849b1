import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { JobHost, JobOrder } from "./job-order.ts";

/** A failure of SageMaker itself, not of the container. */
export class PlatformFailure extends Error {}

/** The folder of a job's instance, which replaces the container's file system. */
export class JobFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Maps a path in the container to this machine, where the job has its own /opt/ml. */
  local(path: string): string {
    const local = resolve(join(this.path, path));
    if (local !== this.path && !local.startsWith(this.path + sep)) {
      throw new PlatformFailure(`ClientError: ${path} must be inside the container's folders.`);
    }
    return local;
  }

  async create({ inputs, message, outputs }: JobOrder, { files }: JobHost): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    const folders = [dirname(message), ...[...inputs, ...outputs].map(({ path }) => path)];
    for (const path of folders) await mkdir(this.local(path), { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(this.local(path)), { recursive: true });
      await writeFile(this.local(path), text);
    }
  }

  /** On AWS these folders belong to root, which the image's user is not (known issue of aws/sagemaker-distribution). */
  async protect(paths: readonly string[]): Promise<void> {
    for (const path of paths) await changeModes(this.local(path), { folders: 0o555, files: 0o444 });
  }

  /**
   * The first 1 KB, in UTF-8 (SageMaker Developer Guide, "Save and Access Metadata Information About Your Processing
   * Job"). Guess: the same for /opt/ml/output/failure of a training job.
   */
  async exitMessage(message: string): Promise<string | undefined> {
    const bytes = await readFile(this.local(message)).catch(() => undefined);
    if (bytes === undefined) return undefined;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new PlatformFailure(`ClientError: ${message} is not valid UTF-8.`);
    }
    // The limit can split a character; `stream` then drops the incomplete one.
    return new TextDecoder().decode(bytes.subarray(0, 1024), { stream: true });
  }

  async remove(): Promise<void> {
    // Files in a folder without write permission cannot be removed.
    await changeModes(this.path, { folders: 0o755 });
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Changes the modes of a folder and of what it contains. */
async function changeModes(
  folder: string,
  modes: { readonly folders: number; readonly files?: number },
): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const mode = entry.isDirectory() ? modes.folders : entry.isFile() ? modes.files : undefined;
    if (mode !== undefined) await chmod(join(entry.parentPath, entry.name), mode).catch(() => {});
  }
  await chmod(folder, modes.folders).catch(() => {});
}
