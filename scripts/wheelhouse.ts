import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callerAccount } from "../src/cli/caller-account.ts";
import { runCommand } from "../src/cli/command.ts";
import { type Options, optionsHelp, type Values } from "../src/cli/command-line.ts";
import { chosenEnvironment, environmentOption } from "../src/cli/environment-option.ts";
import { Problem } from "../src/cli/problem.ts";
import { capture } from "../src/cli/processes.ts";
import { pythonEnvironment } from "../src/cli/python/python-environment.ts";
import { environments } from "../src/environments.ts";
import { artifactBucketName, prefixOf } from "../src/settings/basics.ts";
import { type ResolvedEnvironment, resolveEnvironment } from "../src/settings/environment.ts";
import { checkLocks, lockFileOf, requirementsOf } from "../src/settings/locks.ts";
import { bucketPrefixes } from "../src/settings/names.ts";
import { validateEnvironments } from "../src/settings/validate.ts";

const options = {
  ...environmentOption,
  python: {
    value: "VERSION",
    help: "Python version of the spaces' image (default: 3.12, as in SageMaker Distribution 4.x)",
  },
  to: { value: "FOLDER", help: "write the packages to FOLDER and upload nothing" },
  help: { help: "show this help" },
} as const satisfies Options;

const help = `usage: npm run wheelhouse -- [options]

Downloads the packages of an environment's lock file for the spaces' image (Linux, x86-64), and uploads them to the
environment's bucket with your AWS credentials. Spaces then install marimo without access to a package index.
Run it after the first deployment, and after each change of the lock file.

${optionsHelp(options)}

Exit status: 0 if all packages were uploaded or written, 1 if a step failed, 2 for an invalid command line.
Requires access to the package index that uv and pip are configured for (UV_DEFAULT_INDEX, PIP_INDEX_URL), and permission
for s3:ListBucket, s3:PutObject and, on the key, kms:GenerateDataKey.`;

const pythonOf = ({ python }: Values) => String(python ?? "3.12");

function problems(values: Values): readonly string[] {
  const python = pythonOf(values);
  const known = /^3\.1[1-9]$/.test(python);
  return known ? [] : [`--python must be 3.11 or later, such as 3.12, got "${python}"`];
}

async function main(values: Values): Promise<number> {
  const python = pythonOf(values);
  const settings = chosenEnvironment(values);
  const invalid = validateEnvironments(environments);
  const unlocked = invalid.length > 0 ? invalid : checkLocks([resolveEnvironment(settings)]);
  if (unlocked.length > 0) {
    throw new Problem({
      message: `src/environments.ts:\n${unlocked.map((problem) => `- ${problem}`).join("\n")}`,
      remedy: "correct the settings, run npm run lock, then run this command again",
    });
  }
  const environment = resolveEnvironment(settings);
  const lockFile = lockFileOf(environment);
  const bucket = values.to === undefined ? await bucketOf(environment) : undefined;
  const { prefix } = await pythonEnvironment("image", { onProgress: console.error });

  const temporary = mkdtempSync(join(tmpdir(), "sagemaker-marimo-wheels-"));
  try {
    const folder = typeof values.to === "string" ? values.to : join(temporary, "wheels");
    mkdirSync(folder, { recursive: true });
    await download({ prefix, lockFile, python, folder, temporary });
    const count = readdirSync(folder).filter((name) => name.endsWith(".whl")).length;
    console.log(
      `${count} packages for Python ${python}: ${requirementsOf(environment).join(" ")} and dependencies`,
    );
    if (bucket !== undefined) {
      const target = `s3://${bucket}/${bucketPrefixes.wheels}/${wheelsKey(lockFile)}/`;
      await run("upload the packages", join(prefix, "bin/aws"), [
        ...["s3", "sync", "--only-show-errors", "--region", environment.region, folder, target],
      ]);
      console.log(`uploaded to ${target}`);
    } else
      console.log(`in ${folder}; prefix in the bucket: ${bucketPrefixes.wheels}/${wheelsKey(lockFile)}/`);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return 0;
}

/** The first 16 digits of the lock file's SHA-256, as in install.sh. */
function wheelsKey(lockFile: string): string {
  return createHash("sha256").update(readFileSync(lockFile)).digest("hex").slice(0, 16);
}

async function bucketOf(environment: ResolvedEnvironment): Promise<string> {
  const { existing, name, region } = environment;
  const account = await callerAccount(environment);
  return existing.bucket ?? artifactBucketName({ prefix: prefixOf(name), account, region });
}

async function download(props: {
  readonly prefix: string;
  readonly lockFile: string;
  readonly python: string;
  readonly folder: string;
  readonly temporary: string;
}): Promise<void> {
  const { prefix, lockFile, python, folder, temporary } = props;
  // pip evaluates markers for this machine, not for the image, so uv selects the image's packages first.
  const chosen = join(temporary, "chosen.txt");
  await run("choose the image's packages", join(prefix, "bin/uv"), [
    ...["pip", "compile", lockFile, "--output-file", chosen, "--quiet", "--no-deps"],
    ...["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"],
    ...["--no-header", "--no-annotate"],
  ]);
  const forImage = join(temporary, "requirements.txt");
  writeFileSync(forImage, onlyPins(readFileSync(lockFile, "utf8"), readFileSync(chosen, "utf8")));
  const abi = `cp${python.replace(".", "")}`;
  // A wheel's platform tag names its minimum glibc version. The image's glibc is newer than all of these.
  const platforms = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];
  await run("download the packages", join(prefix, "bin/python"), [
    ...["-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--quiet"],
    ...["--disable-pip-version-check", "--requirement", forImage, "--dest", folder],
    ...["--implementation", "cp", "--python-version", python, "--abi", abi, "--abi", "abi3", "--abi", "none"],
    ...platforms.flatMap((platform) => ["--platform", platform]),
  ]);
}

/** The lock file's pins and hashes of the selected packages, without markers. */
function onlyPins(lock: string, chosen: string): string {
  const pin = /^\S+==[^\s;]+/;
  const wanted = new Set(chosen.split("\n").flatMap((line) => pin.exec(line)?.[0] ?? []));
  return lock
    .split(/^(?=\S+==)/m)
    .filter((entry) => wanted.has(pin.exec(entry)?.[0] ?? ""))
    .map((entry) => entry.replace(/ ;.*? \\$/m, " \\"))
    .join("");
}

async function run(what: string, command: string, args: readonly string[]): Promise<void> {
  const result = await capture(command, args, { env: process.env, timeout: 900_000 });
  if (result?.status === 0) return;
  const output = `${result?.stdout ?? ""}${result?.stderr ?? "it did not start"}`
    .trim()
    .split("\n")
    .slice(-15);
  throw new Problem({
    message: `Could not ${what}:\n${output.map((line) => `    ${line}`).join("\n")}`,
    remedy:
      "see the output above. A package without a wheel for Linux cannot be installed offline. npx cdktf deploy creates " +
      "the bucket",
  });
}

await runCommand({ name: "npm run wheelhouse", options, help, problems, run: main });
