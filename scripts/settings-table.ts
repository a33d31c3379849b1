import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { withSettingsTable } from "../src/settings/documentation.ts";

const help = `usage: npm run settings-table

Writes the table in src/settings/README.md from the comments of the settings' interfaces.

Exit status: 0 if the table was written, 1 if a setting has no comment, 2 for an invalid command line.`;

await runCommand({
  name: "npm run settings-table",
  options: { help: { help: "show this help" } },
  help,
  run: async () => {
    const file = join(projectFolder, "src/settings/README.md");
    writeFileSync(file, withSettingsTable(readFileSync(file, "utf8")));
    return 0;
  },
});
