import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { Problem } from "../../src/local-studio/problem.ts";
import { lostItsState, stateFileOf } from "../../src/settings/state-file.ts";
import type { ResolvedEnvironment } from "../../src/settings/types.ts";
import { clientSettings, unlessGone } from "../../src/studio-removal/aws.ts";

interface State {
  readonly resources?: readonly {
    readonly mode: string;
    readonly type: string;
    readonly instances: readonly { readonly attributes?: { readonly id?: unknown } }[];
  }[];
}

/**
 * Ids of all that an environment's Terraform state manages, each also with its type, as in `aws_iam_role one`, and where
 * the state is. No state manages nothing.
 */
export async function managedIds(
  { backend, name }: Pick<ResolvedEnvironment, "backend" | "name">,
  folder = projectFolder,
): Promise<{ readonly place: string; readonly ids: ReadonlySet<string> }> {
  if (backend.type === "local") {
    const file = stateFileOf(name);
    const path = join(folder, file);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return { place: file, ids: idsIn(file, text === "" && !lostItsState(name, folder) ? "{}" : text) };
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

/** A state that cannot be read is not an empty one: everything would seem to be left over. */
function parse(place: string, text: string): State {
  try {
    return JSON.parse(text) as State;
  } catch (error) {
    throw new Problem({
      message: `The Terraform state ${place} is broken: ${error instanceof Error ? error.message : error}`,
      remedy: `look at ${place}.backup beside it, or at the object's earlier version, and put that in its place`,
    });
  }
}
