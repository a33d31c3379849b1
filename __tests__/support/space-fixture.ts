import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { projectFolder, workFolder } from "../../src/cli/paths.ts";
import { type Captured, capture, linesOf } from "../../src/cli/processes.ts";
import { resolveEnvironment } from "../../src/settings/environment.ts";
import { lockFileOf } from "../../src/settings/locks.ts";
import { listSamples, packed } from "../../src/stack/storage/payload-content.ts";
import { spaceFiles } from "../../src/stack/studio/space-files.ts";
import { patience } from "./patience.ts";

export const payloadFolder = join(projectFolder, "src/space/payload");
/** The lifecycle configuration without its header. */
export const startScript = spaceFiles.startScript.map((file) => readFileSync(file, "utf8")).join("\n");
export const bucket = "marimo-dev-test";

/** Replaces the AWS CLI: the bucket is a folder, and each call is logged as a line. */
const fakeAws = `#!/bin/bash
echo "$*" >>"$FAKE_AWS/calls"
if [[ -f "$FAKE_AWS/refuses" ]]; then cat "$FAKE_AWS/refuses" >&2; exit 255; fi
if [[ "$1 $2" == "sagemaker describe-space" ]]; then cat "$FAKE_AWS/space-url"; exit; fi
for argument in "$@"; do
  if [[ "$argument" == s3://* ]]; then source="$FAKE_AWS/\${argument#s3://}"; fi
done
target="\${*: -1}"
if [[ "$*" == *--recursive* ]]; then cp -R "$source." "$target"; elif [[ "$target" == - ]]; then cat "$source"; fi
`;

export type Payload = Readonly<Record<string, string | Buffer>>;

/** A payload whose start.sh only records its call and its variables. */
export const smallPayload = (text = "started"): Payload => ({
  "start.sh": `#!/bin/bash\necho "${text} $MARIMO_BUCKET $MARIMO_ENVIRONMENT $MARIMO_REGION" >>"$HOME/started"\n`,
  "python/package/module.py": "value = 1\n",
});

/** The default lock file of spaces. */
export const lockFile = lockFileOf(resolveEnvironment({ name: "dev" }));

/** Runs `npm run wheelhouse` for the Python of an image, and returns its output. */
export async function makeWheelhouse(folder: string, python: string): Promise<string> {
  const version = await capture(python, ["-c", "import sys; print('3.%d' % sys.version_info[1])"]);
  const result = await capture(
    process.execPath,
    [
      ...["--import", "tsx", "scripts/wheelhouse.ts"],
      ...["--to", folder, "--python", version?.stdout.trim() ?? ""],
    ],
    { cwd: projectFolder, timeout: 300_000 },
  );
  if (result?.status !== 0 || result.stderr !== "") throw new Error(result?.stderr);
  return result.stdout;
}

/** Settings of spaces for most tests: notebooks run when they are opened. */
export const runOnOpen = "MARIMO_RUN_ON_OPEN=true\n";

/** Returns the payload that Terraform uploads, including the sample notebooks, with the settings `runOnOpen`. */
export function realPayload(
  requirements: string | Buffer = readFileSync(lockFile),
): Record<string, string | Buffer> {
  const payload: Record<string, string | Buffer> = {
    "requirements.txt": requirements,
    "settings.env": runOnOpen,
  };
  const samples = join(projectFolder, "sample-notebooks");
  for (const name of filesIn(payloadFolder)) payload[name] = readFileSync(join(payloadFolder, name));
  for (const name of listSamples(samples))
    payload[`sample-notebooks/${name}`] = readFileSync(join(samples, name));
  return payload;
}

/** The objects that Terraform makes of the files of a payload. A small payload of a test has no archive. */
export function objectsOf(files: Payload): Payload {
  if (!("unpack.py" in files)) return files;
  const { "settings.env": settings = "", ...rest } = files;
  const all = Object.entries(rest).map(([path, content]) => ({ path, content: Buffer.from(content) }));
  const objects = packed(all).map(({ path, content }) => [path, Buffer.from(content)] as const);
  return { ...Object.fromEntries(objects), "settings.env": settings };
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !/(^|\/)(__|\.)/.test(name) || name.endsWith("__init__.py"))
    .sort();
}

