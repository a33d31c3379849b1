import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { pricesTexts, sagemakerPrices } from "./refresh/prices.ts";
import { refreshedFiles, sagemakerModel } from "./refresh/sagemaker-lists.ts";

const options = {
  prices: { help: "also write the prices of jobs and spaces from AWS's price list (pricing:GetProducts)" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run refresh [-- --prices]

Writes SageMaker's instance types and regions to src/settings/reference/sagemaker-lists.ts and to
src/space/payload/python/sagemaker_marimo/jobs/instances.json, from the botocore version that
src/local-studio/aws/requirements.lock pins. For a newer botocore, set its version in the requirements.in of
src/local-studio/aws and __tests__/support/iam, and in each of these folders run
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --upgrade-package boto3 -o requirements.lock requirements.in
Then run this command, and review the result with git diff.

${optionsHelp(options)}

Exit status: 0 if the files are up to date, 1 if the model or the price list could not be read, 2 for an invalid
command line.`;

async function main(values: Values): Promise<number> {
  const model = await sagemakerModel();
  for (const [path, text] of refreshedFiles(model)) write(path, text, `botocore ${model.botocore}`);
  if (values.prices === true) {
    const list = await sagemakerPrices();
    for (const [path, text] of pricesTexts(list)) write(path, text, `price list of ${list.date}`);
  }
  return 0;
}

function write(path: string, text: string, source: string): void {
  const unchanged = existsSync(path) && readFileSync(path, "utf8") === text;
  if (!unchanged) writeFileSync(path, text);
  console.log(`${relative(projectFolder, path)}: ${unchanged ? "up to date" : "rewritten"} (${source})`);
}

await runCommand({ name: "npm run refresh", options, help, run: main });
