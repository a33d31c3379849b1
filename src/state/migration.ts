import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { parseState, remoteState, type StateText } from "../leftovers/terraform-state.ts";
import { clientSettings } from "../removal/aws.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { movedFileOf, stateFileOf } from "../settings/state-file.ts";
import { lockSuffix } from "../settings/terraform.ts";
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

export type Step = "nothing" | "copy" | "copied";

/** What to do with a state that should be in another place. Throws a Problem if a copy would lose a resource. */
export function stepOf(from: FoundState, to: FoundState): Step {
  const [old = {}, now = {}] = [from.state, to.state];
  if (countOf(old) === 0) return "nothing";
  if (countOf(now) === 0) return "copy";
  const lost = missing(old, now);
  if (now.lineage !== old.lineage) {
    // A copy that Terraform made has a lineage of its own (1.11.4: `init -migrate-state` and `state push`).
    if (lost.length === 0) return "copied";
    throw new Problem({
      message: `${describe(to)}, and it is not a copy of ${describe(from)}: nothing was changed.`,
      remedy: "set another `key` in the setting `backend`: each environment needs a state of its own",
    });
  }
  const isCopied = serialOf(now) >= serialOf(old);
  const unknown = isCopied ? lost : missing(now, old);
  if (unknown.length === 0) return isCopied ? "copied" : "copy";
  const [early, late] = isCopied ? [from, to] : [to, from];
  throw new Problem({
    message:
      `${describe(late)} and is the newer one, but does not have these of ${early.place}: ${unknown.join(", ")}. ` +
      "Nothing was changed.",
    remedy: `if they were deleted on purpose, move ${early.place} away; otherwise import them into ${late.place}`,
  });
}

/** The resources of a state that another one does not have. */
function missing(state: State, other: State): readonly string[] {
  const ids = idsIn(other);
  return [...idsIn(state)].filter((id) => id.includes(" ") && !ids.has(id));
}

export const describe = ({ place, state }: FoundState): string =>
  state === undefined
    ? `${place} does not exist`
    : `${place} (serial ${serialOf(state)}) has ${countOf(state)} resources`;

const serialOf = ({ serial = 0 }: State) => serial;

/**
 * Copies a state into a bucket, byte for byte, unless that is done, and reads it again. Terraform's own copy would have
 * another lineage and serial.
 */
export async function copyState(from: StateText, backend: S3Backend): Promise<void> {
  const { bucket: Bucket, key: Key, kmsKeyId, region } = backend;
  const s3 = new S3Client(clientSettings(region));
  const encryption = {
    ServerSideEncryption: kmsKeyId === undefined ? "AES256" : "aws:kms",
    SSEKMSKeyId: kmsKeyId,
    ContentType: "application/json",
  } as const;
  const lock = { Bucket, Key: `${Key}${lockSuffix}` };
  const Body = lockInfo(backend);
  await s3.send(new PutObjectCommand({ ...lock, ...encryption, Body, IfNoneMatch: "*" })).catch((error) => {
    if (error.name === "NoSuchBucket") throw noBucket(backend);
    if (error.name !== "PreconditionFailed") throw error;
    throw new Problem({
      message: `The state s3://${Bucket}/${Key} is locked by another run: nothing was changed.`,
      remedy: `wait until it ends. Once nobody runs Terraform, delete the lock: aws s3 rm s3://${Bucket}/${lock.Key} --region ${region}`,
    });
  });
  try {
    // Read under the lock, since another run may have written it.
    if (stepOf(found(from), found(await remoteState(backend))) !== "copy") return;
    await s3.send(new PutObjectCommand({ Bucket, Key, ...encryption, Body: from.text ?? "" }));
    const copy = await remoteState(backend);
    if (copy.text !== from.text) {
      throw new Problem({
        message: `${describe(found(copy))}, which is not the copy of ${describe(found(from))}: the old state is unchanged.`,
        remedy: "run this command again",
      });
    }
  } finally {
    await s3.send(new DeleteObjectCommand(lock));
  }
}

const noBucket = ({ bucket }: S3Backend) =>
  new Problem({
    message: `The bucket ${bucket} does not exist: nothing was changed.`,
    remedy: `create it with versions, or correct \`backend\` in src/environments.ts`,
  });

/** As Terraform writes it, so that `terraform force-unlock` can release it. */
const lockInfo = ({ bucket, key }: S3Backend) =>
  JSON.stringify({
    ID: randomUUID(),
    Operation: "npm run state",
    Info: "",
    Who: `${userInfo().username}@${hostname()}`,
    Version: "",
    Created: new Date().toISOString(),
    Path: `${bucket}/${key}`,
  });

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
