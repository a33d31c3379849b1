import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Problem } from "../cli/problem.ts";
import { type Captured, capture } from "../cli/processes.ts";

export interface NotebookEnvironmentProps {
  /** Prefix of the virtual environment with the image's packages. */
  readonly image: string;
  /** The lock file, with hashes, that spaces install marimo from. */
  readonly lockFile: string;
  /** An empty folder. */
  readonly folder: string;
}

/** marimo in its own virtual environment, whose packages take precedence over the image's, as in a space. */
export class NotebookEnvironment {
  private readonly props: NotebookEnvironmentProps;

  constructor(props: NotebookEnvironmentProps) {
    this.props = props;
  }

  /** Installs marimo. @returns the path of its Python */
  async install(): Promise<string> {
    const result = await this.layer("marimo", this.props.lockFile, join(this.props.image, "bin/python"));
    if (typeof result === "string") return result;
    throw new Problem({
      message: `marimo could not be installed: ${result.stderr.trim()}`,
      remedy: "see uv's message above. uv needs access to the package index",
    });
  }

  /**
   * A virtual environment with the packages that a notebook locks (`uv lock --script` writes NOTEBOOK.py.lock),
   * followed by those of `python`. @returns the path of its Python, or uv's error
   */
  async withLockOf(notebook: string, python: string): Promise<string | Captured> {
    // --locked would reject a lock file from a different index as outdated.
    const exported = await this.uv(["export", "--script", notebook, "--frozen", "--quiet"]);
    if (exported.status !== 0) return exported;
    const [own, theirs] = [exported.stdout, readFileSync(this.props.lockFile, "utf8")].map(marimoIn);
    if (own !== undefined && own !== theirs) {
      const stderr = `${basename(notebook)}.lock has marimo ${own}, but spaces have ${theirs}: set that version and lock it again.`;
      return { status: 1, stdout: "", stderr };
    }
    const name = `own-${basename(notebook)}`;
    const requirements = join(this.props.folder, `${name}.txt`);
    writeFileSync(requirements, exported.stdout);
    return this.layer(name, requirements, python);
  }

  private async layer(name: string, requirements: string, fallback: string): Promise<string | Captured> {
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
      [python, fallback].map(async (one) => (await capture(one, purelib))?.stdout ?? ""),
    );
    // addsitedir also reads the .pth files of that folder, unlike a plain path.
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

/** The version of marimo in a list of locked requirements. */
const marimoIn = (requirements: string): string | undefined =>
  /^marimo==([^\s;\\]+)/m.exec(requirements)?.[1];
