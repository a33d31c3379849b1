import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Problem } from "./problem.ts";

const commands = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "microsoft-edge",
  "microsoft-edge-stable",
];
const applications = ["Google Chrome", "Chromium", "Microsoft Edge"].map(
  (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
);

/** The browser that the check drives: `CHROMIUM_PATH`, or Chromium, Chrome or Edge where they are usually found. */
export function findChromium(
  environment: NodeJS.ProcessEnv = process.env,
  others: readonly string[] = applications,
): string {
  const chosen = environment.CHROMIUM_PATH;
  if (chosen !== undefined) {
    if (existsSync(chosen)) return chosen;
    throw new Problem({
      message: `CHROMIUM_PATH names "${chosen}", which is not there.`,
      remedy: "set it to Chromium's or Chrome's program file, or unset it",
    });
  }
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = [...folders.flatMap((folder) => commands.map((name) => join(folder, name))), ...others].find(
    (file) => existsSync(file),
  );
  if (found !== undefined) return found;
  throw new Problem({
    message: `No Chromium, Chrome or Edge was found (looked on the PATH for ${commands.join(", ")}).`,
    remedy: "install Chromium, or set CHROMIUM_PATH to the program file of one",
  });
}

/** Headless; no sandbox where root runs it (Chromium refuses otherwise); nothing that calls home. */
export const chromiumArguments = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];
