import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Problem } from "../cli/problem.ts";

const commands = [
  // Debian's package of this name: it draws no windows, which saves a third of Chromium's CPU time.
  "chromium-headless-shell",
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

/** The browser of the check: `CHROMIUM_PATH`, or Chromium, Chrome or Edge in a usual place. */
export function findChromium(
  environment: NodeJS.ProcessEnv = process.env,
  others: readonly string[] = applications,
): string {
  const chosen = environment.CHROMIUM_PATH;
  if (chosen !== undefined) {
    if (existsSync(chosen)) return chosen;
    throw new Problem({
      message: `CHROMIUM_PATH is "${chosen}", which does not exist.`,
      remedy: "set it to the path of the Chromium or Chrome executable, or unset it",
    });
  }
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = [...folders.flatMap((folder) => commands.map((name) => join(folder, name))), ...others].find(
    (file) => existsSync(file),
  );
  if (found !== undefined) return found;
  throw new Problem({
    message: `No Chromium, Chrome or Edge was found (searched the PATH for ${commands.join(", ")}).`,
    remedy: "install Chromium, or set CHROMIUM_PATH to the path of its executable",
  });
}

/** Disables background requests and, for root only, the sandbox: with it, Chromium does not start as root. */
export const chromiumArguments = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];
