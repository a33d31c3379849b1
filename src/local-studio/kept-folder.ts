import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Problem } from "../cli/problem.ts";
import { ownerOf } from "../cli/run-folder.ts";

/** The folder from which `npm start -- --keep FOLDER` resumes. */
export interface KeptFolder {
  readonly path: string;
  /** Whether the folder contains an earlier rehearsal. */
  readonly continues: boolean;
  readonly statePath: string;
  /** Written by the local AWS (`snapshot.py`). */
  readonly awsFile: string;
  /** Folder of the home directories of the spaces. */
  readonly spaces: string;
  /** Releases the folder for the next rehearsal. */
  release(): void;
}

/** Remedy for a kept folder that cannot be used. */
export const keptRemedy = (folder: string): string =>
  `delete ${folder} to start over; the user files of each space are in its home folder below ${join(folder, "spaces")}`;

/**
 * Opens a folder for one rehearsal of an environment. The folder must be new or empty, or kept by an earlier rehearsal.
 *
 * @throws Problem when another rehearsal uses the folder, or when it has other content, belongs to another environment,
 * is damaged, or is writable for other users. Python unpickles a file in it.
 */
export function openKeptFolder(path: string, environmentName: string): KeptFolder {
  const refuse = (message: string, remedy = keptRemedy(path)) => new Problem({ message, remedy });
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw refuse(`--keep ${path} is not a folder.`, "choose a folder; it is created if it does not exist");
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { mode, uid } = statSync(path);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    const message = `--keep ${path} is writable for other users (mode ${(mode & 0o777).toString(8)}, owner ${uid}).`;
    throw refuse(message, "choose a folder that you own, or remove the permission with chmod go-w");
  }
  const kept: Omit<KeptFolder, "continues"> = {
    path,
    statePath: join(path, "terraform.tfstate"),
    awsFile: join(path, "aws.snapshot"),
    spaces: join(path, "spaces"),
    release: () => rmSync(join(path, "pid"), { force: true }),
  };
  const about = join(path, "rehearsal.json");
  const continues = existsSync(about);
  if (continues) {
    const of = environmentIn(about);
    if (of === undefined) throw refuse(`${about} is damaged.`);
    if (of !== environmentName) {
      throw refuse(
        `--keep ${path} belongs to the environment "${of}", not "${environmentName}".`,
        `add --environment ${of}, or choose another folder`,
      );
    }
    const owner = ownerOf(path);
    if (owner !== undefined) {
      throw refuse(
        `--keep ${path} is in use by a running rehearsal (process ${owner}).`,
        "end that rehearsal or choose another folder; " +
          `if process ${owner} is not a rehearsal, delete ${join(path, "pid")}`,
      );
    }
    if (!existsSync(kept.awsFile) && existsSync(kept.spaces) && readdirSync(kept.spaces).length > 0) {
      throw refuse(`${kept.awsFile} is missing, so the home folders in ${kept.spaces} have no spaces.`);
    }
  } else if (readdirSync(path).length > 0) {
    throw refuse(
      `--keep ${path} is not empty and was not kept by a rehearsal.`,
      "choose a new or empty folder, or the folder of an earlier --keep",
    );
  } else {
    writeFileSync(about, `${JSON.stringify({ environment: environmentName })}\n`);
  }
  chmodSync(path, 0o700);
  // If two rehearsals start at the same time, one of them fails here.
  rmSync(join(path, "pid"), { force: true });
  writeFileSync(join(path, "pid"), `${process.pid}\n`, { flag: "wx" });
  return { ...kept, continues };
}

function environmentIn(file: string): string | undefined {
  try {
    const { environment } = JSON.parse(readFileSync(file, "utf8")) as { readonly environment?: unknown };
    return typeof environment === "string" ? environment : undefined;
  } catch {
    return undefined;
  }
}
