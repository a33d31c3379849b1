import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../cli/paths.ts";
import { Problem } from "../cli/problem.ts";
import { clientSettings, unlessGone } from "../removal/aws.ts";
import type { ResolvedEnvironment } from "../settings/environment.ts";
import { stateFileOf, stateFileProblem } from "../settings/state-file.ts";

interface State {
  readonly resources?: readonly {
    readonly mode: string;
    readonly type: string;
    readonly instances: readonly { readonly attributes?: { readonly id?: unknown } }[];
  }[];
}

/**
 * The IDs of the managed resources in an environment's Terraform state, each also with its type, as in `aws_iam_role
 * one`, and the location of the state. Without a state there are none.
 */
export async function managedIds(
  { backend, name }: Pick<ResolvedEnvironment, "backend" | "name">,
  folder = projectFolder,
): Promise<{ readonly place: string; readonly ids: ReadonlySet<string> }> {
  if (backend.type === "local") {
    const file = stateFileOf(name);
    const problem = stateFileProblem(name, folder);
    if (problem !== undefined) throw new Problem(problem);
    const path = join(folder, file);
    return { place: file, ids: idsIn(file, (existsSync(path) && readFileSync(path, "utf8")) || "{}") };
  }
  const { bucket: Bucket, key: Key, region } = backend;
  const s3 = new S3Client(clientSettings(region));
  const answer = await unlessGone(() => s3.send(new GetObjectCommand({ Bucket, Key })));
  const place = `s3://${Bucket}/${Key}`;
  return { place, ids: idsIn(place, (await answer?.Body?.transformToString()) ?? "{}") };
}

function idsIn(place: string, text: string): ReadonlySet<string> {
  const { resources = [] } = parse(place, text);
  return new Set(
    resources
      .filter(({ mode }) => mode === "managed")
      .flatMap(({ type, instances }) =>
        instances
          .map(({ attributes }) => attributes?.id)
          .filter((id): id is string => typeof id === "string")
          .flatMap((id) => [id, `${type} ${id}`]),
      ),
  );
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
