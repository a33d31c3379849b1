import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { clientSettings, unlessGone } from "../removal/aws.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { leftBehind, stateFileOf, stateFileProblem } from "../settings/state-file.ts";
import { accountIn, idsIn, type State } from "../state/state.ts";

export interface ManagedIds {
  /** The location of the state. */
  readonly place: string;
  /** Each ID also with its type, as in `aws_iam_role one`. */
  readonly ids: ReadonlySet<string>;
  /** The account that the state belongs to, if it has one yet. */
  readonly account: string | undefined;
}

/** The managed resources in an environment's Terraform state. Without a state there are none. */
export async function managedIds(
  environment: Pick<ResolvedEnvironment, "backend" | "name">,
  folder = projectFolder,
): Promise<ManagedIds> {
  const { backend, name } = environment;
  const problem = leftBehind(environment, folder);
  // Everything in that state would be a leftover.
  if (problem) throw new Problem({ message: problem, remedy: "see above; nothing was searched" });
  const { place, text } = backend.type === "local" ? localState(name, folder) : await remoteState(backend);
  const state = text === undefined ? {} : parseState(place, text);
  return { place, ids: idsIn(state), account: accountIn(state) };
}

export interface StateText {
  readonly place: string;
  /** Undefined if there is no state. */
  readonly text: string | undefined;
}

/** The state file of an environment. Throws a Problem if it is not whole. */
export function localState(name: string, folder = projectFolder): StateText {
  const problem = stateFileProblem(name, folder);
  if (problem !== undefined) throw new Problem(problem);
  const place = stateFileOf(name);
  const path = join(folder, place);
  return { place, text: (existsSync(path) && readFileSync(path, "utf8")) || undefined };
}

/** The state in a bucket. */
export async function remoteState(object: {
  readonly bucket: string;
  readonly key: string;
  readonly region: string;
}): Promise<StateText> {
  const { bucket: Bucket, key: Key, region } = object;
  const s3 = new S3Client(clientSettings(region));
  const answer = await unlessGone(() => s3.send(new GetObjectCommand({ Bucket, Key })));
  return { place: `s3://${Bucket}/${Key}`, text: await answer?.Body?.transformToString() };
}

/** A broken state must not be taken for an empty one, because all resources would then be leftovers. */
export function parseState(place: string, text: string): State {
  try {
    return JSON.parse(text) as State;
  } catch (error) {
    throw new Problem({
      message: `The Terraform state ${place} is broken: ${error instanceof Error ? error.message : error}`,
      remedy: "restore the previous version of the object",
    });
  }
}
