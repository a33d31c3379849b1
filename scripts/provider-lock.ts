import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { onInterrupt } from "../src/cli/interrupt.ts";
import { projectFolder } from "../src/cli/paths.ts";
import { Problem } from "../src/cli/problem.ts";
import { runProgram } from "../src/cli/program.ts";
import { createRunFolder } from "../src/cli/run-folder.ts";
import { findTerraform } from "../src/cli/terraform-cli.ts";
import { environments } from "../src/environments.ts";
import { text } from "../src/plan-review/plan.ts";
import { resolveEnvironment } from "../src/settings/environment.ts";
import { committedProviderLock, lockedProvider, providerLockOf } from "../src/settings/provider-lock.ts";
import { allowsVersion } from "../src/settings/provider-version.ts";
import { validateEnvironments } from "../src/settings/validate.ts";

const options = {
  ...environmentOption,
  upgrade: { help: "upgrade a locked provider to the newest version that awsProviderVersion allows" },
  "fs-mirror": {
    value: "FOLDER",
    help: "use a filesystem mirror instead of the registry",
  },
  "net-mirror": { value: "URL", help: "use a network mirror instead of the registry" },
  help: { help: "show this help" },
} as const satisfies Options;

/** Platforms of users and GitHub's runners. On Windows, WSL counts as Linux. */
const platforms = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];

const help = `usage: npm run provider-lock -- [options]

Locks the AWS provider of an environment of src/environments.ts: its exact version, and the checksums of its packages for
${platforms.join(", ")}.
Writes terraform.ENVIRONMENT.lock.hcl next to cdktf.json. Commit this file: plan, deploy and the workflows then accept only
this provider. A locked version is kept.

${optionsHelp(options)}

Exit status: 0 if the lock file is up to date, 1 if it could not be written, 2 for an invalid command line, 130 if
interrupted.
Requires Terraform and access to the provider registry or to a mirror with the packages of all four platforms.`;

async function main(values: Values): Promise<number> {
  const wrong = validateEnvironments(environments);
  if (wrong.length > 0) {
    throw new Problem({
      message: `src/environments.ts:\n${wrong.map((problem) => `- ${problem}`).join("\n")}`,
      remedy: "correct the settings, then run this command again",
    });
  }
  const { name, awsProviderVersion } = resolveEnvironment(chosenEnvironment(values));
  const signal = onInterrupt({ message: "Stopping.", cleanUp: () => {} });
  const run = createRunFolder();
  try {
    const lock = join(run.path, ".terraform.lock.hcl");
    const committed = committedProviderLock(name);
    const locked = committed && lockedProvider(readFileSync(committed, "utf8"));
    // Terraform keeps a locked version, and fails if the constraint does not allow it.
    if (committed && locked && !values.upgrade && allowsVersion(awsProviderVersion, locked.version)) {
      copyFileSync(committed, lock);
    }
    const aws = { source: "hashicorp/aws", version: awsProviderVersion };
    writeFileSync(
      join(run.path, "main.tf.json"),
      JSON.stringify({ terraform: { required_providers: { aws } } }),
    );
    const folder = text(values["fs-mirror"]);
    const url = text(values["net-mirror"]);
    const mirrors = [
      ...(folder === undefined ? [] : [`-fs-mirror=${resolve(folder)}`]),
      ...(url === undefined ? [] : [`-net-mirror=${url}`]),
    ];
    const { command } = await findTerraform();
    const { status, stderr } = await runProgram({
      command: [
        ...[command, "providers", "lock", "-no-color"],
        ...platforms.map((platform) => `-platform=${platform}`),
        ...mirrors,
      ],
      cwd: run.path,
      environment: { ...process.env, CHECKPOINT_DISABLE: "1" },
      signal,
    });
    if (signal.aborted) return 130;
    if (status !== 0) {
      throw new Problem({
        message: `\`terraform providers lock\` failed with status ${status}:\n${stderr.trim()}`,
        remedy:
          "give this machine access to the provider registry, or set a mirror with --fs-mirror or --net-mirror. To create one, " +
          `run \`terraform providers mirror ${platforms.map((platform) => `-platform=${platform}`).join(" ")} FOLDER\``,
      });
    }
    const made = readFileSync(lock, "utf8");
    writeFileSync(join(projectFolder, providerLockOf(name)), made);
    console.log(
      `${providerLockOf(name)}  hashicorp/aws ${lockedProvider(made)?.version} for ${platforms.join(", ")}`,
    );
    return 0;
  } finally {
    run.remove();
  }
}

function problems(values: Values): readonly string[] {
  const both = values["fs-mirror"] !== undefined && values["net-mirror"] !== undefined;
  return both ? ["--fs-mirror and --net-mirror cannot be combined"] : [];
}

await runCommand({ name: "npm run provider-lock", options, help, problems, run: main });
