import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../src/cli/problem.ts";
import { capture } from "../../src/cli/processes.ts";
import { spaceFiles } from "../../src/stack/studio/space-files.ts";

const folder = spaceFiles.sampleNotebooks;
const resultsFile = (notebook: string) => join(folder, "results", `${notebook}.json`);

/** marimo's session cache (0.25.2, `_schemas/session.py`). marimo ignores `made_from`. */
interface Session {
  readonly metadata: Record<string, string | null>;
  readonly cells: { outputs: readonly { readonly type: string; readonly data?: Record<string, string> }[] }[];
}

/** The sample notebooks, and for each a digest of what its results depend on: its code, its data and marimo. */
export function sampleNotebooks(lockFile: string): ReadonlyMap<string, string> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".py"));
  const marimo = /^marimo==[^ ;]+/m.exec(readFileSync(lockFile, "utf8"))?.[0] ?? "";
  const inputs = [marimo, readFileSync(join(folder, "prices.csv"))];
  const digest = (name: string) =>
    [readFileSync(join(folder, name)), ...inputs].reduce(
      (hash, input) => hash.update(input),
      createHash("sha256"),
    );
  return new Map(names.map((name) => [name, digest(name).digest("hex")]));
}

/** What the results of a notebook were made from, or `undefined` if there are none. */
export function resultsMadeFrom(notebook: string): string | null | undefined {
  try {
    return (JSON.parse(readFileSync(resultsFile(notebook), "utf8")) as Session).metadata.made_from;
  } catch {
    return undefined;
  }
}

export interface SampleResultsProps {
  /** Prefix of the virtual environment that replaces the image, with the packages that the samples import. */
  readonly image: string;
  /** The default lock file of spaces. */
  readonly lockFile: string;
  readonly log: (line: string) => void;
}

/** Python with the packages of a space in `folder`: marimo's, then the image's. */
export async function spacePython({
  folder: environment,
  image,
  lockFile,
}: Omit<SampleResultsProps, "log"> & { readonly folder: string }): Promise<string> {
  const python = join(environment, "bin/python");
  const uv = join(image, "bin/uv");
  await run(uv, ["venv", "--quiet", "--python", join(image, "bin/python"), environment]);
  await run(uv, ["pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lockFile]);
  const packages = "import sysconfig; print(sysconfig.get_path('purelib'), end='')";
  const [own, theirs] = [
    await run(python, ["-c", packages]),
    await run(join(image, "bin/python"), ["-c", packages]),
  ];
  writeFileSync(join(own, "image.pth"), `${theirs}\n${join(spaceFiles.payload, "python")}\n`);
  return python;
}

/**
 * Runs the changed sample notebooks, and writes their results to `sample-notebooks/results`. Spaces get them as marimo's
 * session cache, so that a sample shows its results before anybody has run it.
 */
export async function writeSampleResults({ image, lockFile, log }: SampleResultsProps): Promise<void> {
  const notebooks = sampleNotebooks(lockFile);
  const changed = [...notebooks].filter(([name, digest]) => resultsMadeFrom(name) !== digest);
  if (changed.length === 0) return;
  const work = mkdtempSync(join(tmpdir(), "sagemaker-marimo-samples-"));
  try {
    const python = await spacePython({ folder: join(work, "environment"), image, lockFile });
    for (const name of [...notebooks.keys(), "prices.csv"]) cpSync(join(folder, name), join(work, name));
    mkdirSync(join(folder, "results"), { recursive: true });
    for (const [name, digest] of changed) {
      const marimo = ["-m", "marimo", "-y", "export", "session", name, "--no-sandbox", "--force-overwrite"];
      await run(python, marimo, work);
      const session = readFileSync(join(work, "__marimo__/session", `${name}.json`), "utf8");
      writeFileSync(resultsFile(name), shippedResults(JSON.parse(session) as Session, digest));
      log(`sample-notebooks/results/${name}.json`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Leaves out warnings and errors: they are about the machine that ran the notebook, which has no AWS account. */
function shippedResults(session: Session, digest: string): string {
  for (const cell of session.cells) {
    cell.outputs = cell.outputs.filter(
      ({ type, data = {} }) =>
        type !== "error" && !Object.values(data).some((text) => text.includes("marimo-callout")),
    );
  }
  session.metadata.made_from = digest;
  return `${JSON.stringify(session, undefined, 1)}\n`;
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  // Without the variables of this machine, such as AWS credentials: the samples work without AWS.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, AWS_EC2_METADATA_DISABLED: "true" };
  const proxied = Object.entries(process.env).filter(([name]) => /^(UV|PIP|SSL|HTTPS?)_|_proxy$/i.test(name));
  const result = await capture(command, args, {
    cwd,
    env: { ...env, ...Object.fromEntries(proxied) },
    timeout: 300_000,
  });
  if (result?.status === 0) return result.stdout;
  throw new Problem({
    message: `${[command, ...args].join(" ")} failed:\n${result?.stderr.trim() ?? "it did not start"}`,
    remedy: "correct the sample notebook, or the access to the package index (UV_DEFAULT_INDEX)",
  });
}
