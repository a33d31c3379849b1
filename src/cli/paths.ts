import { fileURLToPath } from "node:url";

/** The root folder of this project. */
export const projectFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Working files of the local Studio. Ignored by git, and safe to delete while nothing runs. */
export const workFolder = `${projectFolder}/.local-studio`;
