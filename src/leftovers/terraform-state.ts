import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { clientSettings, unlessGone } from "../removal/aws.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { stateAccountName, stateFileOf, stateFileProblem } from "../settings/state-file.ts";

interface State {
  readonly resources?: readonly {
    readonly mode: string;
    readonly type: string;
    readonly name: string;
    readonly instances: readonly {
      readonly attributes?: { readonly id?: unknown; readonly input?: { readonly value?: unknown } };
    }[];
  }[];
}

export interface ManagedIds {
  /** The location of the state. */
  readonly place: string;
  /** Each ID also with its type, as in `aws_iam_role one`. */
  readonly ids: ReadonlySet<string>;
  /** The account that the state belongs to (src/stack/support/state-account.ts), if it has one yet. */
  readonly account: string | undefined;
}

/** The managed resources in an environment's Terraform state. Without a state there are none. */
export async function managedIds(
  { backend, name }: Pick<ResolvedEnvironment, "backend" | "name">,
  folder = projectFolder,
): Promise<ManagedIds> {
  if (backend.type === "local") {
    const file = stateFileOf(name);
    const problem = stateFileProblem(name, folder);
    if (problem !== undefined) throw new Problem(problem);
    const path = join(folder, file);
    return managedIn(file, (existsSync(path) && readFileSync(path, "utf8")) || "{}");
  }
  const { bucket: Bucket, key: Key, region } = backend;
  const s3 = new S3Client(clientSettings(region));
  const answer = await unlessGone(() => s3.send(new GetObjectCommand({ Bucket, Key })));
  return managedIn(`s3://${Bucket}/${Key}`, (await answer?.Body?.transformToString()) ?? "{}");
}

function managedIn(place: string, text: string): ManagedIds {
  const managed = (parse(place, text).resources ?? []).filter(({ mode }) => mode === "managed");
  const ids = managed.flatMap(({ type, instances }) =>
    instances
      .map(({ attributes }) => attributes?.id)
      .filter((id): id is string => typeof id === "string")
      .flatMap((id) => [id, `${type} ${id}`]),
  );
  const kept = managed.find(({ name, type }) => type === "terraform_data" && name === stateAccountName);
  const account = kept?.instances[0]?.attributes?.input?.value;
  return { place, ids: new Set(ids), account: typeof account === "string" ? account : undefined };
}

/** A broken state must not be taken for an empty one, because all resources would then be leftovers. */
function parse(place: string, text: string): State {
  try {
    return JSON.parse(text) as State;
  } catch (error) {
    throw new Problem({
      message: `The Terraform state ${place} is broken: ${error instanceof Error ? error.message : error}`,
      remedy: "restore the previous version of the object",
    });
  }
}
