import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { projectFolder, workFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { ownerOf } from "../cli/run-folder.ts";
import { readState } from "./rehearsed-state.ts";

/** Lets other terminals find a running rehearsal: `session.json` in its run folder. */
export interface Session {
  /** Name of the run folder. */
  readonly run: string;
  /** Path of the run folder. */
  readonly folder: string;
  readonly environmentName: string;
  /** Folder of the project whose settings are rehearsed. */
  readonly project: string;
  /** Folder of the last applied stack. */
  readonly stackFolder: string;
  readonly statePath: string;
  /** Variables that point cdktf, Terraform, the AWS SDKs and the AWS CLI to this rehearsal only. */
  readonly variables: Readonly<Record<string, string>>;
}

export const exportsFileOf = ({ folder }: Pick<Session, "folder">): string => join(folder, "exports.sh");

/** Writes the session and its exports, readable only by the person who runs the rehearsal. */
export function writeSession(session: Session): void {
  writePrivately(join(session.folder, "session.json"), `${JSON.stringify(session)}\n`);
  writeExports(session);
}

/** Called again after an apply, which can change the exported values. */
export function writeExports(session: Session): void {
  if (existsSync(session.folder)) writePrivately(exportsFileOf(session), exportsOf(session));
}

/** Hides the rehearsal from other terminals. */
export function removeSession({ folder }: Pick<Session, "folder">): void {
  rmSync(join(folder, "session.json"), { force: true });
}

function writePrivately(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600);
}

/**
 * Lines for a POSIX shell. They unset every `AWS_` variable and disable both AWS configuration files, because a profile
 * has its own credentials and endpoint.
 */
export function exportsOf({ variables, statePath }: Pick<Session, "variables" | "statePath">): string {
  const bucket = readState(statePath).output("artifact_bucket");
  const all = { ...variables, ...(bucket === undefined ? {} : { MARIMO_BUCKET: bucket }) };
  return [
    "for name in $(env | sed -n 's/^\\(AWS_[A-Za-z0-9_]*\\)=.*/\\1/p'); do unset \"$name\"; done",
    ...Object.entries(all).map(([name, value]) => `export ${name}=${inShell(value)}`),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: shell syntax
    'export NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1" no_proxy="${no_proxy:+$no_proxy,}127.0.0.1"',
    "",
  ].join("\n");
}

/** Quotes a word for a POSIX shell. */
export const inShell = (text: string): string =>
  /^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** Points this process to the rehearsal, as the exports do for a shell. */
export function enterSession({ variables }: Session): void {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
  Object.assign(process.env, variables);
}

/**
 * Finds the running rehearsal of this project, optionally by environment or by run name.
 *
 * @throws Problem when none or several match.
 */
export function findSession(
  wanted: { readonly environmentName?: string | undefined; readonly run?: string | undefined },
  runs = join(workFolder, "runs"),
  project = projectFolder,
): Session {
  const all = sessionsIn(runs).filter((session) => session.project === project);
  const found = all.filter(
    ({ environmentName, run }) =>
      (wanted.environmentName ?? environmentName) === environmentName && (wanted.run ?? run) === run,
  );
  const [session] = found;
  if (session !== undefined && found.length === 1) return session;
  const requested = Object.values(wanted).flatMap((one) => one ?? []);
  const list = (found.length > 0 ? found : all).map(
    ({ run, environmentName }) => `\n    ${run} of ${environmentName}`,
  );
  throw found.length > 1
    ? new Problem({
        message: `${found.length} rehearsals are running:${list.join("")}`,
        remedy: "choose one with --environment, or with --run and its name",
      })
    : new Problem({
        message:
          `No rehearsal${requested.length > 0 ? ` of ${requested.join(", ")}` : ""} is running` +
          (list.length > 0 ? `. Running rehearsals:${list.join("")}` : "."),
        remedy: "run `npm start` in another terminal and wait until it prints the links",
      });
}

function sessionsIn(runs: string): Session[] {
  return (existsSync(runs) ? readdirSync(runs).sort() : [])
    .map((run) => join(runs, run))
    .filter((folder) => existsSync(join(folder, "session.json")) && ownerOf(folder) !== undefined)
    .map((folder) => JSON.parse(readFileSync(join(folder, "session.json"), "utf8")) as Session)
    .map((session) => ({ ...session, run: basename(session.folder) }));
}
