import { runCommand } from "../src/cli/command.ts";
import { checkProject } from "./checks/checkers.ts";

const help = `usage: npm run lint

Checks all files in git for style and common errors with biome, shellcheck, shfmt, hadolint, ruff and actionlint.
\`npm run format\` fixes what biome can fix. Exit status: 0 if nothing was found, 1 if something was, 2 for
an invalid command line.`;

const options = { help: { help: "show this help" } };

await runCommand({
  name: "npm run lint",
  options,
  help,
  run: async () => Math.min((await checkProject("lint")).length, 1),
});
