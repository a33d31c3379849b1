import { runCommand } from "../src/cli/command.ts";
import { checkProject } from "./checks/checkers.ts";

const help = `usage: npm run typecheck

Checks the types of TypeScript (tsc) and Python (mypy). Exit status: 0 if nothing was found, 1 if something was, 2 for
an invalid command line.`;

const options = { help: { help: "show this help" } };

await runCommand({
  name: "npm run typecheck",
  options,
  help,
  run: async () => Math.min((await checkProject("typecheck")).length, 1),
});