/** The home folder, the prefix and the bucket of one space, in a temporary folder. */
export class Space {
  readonly folder = mkdtempSync(join(tmpdir(), "sagemaker-marimo-space-"));
  readonly home = join(this.folder, "home");
  readonly prefix = join(this.folder, "prefix");
  readonly aws = join(this.folder, "aws");
  readonly bin = join(this.folder, "bin");
  readonly log = join(this.folder, "app_container.log");
  readonly state = join(this.home, ".local/share/sagemaker-marimo");
  private readonly containers: ChildProcess[] = [];

  constructor() {
    for (const folder of [this.home, this.prefix, this.aws, this.bin]) mkdirSync(folder);
    // Without this jupyter-lab, the payload would find this machine's. install.sh compiles bytecode by `nice`: that makes
    // the next start faster, and takes more CPU time than all else of an installation.
    for (const [name, text] of [
      ["aws", fakeAws],
      ["nice", "#!/bin/bash\n"],
      ["jupyter-lab", `#!${this.prefix}/bin/python\n`],
    ] as const) {
      this.write(join(this.bin, name), text);
      chmodSync(join(this.bin, name), 0o755);
    }
  }

  get environment(): Record<string, string> {
    // Variables of this machine that configure package indexes and caches.
    const machine = Object.entries(process.env).filter(([name]) =>
      /^(SSL_CERT_(FILE|DIR)|(https?|no)_proxy|UV_.*|PIP_.*)$/i.test(name),
    );
    return {
      ...(Object.fromEntries(machine) as Record<string, string>),
      UV_CACHE_DIR: join(workFolder, "cache/uv"),
      PATH: `${this.bin}:/usr/local/bin:/usr/bin:/bin`,
      HOME: this.home,
      CONDA_PREFIX: this.prefix,
      SAGEMAKER_APP_LOG: this.log,
      SAGEMAKER_RESOURCE_METADATA: join(this.folder, "resource-metadata.json"),
      FAKE_AWS: this.aws,
      // A long timeout, so that the bucket responds in time even on a slow machine.
      MARIMO_PATIENCE_TENTHS: "600",
      // Without retries, no script continues after its test.
      MARIMO_RETRY_SECONDS: "",
    };
  }

  /** Uploads a payload and the pointer to it, like Terraform. Returns its folder in the bucket. */
  upload(payload: Payload): string {
    const files = objectsOf(payload);
    const sums = Object.entries(files)
      .map(([name, content]) => `${sha256(content)}  ${name}\n`)
      .join("");
    const hash = sha256(sums).slice(0, 16);
    const folder = join(this.aws, bucket, "marimo/payload", hash);
    for (const [name, content] of Object.entries({ ...files, SHA256SUMS: sums })) {
      this.write(join(folder, name), content);
    }
    this.write(join(this.aws, bucket, "marimo/payload/current"), `${sha256(sums)}  ${hash}\n`);
    return folder;
  }

  refuseAws(message: string | undefined): void {
    const file = join(this.aws, "refuses");
    if (message === undefined) rmSync(file, { force: true });
    else this.write(file, `${message}\n`);
  }

  awsCalls(): string[] {
    const file = join(this.aws, "calls");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }

  /** The script as Terraform creates it: the header, then the files. */
  lifecycleScript(appType: "JupyterLab" | "CodeEditor" = "JupyterLab"): string {
    return [
      "#!/bin/bash",
      `export MARIMO_BUCKET='${bucket}'`,
      "export MARIMO_ENVIRONMENT='dev'",
      "export MARIMO_REGION='us-east-1'",
      `export MARIMO_APP_TYPE='${appType}'`,
      startScript,
    ].join("\n");
  }

  runLifecycleScript(
    environment = this.environment,
    appType: "JupyterLab" | "CodeEditor" = "JupyterLab",
  ): Promise<Captured> {
    const script = join(this.folder, "lifecycle.sh");
    this.write(script, this.lifecycleScript(appType));
    return this.run("/bin/bash", [script], environment);
  }

