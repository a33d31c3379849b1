import { cpSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyProject } from "../../scripts/bench/project-copy.ts";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";
import { type EnvironmentSettings, resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";

/** A clone of the project with these settings and with the existing virtual environments. */
export class Clone {
  private readonly copy: ReturnType<typeof copyProject>;
  readonly folder: string;

  constructor(...settings: readonly EnvironmentSettings[]) {
    this.copy = copyProject(JSON.stringify(settings));
    this.folder = this.copy.folder;
    cpSync(join(projectFolder, "scripts"), join(this.folder, "scripts"), { recursive: true });
    symlinkSync(workFolder, join(this.folder, ".local-studio"));
  }

  set settings(settings: EnvironmentSettings) {
    this.setEnvironments(settings);
  }

  setEnvironments(...settings: readonly EnvironmentSettings[]): void {
    const source = `export const environments = ${JSON.stringify(settings)};\n`;
    writeFileSync(join(this.folder, "src/environments.ts"), source);
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
    if (result === undefined) throw new Error("Node.js could not be started.");
    return result;
  }

  /** Folder of the synthesized stack of `dev`. */
  get stack() {
    return this.stackOf("dev");
  }

  stackOf = (environment: string) => join(this.folder, "cdktf.out/stacks", environment);

  /** Runs Terraform in that stack. */
  async terraform(
    command: string,
    [subcommand, ...args]: readonly [string, ...string[]],
    environment: NodeJS.ProcessEnv,
  ) {
    const result = await capture(command, [subcommand, "-no-color", ...args], {
      cwd: this.stack,
      env: { ...process.env, ...environment },
      timeout: 500_000,
    });
    if (result === undefined) throw new Error(`${command} could not be started.`);
    return { status: result.status, output: `${result.stdout}${result.stderr}` };
  }

  remove = () => this.copy.remove();
}
