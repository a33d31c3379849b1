import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { allowsVersion, compareVersions } from "../settings/provider-version.ts";
import { terraformDefaults } from "../settings/terraform.ts";
import { workFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { capture } from "./processes.ts";

/** The S3 backend's `use_lockfile` requires this version. The stack's `versions.tf` requires the same. */
const oldest = "1.10.0";

/**
 * Waits while another run holds the lock of the state, instead of an error at once. As long as a first deployment takes.
 */
export const lockTimeout = "-lock-timeout=10m";

export interface TerraformBinary {
  readonly command: string;
  readonly version: string;
}

/** Finds Terraform or OpenTofu. `TERRAFORM_BINARY_NAME` selects one, as it does for cdktf. */
export async function findTerraform(environment: NodeJS.ProcessEnv = process.env): Promise<TerraformBinary> {
  const chosen = environment.TERRAFORM_BINARY_NAME;
  const rejected: string[] = [];
  for (const command of chosen ? [chosen] : ["terraform", "tofu"]) {
    const result = await capture(command, ["version", "-json"], {
      env: environment,
    });
    if (result === undefined) continue;
    const version = /"terraform_version":\s*"([^"]+)"/.exec(result.stdout)?.[1];
    if (version !== undefined && compareVersions(version, oldest) >= 0) return { command, version };
    rejected.push(`${command}: ${version === undefined ? result.stderr.trim() : `version ${version}`}`);
  }
  throw new Problem({
    message: `Terraform ${oldest} or later was not found${chosen ? ` as "${chosen}" (TERRAFORM_BINARY_NAME)` : ""}.${rejected.map((line) => `\n    ${line}`).join("")}`,
    remedy: `install Terraform (or OpenTofu) ${oldest} or later, so that \`${chosen ?? "terraform"}\` is on the PATH`,
  });
}

export interface TerraformEnvironmentProps {
  /** The command from `findTerraform`. */
  readonly command: string;
  readonly runFolder: string;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** The provider's version constraint. @default the default of `awsProviderVersion` */
  readonly providerVersion?: string | undefined;
  /** Folders that may hold a filesystem mirror. @default the conventional ones */
  readonly mirrorRoots?: readonly string[] | undefined;
}

/**
 * Environment variables with which Terraform finds the AWS provider.
 *
 * The user's own CLI configuration is used if there is one. Otherwise a filesystem mirror on this machine is used if it
 * has an allowed version of the provider, so that the provider registry is not needed. Otherwise Terraform downloads
 * the provider once, into a cache.
 */
export async function terraformEnvironment(props: TerraformEnvironmentProps): Promise<NodeJS.ProcessEnv> {
  const environment = props.environment ?? process.env;
  const common = {
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_CLI_CONFIG_FILE: undefined,
    // Terraform and its provider spend a quarter of their CPU time on garbage collection. This setting avoids most of
    // it and raises their memory from 350 MB to at most 600 MB (Go documentation, "A Guide to the Go Garbage
    // Collector").
    GOGC: environment.GOGC ?? "400",
  };
  const own = ownConfigurations(props.command, environment).find(existsSync);
  if (own !== undefined) return { ...common, TF_CLI_CONFIG_FILE: own };

  const constraint = props.providerVersion ?? terraformDefaults.awsProviderVersion;
  const found = (props.mirrorRoots ?? mirrorRoots(environment)).flatMap((root) =>
    providersBelow(root, constraint),
  );
  const file = join(props.runFolder, "terraform.rc");
  if (found.length === 0) {
    const cache = join(workFolder, "terraform-providers");
    mkdirSync(cache, { recursive: true });
    writeFileSync(
      file,
      `plugin_cache_dir = ${JSON.stringify(cache)}\nplugin_cache_may_break_dependency_lock_file = true\n`,
    );
  } else {
    const { folder, host } = await mirrorFor(found, props);
    const only = JSON.stringify([`${host}/hashicorp/aws`]);
    writeFileSync(
      file,
      [
        "provider_installation {",
        `  filesystem_mirror {\n    path    = ${JSON.stringify(folder)}\n    include = ${only}\n  }`,
        `  direct {\n    exclude = ${only}\n  }`,
        "}\n",
      ].join("\n"),
    );
  }
  return { ...common, TF_CLI_CONFIG_FILE: file };
}

/**
 * CLI configuration files in the program's order. OpenTofu also reads Terraform's (its documentation, "CLI
 * Configuration File").
 */
function ownConfigurations(command: string, environment: NodeJS.ProcessEnv): string[] {
  const { TF_CLI_CONFIG_FILE, XDG_CONFIG_HOME, HOME = homedir() } = environment;
  if (TF_CLI_CONFIG_FILE !== undefined) return [TF_CLI_CONFIG_FILE];
  const terraform = join(HOME, ".terraformrc");
  if (!/tofu/i.test(basename(command))) return [terraform];
  const xdg = XDG_CONFIG_HOME ? [join(XDG_CONFIG_HOME, "opentofu/tofurc")] : [];
  return [join(HOME, ".tofurc"), terraform, ...xdg];
}

