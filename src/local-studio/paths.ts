import { fileURLToPath } from "node:url";

/** The project's folder, wherever it was cloned and from wherever a command is run. */
export const projectFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What the local Studio prepares and runs; ignored by git, safe to delete while nothing runs. */
export const workFolder = `${projectFolder}/.local-studio`;
