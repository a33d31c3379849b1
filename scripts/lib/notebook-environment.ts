import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Problem } from "../../src/local-studio/problem.ts";
import { type Captured, capture } from "../../src/local-studio/processes.ts";

export interface NotebookEnvironmentProps {
  /** Prefix of the environment with the image's packages. */
  readonly image: string;
  /** The hash-locked file that spaces install marimo from. */
  readonly lockFile: string;
  /** An empty folder. */
  readonly folder: string;
}

/** As in a space: marimo in an environment of its own, in which the image's packages come after its own. */
export class NotebookEnvironment {
  private readonly props: NotebookEnvironmentProps;

  constructor(props: NotebookEnvironmentProps) {
    this.props = props;
  }

  /** Its Python. */
  async install(): Promise<string> {
    const result = await this.layer("marimo", this.props.lockFile, join(this.props.image, "bin/python"));
    if (typeof result === "string") return result;
    throw new Problem({
      message: `marimo could not be installed: ${result.stderr.trim()}`,
      remedy: "see uv's message above; it needs a way to the package index",
    });
  }

  /**
   * A Python with what a notebook has locked (`uv lock --script` wrote NOTEBOOK.py.lock) before what `python` finds, or
   * what uv said against it.
   */
  async withLockOf(notebook: string, python: string): Promise<string | Captured> {
    // Not --locked: it takes a lock that was made with another index for an old one.
    const exported = await this.uv(["export", "--script", notebook, "--frozen", "--quiet"]);
    if (exported.status !== 0) return exported;
    const [own, theirs] = [exported.stdout, readFileSync(this.props.lockFile, "utf8")].map(marimoIn);
    if (own !== undefined && own !== theirs) {
      const stderr = `${basename(notebook)}.lock has marimo ${own}, and spaces have ${theirs}: lock it again with that.`;
      return { status: 1, stdout: "", stderr };
    }
    const name = `own-${basename(notebook)}`;
    const requirements = join(this.props.folder, `${name}.txt`);
    writeFileSync(requirements, exported.stdout);
    return this.layer(name, requirements, python);
  }

  private async layer(name: string, requirements: string, beneath: string): Promise<string | Captured> {
    const environment = join(this.props.folder, name);
    const python = join(environment, "bin/python");
    for (const args of [
      ["venv", "--quiet", "--python", join(this.props.image, "bin/python"), environment],
      ["pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", requirements],
    ]) {
      const result = await this.uv(args);
      if (result.status !== 0) return result;
    }
    const purelib = ["-c", 'import sysconfig; print(sysconfig.get_path("purelib"), end="")'];
    const [own, theirs] = await Promise.all(
      [python, beneath].map(async (one) => (await capture(one, purelib))?.stdout ?? ""),
    );
    // Reads the .pth files there too, which a plain path would not.
    writeFileSync(
      join(own ?? "", "sagemaker_beneath.pth"),
      `import site; site.addsitedir(${JSON.stringify(theirs)})\n`,
    );
    return python;
  }

  private async uv(args: readonly string[]): Promise<Captured> {
    const result = await capture(join(this.props.image, "bin/uv"), args, {
      env: process.env,
      timeout: 300_000,
    });
    return result ?? { status: 1, stdout: "", stderr: "uv did not start" };
  }
}

/** The version of marimo in a list of locked requirements, or undefined. */
const marimoIn = (requirements: string): string | undefined =>
  /^marimo==([^\s;\\]+)/m.exec(requirements)?.[1];
