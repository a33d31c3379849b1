import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { projectFolder } from "../../src/local-studio/paths.ts";
import { Problem } from "../../src/local-studio/problem.ts";
import type { ResolvedEnvironment } from "../../src/settings/types.ts";
import { clientSettings, unlessGone } from "../../src/studio-removal/aws.ts";

interface State {
  readonly resources?: readonly {
    readonly mode: string;
    readonly instances: readonly { readonly attributes?: { readonly id?: unknown } }[];
  }[];
}

/** Ids of all that an environment's Terraform state manages, and where the state is. No state manages nothing. */
export async function managedIds(
  { backend, name }: Pick<ResolvedEnvironment, "backend" | "name">,
  folder = projectFolder,
): Promise<{ readonly place: string; readonly ids: ReadonlySet<string> }> {
  if (backend.type === "local") {
    const file = `terraform.${name}.tfstate`;
    const path = join(folder, file);
    return { place: file, ids: idsIn(file, readLocal(path)) };
  }
  const { bucket: Bucket, key: Key, region } = backend;
  const s3 = new S3Client(clientSettings(region));
  const answer = await unlessGone(() => s3.send(new GetObjectCommand({ Bucket, Key })));
  const place = `s3://${Bucket}/${Key}`;
  return { place, ids: idsIn(place, (await answer?.Body?.transformToString()) ?? "{}") };
}

/**
 * Terraform makes the file for its lock, and writes to it 20 s into an apply at the earliest (hashicorp/terraform#32680):
 * killed before that, it leaves a file without a byte, which is no state. One that it was about to write anew has a backup.
 */
function readLocal(path: string): string {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return text === "" && !existsSync(`${path}.backup`) ? "{}" : text;
}

function idsIn(place: string, text: string): ReadonlySet<string> {
  const { resources = [] } = parse(place, text);
  return new Set(
    resources
      .filter(({ mode }) => mode === "managed")
      .flatMap(({ instances }) => instances.flatMap(({ attributes }) => attributes?.id ?? []))
      .filter((id): id is string => typeof id === "string"),
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
