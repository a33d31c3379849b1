import { createHash } from "node:crypto";

/** The list of a folder's files with their SHA-256. What has the list's own SHA-256 can verify the folder. */
export interface Checksums {
  /** In the format of `sha256sum`. */
  readonly text: string;
  readonly sha256: string;
  /** Names this version of the folder: the first 16 digits of `sha256`. */
  readonly hash: string;
}

/** A folder of the bucket that is verified before it is used, by the SHA-256 of its list of files. */
export interface VerifiedFolder {
  readonly prefix: string;
  readonly sha256: string;
}

export function checksumsOf(files: readonly { readonly path: string; readonly sha256: string }[]): Checksums {
  const text = files.map((file) => `${file.sha256}  ${file.path}\n`).join("");
  const digest = sha256(text);
  return { text, sha256: digest, hash: digest.slice(0, 16) };
}

export const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
