import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import type { JobConfiguration } from "./job-order.ts";

/** A failure of SageMaker itself, not of the container. */
export class PlatformFailure extends Error {}

/** The folder of a processing job, which replaces the container's file system. */
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

  /**
   * SageMaker Developer Guide, "How Amazon SageMaker Processing Provides Configuration Information for Your Processing
   * Container".
   */
  async create(configuration: JobConfiguration): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    const config = this.local("/opt/ml/config");
    const outputs = configuration.ProcessingOutputConfig?.Outputs ?? [];
    const inputs = configuration.ProcessingInputs ?? [];
    for (const path of [
      config,
      this.local("/opt/ml/output"),
      ...inputs.map(({ S3Input }) => this.local(S3Input.LocalPath)),
      ...outputs.map(({ S3Output }) => this.local(S3Output.LocalPath)),
    ]) {
      await mkdir(path, { recursive: true });
    }
    await writeFile(join(config, "processingjobconfig.json"), JSON.stringify(configuration));
    await writeFile(
      join(config, "resourceconfig.json"),
      JSON.stringify({
        current_host: "algo-1",
        current_instance_type: configuration.ProcessingResources.ClusterConfig.InstanceType,
        hosts: ["algo-1"],
        network_interface_name: "eth0",
      }),
    );
    // On AWS these folders belong to root, which the image's user is not (known issue of aws/sagemaker-distribution).
    for (const { S3Output } of outputs) await chmod(this.local(S3Output.LocalPath), 0o555);
  }

  /**
   * The first 1 KB, in UTF-8 (SageMaker Developer Guide, "Save and Access Metadata Information About Your Processing
   * Job").
   */
  async exitMessage(): Promise<string | undefined> {
    const bytes = await readFile(this.local("/opt/ml/output/message")).catch(() => undefined);
    if (bytes === undefined) return undefined;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new PlatformFailure("ClientError: /opt/ml/output/message is not valid UTF-8.");
    }
    // The limit can split a character; `stream` then drops the incomplete one.
    return new TextDecoder().decode(bytes.subarray(0, 1024), { stream: true });
  }

  async remove(): Promise<void> {
    await makeWritable(this.path);
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Makes folders writable so that they can be removed. */
async function makeWritable(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((one) => one.isDirectory())) {
    await chmod(join(entry.parentPath, entry.name), 0o755).catch(() => {});
  }
}
