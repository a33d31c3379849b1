import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { capture } from "../../src/cli/processes.ts";

/** The versions of Node.js that the suite `compat` tests, with the major versions of their npm. */
export const nodeVersions = { "22": "10", "24": "11" } as const;
export type NodeVersion = keyof typeof nodeVersions;

export interface NodeInstallation {
  /** Paths of the executables. */
  readonly node: string;
  readonly npm: string;
  readonly npx: string;
  /** The environment of this process, with this Node.js first on the PATH and without the variables of npm. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Installs the packages of `__tests__/compat/node-versions` if they are missing: the npm registry has the Linux
 * binaries of Node.js as packages. The lock file does not contain the dependencies that npm bundles in its own tarball.
 */
export async function nodeInstallation(version: NodeVersion): Promise<NodeInstallation> {
  const source = join(projectFolder, "__tests__/compat/node-versions");
  const key = createHash("sha256")
    .update(readFileSync(join(source, "package-lock.json")))
    .digest("hex");
  const folder = join(workFolder, `node-versions-${key.slice(0, 12)}`);
  if (!existsSync(folder)) await install(source, folder);

  const packages = join(folder, "node_modules");
  const node = join(packages, `node-${version}-${process.platform}-${process.arch}/bin/node`);
  if (!existsSync(node)) {
    throw new Error(
      `${source}/package.json has Node.js ${version} only for Linux on x64 and arm64, ` +
        `not for ${process.platform}-${process.arch}.`,
    );
  }
  const npm = join(packages, `npm-${nodeVersions[version]}/bin`);
  const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  return {
    node,
    npm: join(npm, "npm-cli.js"),
    npx: join(npm, "npx-cli.js"),
    environment: {
      ...Object.fromEntries(own),
      PATH: [dirname(node), process.env.PATH].join(delimiter),
    },
  };
}

/** Renames the folder when it is complete, so that an incomplete installation is never used. */
async function install(source: string, folder: string): Promise<void> {
  mkdirSync(workFolder, { recursive: true });
  const unfinished = mkdtempSync(join(workFolder, "node-versions-"));
  try {
    cpSync(source, unfinished, { recursive: true });
    const result = await capture("npm", ["ci", "--no-bin-links", "--prefer-offline"], {
      cwd: unfinished,
      timeout: 600_000,
    });
    if (result?.status !== 0) throw new Error(`npm ci in ${source} failed:\n${result?.stderr}`);
    // Another test file may have installed it in the meantime.
    if (!existsSync(folder)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
