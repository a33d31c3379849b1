import { cpSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyProject } from "../../scripts/lib/project-copy.ts";
import { projectFolder, workFolder } from "../../src/local-studio/paths.ts";
import { capture } from "../../src/local-studio/processes.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { resolveEnvironment } from "../../src/settings/resolve.ts";
import type { EnvironmentSettings } from "../../src/settings/types.ts";

/** A clone of the project of a person with these settings, who has the Python environments already. */
export class Clone {
  private readonly copy: ReturnType<typeof copyProject>;
  readonly folder: string;

  constructor(settings: EnvironmentSettings) {
    this.copy = copyProject(JSON.stringify([settings]));
    this.folder = this.copy.folder;
    cpSync(join(projectFolder, "scripts"), join(this.folder, "scripts"), { recursive: true });
    symlinkSync(workFolder, join(this.folder, ".local-studio"));
  }

  set settings(settings: EnvironmentSettings) {
    writeFileSync(
      join(this.folder, "src/environments.ts"),
      `export const environments = ${JSON.stringify([settings])};\n`,
    );
  }

  get locks() {
    return readdirSync(join(this.folder, "src/space/locks")).sort();
  }

  lockFile(settings: EnvironmentSettings): string {
    return lockFileOf(resolveEnvironment(settings), join(this.folder, "src/space/locks"));
  }

  async run(script: string, args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}) {
    const result = await capture(process.execPath, ["--import", "tsx", script, ...args], {
      cwd: this.folder,
      env: { ...process.env, ...environment },
      timeout: 300_000,
    });
    if (result === undefined) throw new Error("Node.js is not there.");
    return result;
  }

  remove = () => this.copy.remove();
}
