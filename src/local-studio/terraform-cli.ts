import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
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
export function terraformEnvironment(props: TerraformEnvironmentProps): NodeJS.ProcessEnv {
  const environment = props.environment ?? process.env;
  const common = {
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_CLI_CONFIG_FILE: undefined,
  };
  const own = environment.TF_CLI_CONFIG_FILE ?? join(environment.HOME ?? homedir(), ".terraformrc");
  if (existsSync(own)) return { ...common, TF_CLI_CONFIG_FILE: own };

  const mirror = (props.mirrorRoots ?? mirrorRoots(environment)).flatMap(providersBelow)[0];
  const file = join(props.runFolder, "terraform.rc");
  if (mirror === undefined) {
    const cache = join(workFolder, "terraform-providers");
    mkdirSync(cache, { recursive: true });
    writeFileSync(
      file,
      `plugin_cache_dir = ${JSON.stringify(cache)}\nplugin_cache_may_break_dependency_lock_file = true\n`,
    );
  } else {
    const only = JSON.stringify([mirror.provider]);
    writeFileSync(
      file,
      [
        "provider_installation {",
        `  filesystem_mirror {\n    path    = ${JSON.stringify(mirror.folder)}\n    include = ${only}\n  }`,
        `  direct {\n    exclude = ${only}\n  }`,
        "}\n",
      ].join("\n"),
    );
  }
  return { ...common, TF_CLI_CONFIG_FILE: file };
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

/** `<root>/<host>/hashicorp/aws/<version>/<os>_<arch>/terraform-provider-aws_v…`: Terraform's unpacked layout. */
function providersBelow(root: string): { folder: string; provider: string }[] {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;
  return foldersIn(root)
    .filter((host) => host.includes("."))
    .filter((host) =>
      foldersIn(join(root, host, "hashicorp/aws")).some(
        (version) =>
          compareVersions(version, providerRange.from) >= 0 &&
          compareVersions(version, providerRange.below) < 0 &&
          existsSync(join(root, host, "hashicorp/aws", version, platform)),
      ),
    )
    .map((host) => ({ folder: root, provider: `${host}/hashicorp/aws` }));
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

/** Terraform's own words when it cannot get a provider, and what to do about it. */
export function providerProblem(output: string, log?: string): Problem | undefined {
  if (
    !/Failed to (query available provider packages|install provider)|could not connect to .*registry|Invalid provider registry host/i.test(
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
