import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { projectFolder, workFolder } from "./paths.ts";
import { Problem } from "./problem.ts";
import { capture } from "./processes.ts";
import { findPython, pythonEnvironment } from "./python-environment.ts";
import { compareVersions, findTerraform, type TerraformBinary } from "./terraform-cli.ts";
import { runTethered } from "./tethered.ts";

export type GoToolName = "tflint" | "tofu";

export interface GoToolOptions {
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** Where to look for Go and Python, and Go's settings. @default this process's */
  readonly environment?: NodeJS.ProcessEnv;
  /** Where the tools go. @default `.local-studio/go` */
  readonly folder?: string;
}

/** As OpenTofu's own release is linked (.goreleaser.yaml): without it the version ends in `-dev`. */
const linkerFlags = "-s -w -X github.com/opentofu/opentofu/version.dev=no";

/**
 * Builds, once, the tool of `src/local-studio/go-tools/<name>` and says where it is: these tools are in no package index
 * that npm or pip reads, and Go's checksums lock their sources as a lock file does.
 */
export async function goTool(name: GoToolName, options: GoToolOptions = {}): Promise<string> {
  const source = join(projectFolder, "src/local-studio/go-tools", name);
  const [module, sums] = ["go.mod", "go.sum"].map((file) => readFileSync(join(source, file), "utf8"));
  const key = createHash("sha256").update(`${module}${sums}${linkerFlags}`).digest("hex");
  const folder = join(options.folder ?? join(workFolder, "go"), `${name}-${key.slice(0, 12)}`);
  const tool = join(folder, name);
  if (existsSync(tool)) return tool;
  mkdirSync(folder, { recursive: true });
  // What is not finished is never found: it is moved to its place as a whole.
  const unfinished = mkdtempSync(join(folder, "build-"));
  try {
    const go = await findGo(/^go (\S+)$/m.exec(module ?? "")?.[1] ?? "", options);
    await build({ name, source, go, into: join(unfinished, name), options });
    renameSync(join(unfinished, name), tool);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return tool;
}

/** OpenTofu: that on the PATH where it is new enough, or else our own. */
export async function openTofu(options: GoToolOptions = {}): Promise<TerraformBinary> {
  const named = (command: string) =>
    findTerraform({ ...(options.environment ?? process.env), TERRAFORM_BINARY_NAME: command });
  return named("tofu").catch(async (error: unknown) => {
    if (error instanceof Problem) return named(await goTool("tofu", options));
    throw error;
  });
}

interface Go {
  readonly command: string;
  readonly version: string;
}

/** The Go on the PATH where it is new enough for the module, or else the one in a Python environment. */
async function findGo(oldest: string, options: GoToolOptions): Promise<Go> {
  const env = toolchain(options);
  const found = await versionOf("go", env);
  if (found !== undefined && compareVersions(found, oldest) >= 0) return { command: "go", version: found };
  const command = join((await pythonEnvironment("go-tools", options)).prefix, "bin/go");
  return { command, version: (await versionOf(command, env)) ?? "" };
}

async function versionOf(command: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const result = await capture(command, ["version"], { env });
  return /^go version go(\d[\d.]*)/.exec(result?.stdout ?? "")?.[1];
}

/** Go's own settings hold (GOPROXY, GOCACHE), but for those that would build something else, or with another Go. */
function toolchain({ environment = process.env }: GoToolOptions): NodeJS.ProcessEnv {
  return { ...environment, CGO_ENABLED: "0", GOTOOLCHAIN: "local", GOWORK: "off", GOFLAGS: undefined };
}

async function build(props: {
  readonly name: GoToolName;
  readonly source: string;
  readonly go: Go;
  readonly into: string;
  readonly options: GoToolOptions;
}): Promise<void> {
  const { name, source, go, into, options } = props;
  const environment = toolchain(options);
  options.onProgress?.(`Building ${name} with Go ${go.version}: minutes, the first time`);
  let packages = 0;
  const flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-v", "-ldflags", linkerFlags];
  const { status, output } = await runTethered({
    python: (await findPython(environment)).command,
    command: [go.command, "build", "-C", source, ...flags, "-o", into, "tool"],
    environment,
    log: `${into}.log`,
    // `-v` has a line for each package when its turn comes; the others tell of downloads.
    onLine: (line) => {
      if (!line.startsWith("go: ") && ++packages % 100 === 0)
        options.onProgress?.(`Compiling ${name}: ${packages} packages so far`);
    },
    signal: options.signal,
  });
  if (status === 0) return;
  const tail = output.split("\n").slice(-10);
  throw new Problem({
    message: `Building ${name} with Go ${go.version} failed with status ${status}:\n${tail.map((line) => `    ${line}`).join("\n")}`,
    remedy:
      "see Go's message above; it downloads sources through its module proxy: with one of your own, set GOPROXY, then try again",
  });
}