  async run(command: string, args: readonly string[], env = this.environment): Promise<Captured> {
    const captured = await capture(command, args, { env, cwd: this.home, timeout: 300_000 });
    if (captured === undefined) throw new Error(`${command} was not found.`);
    return captured;
  }

  /** Starts container.py; resolves after the event `ready` or `failed`, or when it exits. */
  async start(python: string, request: Record<string, unknown> = {}): Promise<Container> {
    const { PATH: _path, HOME: _home, CONDA_PREFIX: _prefix, ...environment } = this.environment;
    const child = spawn(python, [join(projectFolder, "src/local-studio/image/container.py")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.containers.push(child);
    const { home, prefix, log } = this;
    // With the PATH of the container, the AWS CLI of the image would run.
    const script = `export PATH="${this.bin}:$PATH"\n${this.lifecycleScript()}`;
    const lifecycleConfigs = [{ name: "marimo", content: Buffer.from(script).toString("base64") }];
    child.stdin.write(
      `${JSON.stringify({ home, prefix, log, environment, lifecycleConfigs, ...request })}\n`,
    );
    const events: ContainerEvent[] = [];
    const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
    await new Promise<void>((resolve) => {
      void linesOf(child.stdout, (line) => {
        events.push(JSON.parse(line));
        if (["ready", "failed"].includes(String(events.at(-1)?.event))) resolve();
      });
      void exited.then(() => resolve());
    });
    return {
      events,
      pid: child.pid ?? 0,
      url: `http://127.0.0.1:${events.at(-1)?.port}/jupyterlab/default`,
      exited,
      stop: () => {
        child.stdin.end();
        return exited;
      },
    };
  }

  /** Creates a package that is not on any index: `import <name>` prints its version. Returns the path of the wheel. */
  async wheel(name: string, python: string): Promise<string> {
    const file = join(this.folder, "wheels", `${name}-1.0-py3-none-any.whl`);
    const info = `${name}-1.0.dist-info`;
    const files = {
      [`${name}.py`]: `print("${name} 1.0")\n`,
      [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`,
      [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
      [`${info}/RECORD`]: "",
    };
    this.write(file, "");
    const program = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in json.loads(sys.argv[2]).items():
        wheel.writestr(name, text)`;
    const { status, stderr } = await this.run(python, ["-c", program, file, JSON.stringify(files)]);
    if (status !== 0) throw new Error(stderr);
    return file;
  }

  async dispose(): Promise<void> {
    for (const child of this.containers) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.stdin?.end();
      await new Promise((resolve) => child.once("close", resolve));
    }
    // Kills background processes, such as an installation, and the processes that they start in the meantime.
    await until("the end of the space's processes", async () => {
      const left = await this.processes();
      for (const pid of left) kill(pid);
      return left.length === 0 || undefined;
    });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Lists all processes whose HOME is this space's home folder. */
  async processes(): Promise<number[]> {
    // BSD options for Linux and macOS: all processes, with their environment after the command.
    const listing = await capture("ps", ["axeww", "-o", "pid=,command="]);
    return (listing?.stdout ?? "")
      .split("\n")
      .filter((line) => ` ${line} `.includes(` HOME=${this.home} `))
      .map((line) => Number.parseInt(line, 10));
  }

  read(...path: string[]): string {
    return readFileSync(join(this.folder, ...path), "utf8");
  }

  write(file: string, content: string | Buffer): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

export interface ContainerEvent {
  readonly event: string;
  readonly name?: string;
  readonly exitCode?: number | null;
  readonly outputTail?: string;
  readonly port?: number;
  readonly reason?: string;
}

export interface Container {
  readonly events: readonly ContainerEvent[];
  readonly pid: number;
  readonly url: string;
  readonly exited: Promise<number | null>;
  readonly stop: () => Promise<number | null>;
}

export async function until<Value>(
  what: string,
  probe: () => Promise<Value | undefined> | Value | undefined,
  seconds = patience / 1000,
): Promise<Value> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: timeout after ${seconds} s`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process has already ended.
  }
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
