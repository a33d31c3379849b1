import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { parseState, remoteState, type StateText } from "../leftovers/terraform-state.ts";
import type { Runner } from "../plan-review/planning.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { movedFileOf, stateFileOf } from "../settings/state-file.ts";
import { countOf, idsIn, type State } from "./state.ts";

export type S3Backend = Extract<ResolvedEnvironment["backend"], { readonly type: "s3" }>;

export interface FoundState {
  readonly place: string;
  /** Undefined if there is none. */
  readonly state: State | undefined;
}

export const found = ({ place, text }: StateText): FoundState => ({
  place,
  state: text === undefined ? undefined : parseState(place, text),
});

/** `overwrite` is a copy over a state without resources, which Terraform refuses if it has another lineage. */
export type Step = "nothing" | "copy" | "overwrite" | "copied";

/** What to do with a state that should be in another place. Throws a Problem if a copy would lose a resource. */
export function stepOf(from: FoundState, to: FoundState): Step {
  const [old = {}, now] = [from.state, to.state];
  if (countOf(old) === 0) return "nothing";
  if (now === undefined) return "copy";
  if (countOf(now) === 0) return "overwrite";
  if (now.lineage !== old.lineage) {
    throw new Problem({
      message: `${describe(to)}, and it is not a copy of ${describe(from)} (the lineages differ): nothing was changed.`,
      remedy: "set another `key` in the setting `backend`: each environment needs a state of its own",
    });
  }
  const isCopied = serialOf(now) >= serialOf(old);
  const newer = idsIn(isCopied ? now : old);
  const missing = [...idsIn(isCopied ? old : now)].filter((id) => id.includes(" ") && !newer.has(id));
  if (missing.length > 0) {
    const [early, late] = isCopied ? [from, to] : [to, from];
    throw new Problem({
      message:
        `${describe(late)} and is the newer one, but does not have these of ${early.place}: ${missing.join(", ")}. ` +
        "Nothing was changed.",
      remedy: `if they were deleted on purpose, move ${early.place} away; otherwise import them into ${late.place}`,
    });
  }
  return isCopied ? "copied" : "copy";
}

export const describe = ({ place, state = {} }: FoundState): string =>
  `${place} (serial ${serialOf(state)}) has ${countOf(state)} resources`;

const serialOf = ({ serial = 0 }: State) => serial;

export interface CopyProps {
  readonly from: StateText;
  readonly backend: S3Backend;
  readonly step: Step;
  readonly runner: Runner;
  /** An empty folder for Terraform. */
  readonly folder: string;
}

/** Copies a state into a bucket, with Terraform's lock and checks, and reads it again. */
export async function copyState({ from, backend, step, runner, folder }: CopyProps): Promise<void> {
  const { bucket, key, region, kmsKeyId } = backend;
  mkdirSync(folder, { recursive: true });
  const s3 = { bucket, key, region, encrypt: true, kms_key_id: kmsKeyId, use_lockfile: true };
  writeFileSync(join(folder, "main.tf.json"), JSON.stringify({ terraform: { backend: { s3 } } }));
  const file = join(folder, "copied.tfstate");
  writeFileSync(file, from.text ?? "", { mode: 0o600 });
  try {
    await runner.terraform(folder, "init", "-input=false");
    await runner.terraform(folder, "state push", ...(step === "overwrite" ? ["-force"] : []), file);
  } catch (error) {
    if (!(error instanceof Problem) || !/Error acquiring the state lock/.test(error.message)) throw error;
    throw new Problem({
      message: error.message,
      remedy: `once nobody runs Terraform, delete the lock: aws s3 rm s3://${bucket}/${key}.tflock --region ${region}`,
    });
  }
  const [old, now] = [found(from), found(await remoteState(backend))];
  const facts = ({ state = {} }: FoundState) =>
    JSON.stringify([state.lineage, state.serial, [...idsIn(state)].sort()]);
  if (facts(old) !== facts(now)) {
    throw new Problem({
      message: `${describe(now)}, but ${describe(old)}: the copy is not complete, and ${old.place} is unchanged.`,
      remedy: "see that nobody else uses this state, then run this command again",
    });
  }
}

/** Renames a state file that was copied, and returns its new name. A file is never replaced. */
export function setAside(environment: string, folder = projectFolder): string {
  const name = movedFileOf(environment);
  let kept = name;
  for (let number = 2; existsSync(join(folder, kept)); number += 1) kept = `${name}-${number}`;
  renameSync(join(folder, stateFileOf(environment)), join(folder, kept));
  return kept;
}

/** Terraform records the backend of a folder there, and refuses another one. */
export const forgetBackend = (environment: string, folder = projectFolder): void =>
  rmSync(join(folder, "cdktf.out/stacks", environment, ".terraform/terraform.tfstate"), { force: true });

/** Terraform writes this file beside a local state while it runs, and leaves it if it is killed. */
export function checkLock(environment: string, folder = projectFolder): void {
  const lock = `.${stateFileOf(environment)}.lock.info`;
  if (!existsSync(join(folder, lock))) return;
  throw new Problem({
    message: `${lock} says that Terraform is using ${stateFileOf(environment)}: nothing was changed.`,
    remedy: "wait until it ends. If nobody runs Terraform, it was killed: delete that file",
  });
}