/**
 * A mirror has one folder for each registry, and OpenTofu's default registry is not Terraform's. If the mirror has no
 * folder for the program's registry, the provider is linked into a mirror in the run folder.
 */
async function mirrorFor(
  found: readonly MirroredProvider[],
  props: TerraformEnvironmentProps,
): Promise<{ readonly folder: string; readonly host: string }> {
  const [first] = found as [MirroredProvider];
  const expected = (await registryOf(props)) ?? first.host;
  const mirrored = found.find(({ host }) => host === expected);
  if (mirrored !== undefined) return mirrored;
  const folder = join(props.runFolder, "provider-mirror");
  for (const version of first.versions) {
    const inMirror = (host: string) => join(host, "hashicorp/aws", version, platform);
    const link = join(folder, inMirror(expected));
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join(first.folder, inMirror(first.host)), link, "dir");
  }
  return { folder, host: expected };
}

/** The program's default registry, as printed by `terraform providers`, which needs no network. */
async function registryOf(props: TerraformEnvironmentProps): Promise<string | undefined> {
  const folder = mkdtempSync(join(props.runFolder, "registry-"));
  try {
    const terraform = { required_providers: { aws: { source: "hashicorp/aws" } } };
    writeFileSync(join(folder, "main.tf.json"), JSON.stringify({ terraform }));
    const env = { ...(props.environment ?? process.env), TF_CLI_CONFIG_FILE: undefined };
    const result = await capture(props.command, ["providers", "-no-color"], { cwd: folder, env });
    return /provider\[([^\]/]+)\/hashicorp\/aws\]/.exec(result?.stdout ?? "")?.[1];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Usual places of a filesystem mirror: these folders, their subfolders, and folders such as `terraform/plugins`. */
function mirrorRoots(environment: NodeJS.ProcessEnv): string[] {
  const home = join(environment.HOME ?? homedir(), ".terraform.d");
  return [home, "/usr/local/share", "/usr/share", "/opt"].flatMap((root) => [
    root,
    ...foldersIn(root).flatMap((name) => [
      join(root, name),
      ...(/terraform|tofu/i.test(name)
        ? foldersIn(join(root, name)).map((one) => join(root, name, one))
        : []),
    ]),
  ]);
}

interface MirroredProvider {
  /** The root of the mirror. */
  readonly folder: string;
  /** The registry that it mirrors. */
  readonly host: string;
  readonly versions: readonly string[];
}

const platform = `${process.platform === "win32" ? "windows" : process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;

/** Terraform's unpacked layout: `<root>/<host>/hashicorp/aws/<version>/<os>_<arch>/terraform-provider-aws_v…`. */
function providersBelow(root: string, constraint: string): MirroredProvider[] {
  return foldersIn(root)
    .filter((host) => host.includes("."))
    .map((host) => {
      const versions = foldersIn(join(root, host, "hashicorp/aws")).filter(
        (version) =>
          allowsVersion(constraint, version) &&
          existsSync(join(root, host, "hashicorp/aws", version, platform)),
      );
      return { folder: root, host, versions };
    })
    .filter(({ versions }) => versions.length > 0);
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return [];
  }
}

/** Messages of Terraform and OpenTofu for a provider that the lock file does not allow, with any line breaks. */
const lockRejection = new RegExp(
  [
    "the \\S+ package for .{1,200}? (?:doesn't|does not) match any of the checksums (?:previously )?recorded in the dependency lock file",
    "the previously-selected version \\S+ is no longer available",
    "locked provider \\S+ \\S+ does not match configured version constraint.{1,100}?(?=;)",
    "changes to the required provider dependencies were detected, but the lock file is read-only",
  ]
    .join("|")
    .replaceAll(" ", "[\\s│]+"),
  "is",
);

/** Recognizes messages of Terraform and OpenTofu about a missing provider, and adds a remedy. */
export function providerProblem(output: string, log?: string): Problem | undefined {
  const rejection = lockRejection.exec(output)?.[0];
  if (rejection !== undefined) {
    return new Problem({
      message: `Terraform rejected the AWS provider because of the lock file: ${rejection.replaceAll(/[\s│]+/g, " ")}.`,
      remedy:
        "if this provider is the right one, run `npm run provider-lock -- --environment NAME` and commit the file; if no " +
        "terraform.ENVIRONMENT.lock.hcl is committed, delete .terraform.lock.hcl in cdktf.out/stacks/ENVIRONMENT",
      log,
    });
  }
  if (
    !/Failed to (query available provider packages|resolve provider packages|install provider)|could not connect to .*registry|Invalid provider registry host/i.test(
      output,
    )
  ) {
    return undefined;
  }
  return new Problem({
    message:
      "Terraform could not get the AWS provider: the provider registry cannot be reached, and this machine has no filesystem mirror.",
    remedy:
      "run `terraform providers mirror FOLDER` in a stack's folder on a machine with access, copy FOLDER to this machine, and set it in a Terraform CLI configuration file (`provider_installation { filesystem_mirror { path = … } }`, TF_CLI_CONFIG_FILE)",
    log,
  });
}
