import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { workFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { capture } from "./processes.ts";

/** `use_lockfile` of the S3 backend asks for it, and the synthesized `required_version` says it. */
const oldest = "1.10.0";
/** The range that the synthesized JSON asks for. */
const providerRange = { from: "5.100.0", below: "7.0.0" };

export interface TerraformBinary {
  readonly command: string;
  readonly version: string;
}

/** Terraform or OpenTofu; `TERRAFORM_BINARY_NAME` chooses, as it does for cdktf. */
export async function findTerraform(environment: NodeJS.ProcessEnv = process.env): Promise<TerraformBinary> {
  const chosen = environment.TERRAFORM_BINARY_NAME;
  const refused: string[] = [];
  for (const command of chosen ? [chosen] : ["terraform", "tofu"]) {
    const result = await capture(command, ["version", "-json"], {
      env: environment,
    });
    if (result === undefined) continue;
    const version = /"terraform_version":\s*"([^"]+)"/.exec(result.stdout)?.[1];
    if (version !== undefined && compareVersions(version, oldest) >= 0) return { command, version };
    refused.push(`${command}: ${version === undefined ? result.stderr.trim() : `version ${version}`}`);
  }
  throw new Problem({
    message: `Terraform ${oldest} or later was not found${chosen ? ` as "${chosen}" (TERRAFORM_BINARY_NAME)` : ""}.${refused.map((line) => `\n    ${line}`).join("")}`,
    remedy: `install Terraform (or OpenTofu) ${oldest} or later, so that \`${chosen ?? "terraform"}\` is on the PATH`,
  });
}

export interface TerraformEnvironmentProps {
  /** Terraform or OpenTofu, as `findTerraform` names it. */
  readonly command: string;
  readonly runFolder: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Folders that may hold a filesystem mirror. @default the conventional ones */
  readonly mirrorRoots?: readonly string[];
}

/**
 * What to add to Terraform's environment so that it finds the AWS provider.
 *
 * A person's own CLI configuration is left alone. Without one, a filesystem mirror on this machine is used when it has
 * the provider in the right range (so that a machine without the provider registry works, and a quick start needs no
 * download); otherwise Terraform downloads the provider, once, into a cache.
 */
export async function terraformEnvironment(props: TerraformEnvironmentProps): Promise<NodeJS.ProcessEnv> {
  const environment = props.environment ?? process.env;
  const common = {
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_CLI_CONFIG_FILE: undefined,
  };
  const own = ownConfigurations(props.command, environment).find(existsSync);
  if (own !== undefined) return { ...common, TF_CLI_CONFIG_FILE: own };

  const found = (props.mirrorRoots ?? mirrorRoots(environment)).flatMap(providersBelow);
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

/** The files that the program itself would read (OpenTofu documentation, "CLI Configuration File": Terraform's, after its own). */
function ownConfigurations(command: string, environment: NodeJS.ProcessEnv): string[] {
  const { TF_CLI_CONFIG_FILE, XDG_CONFIG_HOME, HOME = homedir() } = environment;
  if (TF_CLI_CONFIG_FILE !== undefined) return [TF_CLI_CONFIG_FILE];
  const terraform = join(HOME, ".terraformrc");
  if (!/tofu/i.test(basename(command))) return [terraform];
  const xdg = XDG_CONFIG_HOME ? [join(XDG_CONFIG_HOME, "opentofu/tofurc")] : [];
  return [join(HOME, ".tofurc"), terraform, ...xdg];
}

/**
 * A mirror has a folder for each registry, and OpenTofu asks another one than Terraform for the same provider. Where there
 * is none for the one that is asked, the provider is linked into a mirror of the run's own, under that name.
 */
async function mirrorFor(
  found: readonly MirroredProvider[],
  props: TerraformEnvironmentProps,
): Promise<{ readonly folder: string; readonly host: string }> {
  const [first] = found as [MirroredProvider];
  const asked = (await registryOf(props)) ?? first.host;
  const mirrored = found.find(({ host }) => host === asked);
  if (mirrored !== undefined) return mirrored;
  const folder = join(props.runFolder, "provider-mirror");
  for (const version of first.versions) {
    const inMirror = (host: string) => join(host, "hashicorp/aws", version, platform);
    const link = join(folder, inMirror(asked));
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join(first.folder, inMirror(first.host)), link, "dir");
  }
  return { folder, host: asked };
}

/** The registry that this program asks where a configuration names none, in its own words, which need no network. */
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

/** Where installers and container images put a filesystem mirror: these folders, those in them, and `terraform/plugins`. */
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
  /** Of the whole mirror. */
  readonly folder: string;
  /** The registry that it mirrors. */
  readonly host: string;
  readonly versions: readonly string[];
}

const platform = `${process.platform === "win32" ? "windows" : process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;

/** `<root>/<host>/hashicorp/aws/<version>/<os>_<arch>/terraform-provider-aws_v…`: Terraform's unpacked layout. */
function providersBelow(root: string): MirroredProvider[] {
  return foldersIn(root)
    .filter((host) => host.includes("."))
    .map((host) => {
      const versions = foldersIn(join(root, host, "hashicorp/aws")).filter(
        (version) =>
          compareVersions(version, providerRange.from) >= 0 &&
          compareVersions(version, providerRange.below) < 0 &&
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

export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split("-")[0]?.split(".").map(Number) ?? []);
  for (let index = 0; index < 3; index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Terraform's own words when it cannot get a provider, or OpenTofu's, and what to do about it. */
export function providerProblem(output: string, log?: string): Problem | undefined {
  if (
    !/Failed to (query available provider packages|resolve provider packages|install provider)|could not connect to .*registry|Invalid provider registry host/i.test(
      output,
    )
  ) {
    return undefined;
  }
  return new Problem({
    message:
      "Terraform could not get the AWS provider: its registry is out of reach, and no filesystem mirror was found on this machine.",
    remedy:
      "on a machine with access run `terraform providers mirror FOLDER` in a stack's folder, copy FOLDER here, and name it in a Terraform CLI configuration (`provider_installation { filesystem_mirror { path = … } }`, TF_CLI_CONFIG_FILE)",
    log,
  });
}
