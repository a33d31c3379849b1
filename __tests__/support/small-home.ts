import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, linesOf } from "../../src/cli/processes.ts";

/** A tmpfs that is mounted on a folder in a separate mount namespace, and that can be small, full or read-only. */
export class SmallHome {
  private readonly holder: ChildProcess;
  private readonly folder: string;

  private constructor(holder: ChildProcess, folder: string) {
    this.holder = holder;
    this.folder = folder;
  }

  static async mount(folder: string, size: string): Promise<SmallHome> {
    const holder = spawn(
      "unshare",
      [
        ...asRoot,
        "--mount",
        "bash",
        "-c",
        'mount -t tmpfs -o "size=$1" tmpfs "$0" && echo mounted && read',
        folder,
        size,
      ],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
    const messages: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const failed = (reason: string) =>
        reject(
          new Error(
            `The tmpfs could not be mounted: ${reason}. Run the tests as root on Linux, or allow user namespaces ` +
              "(sysctl kernel.unprivileged_userns_clone=1, and kernel.apparmor_restrict_unprivileged_userns=0 on " +
              "Ubuntu).",
          ),
        );
      holder.once("error", (error) => failed(error.message));
      holder.once("close", () => failed(messages.join(" ")));
      void linesOf(holder.stderr, (line) => messages.push(line));
      void linesOf(holder.stdout, () => resolve());
    });
    return new SmallHome(holder, folder);
  }

  /** Path of a file in the tmpfs for this process. */
  path(...names: string[]): string {
    return join(`/proc/${this.holder.pid}/root`, this.folder, ...names);
  }

  /** Creates a program that runs another program in the namespace. */
  program(file: string, command: string): string {
    const enter = [
      "nsenter",
      "--target",
      String(this.holder.pid),
      ...(asRoot.length > 0 ? ["--user", "--preserve-credentials"] : []),
      "--mount",
    ];
    writeFileSync(file, `#!/bin/bash\nexec ${enter.join(" ")} '${command}' "$@"\n`);
    chmodSync(file, 0o755);
    return file;
  }

  /** Changes mount options, for example `size=300m`, `ro` or `rw`. */
  async remount(options: string): Promise<void> {
    await this.bash(`mount -o remount,${options} "$0"`);
  }

  /** Fills the tmpfs, then frees `left` bytes. */
  async fill(left = 0): Promise<void> {
    await this.bash(
      'cat /dev/zero >"$0/filler" 2>/dev/null; ' +
        `truncate --size=-${left} "$0/filler"; ` +
        (left === 0
          ? '! echo more 2>/dev/null >"$0/more" && rm "$0/more"'
          : 'echo more >"$0/more" && rm "$0/more"'),
    );
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.holder.once("close", resolve));
    this.holder.stdin?.end();
    await closed;
  }

  private async bash(script: string): Promise<void> {
    const enter = this.program(`${this.folder}.enter`, "/bin/bash");
    const result = await capture(enter, ["-c", script, this.folder]);
    if (result?.status !== 0) throw new Error(`${script}: ${result?.stderr ?? "nsenter was not found"}`);
  }
}

/** Options that make a user root in a user namespace. */
const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
